// The tour: a card at the bottom of the page, and an outline around what it tells of. It covers nothing that it speaks of.

const SEEN = "icm toured" // in the browser's storage, once the tour was begun or put off

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector)
  const [begin, skip, offer, card] = [".begin", ".skip", ".offer span", ".card"].map(find)
  const [back, next, end] = [".back", ".next", ".end"].map(find)
  let [at, outlined] = [0, null]

  function offered(yes) {
    offer.hidden = skip.hidden = !yes
  }

  function remember() {
    offered(false)
    try {
      localStorage.setItem(SEEN, "yes")
    } catch {
      // A browser that keeps nothing offers it each time.
    }
  }

  function outline(element) {
    outlined?.style.removeProperty("outline")
    outlined?.style.removeProperty("outline-offset")
    outlined = element
    if (!element) return
    element.style.outline = "3px solid #3f90da"
    element.style.outlineOffset = "4px"
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches
    element.scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" })
  }

  function go(to) {
    at = to
    const stop = data.stops[at]
    card.hidden = false
    find(".where").textContent = `${at + 1} of ${data.stops.length} · ${stop.title}`
    find(".what").textContent = stop.words
    back.disabled = at === 0
    next.textContent = at === data.stops.length - 1 ? "Done" : "Next"
    const seen = [...document.querySelectorAll(stop.selector)].find((each) => each.getClientRects().length)
    outline(seen ?? null) // on a phone the menu is folded away
    next.focus({ preventScroll: true })
  }

  function leave() {
    outline(null)
    card.hidden = true
    begin.focus({ preventScroll: true })
  }

  begin.onclick = () => {
    remember()
    go(0)
  }
  skip.onclick = () => {
    remember()
    begin.focus()
  }
  back.onclick = () => go(at - 1)
  next.onclick = () => (at === data.stops.length - 1 ? leave() : go(at + 1))
  end.onclick = leave
  card.onkeydown = ({ key }) => {
    if (key === "Escape") leave()
    if (key === "ArrowRight" && at < data.stops.length - 1) go(at + 1)
    if (key === "ArrowLeft" && at > 0) go(at - 1)
  }

  let toured = true
  try {
    toured = localStorage.getItem(SEEN) !== null
  } catch {
    toured = false
  }
  offered(!toured)
  return () => outline(null)
}
