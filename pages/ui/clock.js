// Runs its fragment again some seconds after the last look has arrived. While nobody sees the page, it waits.

const waiting = new WeakMap() // the place of a clock -> what it waits for

export default function ({ data, parentElement, setStateValue }) {
  waiting.get(parentElement)?.()
  const look = () => setStateValue("look", data.look)
  const timer = setTimeout(() => {
    if (!document.hidden) return look()
    document.addEventListener("visibilitychange", look, { once: true })
  }, 1000 * data.after)
  const stop = () => {
    clearTimeout(timer)
    document.removeEventListener("visibilitychange", look)
  }
  waiting.set(parentElement, stop)
  return stop
}
