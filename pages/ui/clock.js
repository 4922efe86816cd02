// Runs its fragment again some seconds after the last look has arrived. While nobody sees the page, it waits.

const LOST = 15000 // ms without an answer, after which it asks again: a question is lost with a connection that breaks off

const waiting = new WeakMap() // the place of a clock -> what it waits for

export default function ({ data, parentElement, setStateValue }) {
  waiting.get(parentElement)?.()
  let timer
  const wait = (ms) => {
    timer = setTimeout(() => {
      if (!document.hidden) return look()
      document.addEventListener("visibilitychange", look, { once: true })
    }, ms)
  }
  const look = () => {
    setStateValue("look", data.look)
    wait(LOST)
  }
  const stop = () => {
    clearTimeout(timer)
    document.removeEventListener("visibilitychange", look)
  }
  wait(1000 * data.after)
  waiting.set(parentElement, stop)
  return stop
}
