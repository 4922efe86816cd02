// Guess who: cards that lie face down, a bet, and the cards turn over from the worst score to the best. Then the winner's answer
// flies to where the digit was. Who asks for less motion sees all at once.

const SIDE = 32 // pixels of a picture, height and width
const TURN = 320 // ms from one card to the next
const FLIGHT = 700 // ms

const tables = new WeakMap() // element -> what is kept of the game that it shows

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector)
  const [list, next, said, slot] = [".cards", ".next", ".said", ".slot"].map(find)
  const kept = tables.get(list) ?? { number: null, timers: [] }
  tables.set(list, kept)
  kept.data = data

  const still = matchMedia("(prefers-reduced-motion: reduce)").matches
  const cardOf = (expert) => list.querySelector(`[data-expert="${expert}"]`)

  function deal() {
    kept.timers.forEach(clearTimeout)
    Object.assign(kept, { number: data.number, bet: null, open: false, timers: [] })
    paint(find(".after canvas"), data.changed)
    paint(find(".truth canvas"), data.original)
    find(".after canvas").setAttribute("aria-label", "A digit that something has changed")
    find(".truth").hidden = next.hidden = true
    find(".before figcaption").textContent = "The digit"
    slot.replaceChildren("?")
    slot.style.outlineColor = ""
    list.replaceChildren(...data.cards.map(card))
    said.textContent = "Who undoes this? Bet on an expert."
    list.querySelector("button").tabIndex = 0
  }

  function card({ expert, badge, colour, emblem, words, score, answer }) {
    const item = document.createElement("li")
    item.innerHTML = `<button type="button" tabindex="-1"><span class="front"><img alt=""><b></b><small></small></span>
      <span class="back"><canvas width="${SIDE}" height="${SIDE}"></canvas><b></b><i><u></u></i><em></em></span></button>`
    const button = item.firstElementChild
    button.dataset.expert = expert
    button.style.setProperty("--colour", colour)
    button.setAttribute("aria-label", words ? `Bet on ${badge}, ${words}` : `Bet on ${badge}`)
    item.querySelector("img").src = emblem
    item.querySelectorAll("b").forEach((each) => (each.textContent = badge))
    item.querySelector("small").textContent = words
    paint(item.querySelector("canvas"), answer)
    const [low, high] = data.axis
    item.querySelector("u").style.width = `${(100 * (score - low)) / (high - low)}%`
    item.querySelector("em").textContent = `${score < 0 ? "−" : "+"}${Math.abs(score).toFixed(1)}`
    button.onclick = () => bet(expert)
    return item
  }

  function bet(expert) {
    if (kept.bet !== null) return
    kept.bet = expert
    cardOf(expert).classList.add("bet")
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-disabled", "true")
    said.textContent = `You bet on ${cardOf(expert).querySelector("b").textContent}…`
    setStateValue("bet", { number: kept.number, expert })
    const order = [...data.cards].sort((one, other) => one.score - other.score)
    order.forEach(({ expert: each }, at) => later((at + 1) * TURN, () => turn(each)))
    later((order.length + 1) * TURN, fly)
  }

  const later = (wait, what) => (still ? what() : kept.timers.push(setTimeout(what, wait)))

  function turn(expert) {
    const { badge, score } = data.cards.find((each) => each.expert === expert)
    const button = cardOf(expert)
    button.classList.add("open")
    button.classList.toggle("wins", expert === data.winner)
    button.setAttribute("aria-label", `${badge}: score ${score.toFixed(1)}${expert === data.winner ? ", wins" : ""}`)
    // A card that lies open is a door, like every badge.
    button.dataset.inside = expert
    button.title = `What is inside ${badge}`
    button.removeAttribute("aria-disabled")
  }

  function fly() {
    const winner = data.cards.find((each) => each.expert === data.winner)
    const from = cardOf(data.winner).querySelector("canvas")
    const [start, end] = [from, slot].map((each) => each.getBoundingClientRect())
    const answer = document.createElement("canvas")
    answer.width = answer.height = SIDE
    paint(answer, winner.answer)
    answer.setAttribute("role", "img")
    answer.setAttribute("aria-label", "The winner's answer")
    find(".before figcaption").textContent = `${winner.badge}'s answer`
    slot.replaceChildren(answer)
    slot.style.outlineColor = cardOf(data.winner).style.getPropertyValue("--colour")
    const flight = still
      ? null
      : answer.animate(
          [
            {
              transform: `translate(${start.left - end.left}px, ${start.top - end.top}px) scale(${start.width / end.width})`,
            },
            { transform: "none" },
          ],
          { duration: FLIGHT, easing: "ease-in-out" },
        )
    flight ? (flight.onfinish = settle) : settle()
  }

  // All is open. What is said comes from the script, perhaps a little later than the last card.
  function settle() {
    kept.open = true
    find(".truth").hidden = next.hidden = false
    tell()
    if (parentElement.activeElement?.dataset.expert) next.focus()
  }

  function tell() {
    if (kept.data.told) said.textContent = kept.data.told
    find(".tally").textContent = kept.data.tally
  }

  next.onclick = () => setStateValue("next", { number: kept.number })
  list.onkeydown = (event) => {
    const buttons = [...list.querySelectorAll("button")]
    const across = getComputedStyle(list).gridTemplateColumns.split(" ").length
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key]
    const at = buttons.indexOf(parentElement.activeElement)
    const to = buttons[at + by]
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    if (!to) return
    buttons.forEach((each) => (each.tabIndex = each === to ? 0 : -1))
    to.focus()
  }

  const shown = [data.changed, ...data.cards.map((each) => each.words)].join()
  if (kept.number !== data.number || kept.shown !== shown) {
    const again = kept.number !== null && kept.number !== data.number && parentElement.activeElement === next
    deal()
    if (again) list.querySelector("button").focus()
  }
  kept.shown = shown
  if (data.told && kept.bet === null) {
    // The page was left and is back: what was bet on is over.
    kept.bet = data.winner
    data.cards.forEach(({ expert }) => turn(expert))
    fly()
  }
  if (kept.open || kept.bet === null) tell()
  return () => kept.timers.forEach(clearTimeout)
}

function paint(canvas, picture) {
  const draw = canvas.getContext("2d")
  const image = draw.createImageData(SIDE, SIDE)
  const grey = Uint8Array.from(atob(picture), (sign) => sign.charCodeAt(0))
  grey.forEach((value, at) => image.data.set([value, value, value, 255], 4 * at))
  draw.putImageData(image, 0, 0)
}
