// Badges are doors: a click on any of the page, whose `data-inside` is its expert, asks for the inside of that expert. Where a page
// shows several runs, `data-door` says of which.

const listening = new WeakMap() // the place of these doors -> what ends their listening

export default function ({ data, parentElement, setTriggerValue }) {
  listening.get(parentElement)?.()
  const clicked = (event) => {
    const badge = event.composedPath().find((each) => each.dataset?.inside !== undefined)
    if (badge && (badge.dataset.door ?? "") === data.door) setTriggerValue("inside", Number(badge.dataset.inside))
  }
  const stop = () => document.removeEventListener("click", clicked)
  document.addEventListener("click", clicked)
  listening.set(parentElement, stop)
  ;(parentElement.host ?? parentElement).dataset.doors = "open"
  return stop
}
