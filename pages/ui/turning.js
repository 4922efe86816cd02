// Runs the page again when it has turned light or dark with the system: charts and tables are drawn for one of the two.

const LOOK = 50 // ms between two looks whether the page has turned
const LOOKS = 40 // after which it will not: its colours may have been chosen, whatever the system's are

const system = matchMedia("(prefers-color-scheme: dark)")
const waiting = new WeakMap() // the place of this component -> what ends its waiting

export default function ({ parentElement, setTriggerValue }) {
  waiting.get(parentElement)?.()
  const ground = () => getComputedStyle(parentElement.host ?? parentElement).getPropertyValue("--st-background-color")
  const drawn = ground()
  let timer
  const look = (left) => {
    clearTimeout(timer)
    if (ground() !== drawn) setTriggerValue("turned", true)
    else if (left) timer = setTimeout(look, LOOK, left - 1)
  }
  const turns = () => look(LOOKS)
  const stop = () => {
    clearTimeout(timer)
    system.removeEventListener("change", turns)
  }
  system.addEventListener("change", turns)
  waiting.set(parentElement, stop)
  return stop
}
