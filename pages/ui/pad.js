// The drawing pad. What is drawn outlives a rerun, a remount and a visit to another page: it is kept by the pad's key.

const SIDE = 320 // logical pixels, height and width of the canvas
const SENT = 160 // pixels, height and width of what goes to Python
const STEP = 10 // logical pixels, one pixel of what the networks see
const PAUSE = 150 // ms, the least time between two pictures sent while drawing
const UNDOABLE = 40 // steps, 0.4 MB each
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

const pads = new Map() // key -> what is kept of a pad

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector)
  const [canvas, hint, cursor] = ["canvas", ".hint", ".cursor"].map(find)
  const [undoButton, clearButton, width] = [".undo", ".clear", ".width"].map(find)
  const fresh = { past: [], version: 0, pen: null, last: null, middle: null, at: [SIDE / 2, SIDE / 2] }
  const kept = pads.get(data.key) ?? fresh
  pads.set(data.key, kept)
  const ink = canvas.getContext("2d", { willReadFrequently: true })

  // The ink as base64 of one grey byte for each 2x2 pixels; null when there is none.
  function pixels() {
    const { data: rgba } = ink.getImageData(0, 0, SIDE, SIDE)
    const grey = new Uint8Array(SENT * SENT)
    for (let y = 0, to = 0; y < SENT; y++) {
      for (let x = 0; x < SENT; x++, to++) {
        const from = 8 * (y * SIDE + x)
        const below = from + 4 * SIDE
        grey[to] = (rgba[from] + rgba[from + 4] + rgba[below] + rgba[below + 4] + 2) >> 2
      }
    }
    return grey.some((value) => value) ? btoa(String.fromCharCode(...grey)) : null
  }

  function send() {
    clearTimeout(kept.timer)
    kept.timer = null
    const now = pixels()
    hint.hidden = now !== null
    clearButton.disabled = now === null
    undoButton.disabled = kept.past.length === 0
    if (now === kept.sent) return
    kept.sent = now
    setStateValue("pixels", now)
  }

  // Never at once: so a short stroke is sent only when it ends, and need not wait for the answer to its beginning.
  const sendSoon = () => (kept.timer ??= setTimeout(send, PAUSE))

  function remember() {
    kept.past.push(ink.getImageData(0, 0, SIDE, SIDE))
    if (kept.past.length > UNDOABLE) kept.past.shift()
  }

  function blacken() {
    ink.fillStyle = "black"
    ink.fillRect(0, 0, SIDE, SIDE)
  }

  function line(from, over, to) {
    ink.strokeStyle = "white"
    ink.lineCap = ink.lineJoin = "round"
    ink.lineWidth = STEP * width.valueAsNumber
    ink.beginPath()
    ink.moveTo(...from)
    ink.quadraticCurveTo(...over, ...to)
    ink.stroke()
  }

  function dot([x, y]) {
    ink.fillStyle = "white"
    ink.beginPath()
    ink.arc(x, y, (STEP * width.valueAsNumber) / 2, 0, 2 * Math.PI)
    ink.fill()
  }

  // `pen` is the id of the pointer that draws, or "keys"; null when none does.
  function lower(pen, point) {
    remember()
    if (kept.example) blacken() // the first stroke takes the example's place
    kept.example = false
    kept.pen = pen
    kept.last = kept.middle = point
    dot(point) // a line of no length leaves no ink
    hint.hidden = true
    sendSoon()
  }

  // A curve from the last midpoint between two points to the next, bent towards the point between them.
  function drag(point) {
    const middle = [(kept.last[0] + point[0]) / 2, (kept.last[1] + point[1]) / 2]
    line(kept.middle, kept.last, middle)
    kept.last = point
    kept.middle = middle
    sendSoon()
  }

  function lift() {
    if (kept.pen === null) return
    line(kept.middle, kept.middle, kept.last)
    kept.pen = null
    cursor.classList.remove("down")
    send()
  }

  function undo() {
    lift()
    kept.example = false
    if (kept.past.length) ink.putImageData(kept.past.pop(), 0, 0)
    send()
    if (undoButton.disabled && parentElement.activeElement === undoButton) canvas.focus()
  }

  function clear() {
    lift()
    remember()
    kept.example = false
    blacken()
    send()
    if (parentElement.activeElement === clearButton) canvas.focus()
  }

  function place(event) {
    const box = canvas.getBoundingClientRect()
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height]
  }

  function showCursor() {
    cursor.hidden = false
    cursor.classList.toggle("down", kept.pen === "keys")
    cursor.style.left = `${(100 * kept.at[0]) / SIDE}%`
    cursor.style.top = `${(100 * kept.at[1]) / SIDE}%`
  }

  canvas.onpointerdown = (event) => {
    if (event.button !== 0 || Number.isInteger(kept.pen)) return // a second finger draws nothing
    lift()
    cursor.hidden = true
    canvas.setPointerCapture(event.pointerId)
    lower(event.pointerId, place(event))
  }
  canvas.onpointermove = (event) => {
    if (event.pointerId !== kept.pen) return
    const passed = event.getCoalescedEvents?.() ?? []
    for (const each of passed.length ? passed : [event]) drag(place(each))
  }
  canvas.onpointerup = canvas.onpointercancel = canvas.onlostpointercapture = (event) => {
    if (event.pointerId === kept.pen) lift()
  }
  canvas.onkeydown = (event) => {
    const arrow = ARROWS[event.key]
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (arrow) {
      const far = STEP * (event.shiftKey ? 4 : 1)
      kept.at = kept.at.map((old, axis) => Math.min(SIDE, Math.max(0, old + far * arrow[axis])))
      if (kept.pen === "keys") drag(kept.at)
    } else if (event.key === " " && !event.repeat) {
      if (kept.pen === "keys") lift()
      else if (kept.pen === null) lower("keys", kept.at)
    } else if (event.key === "Escape") lift()
    else if (event.key !== " ") return
    event.preventDefault()
    showCursor()
  }
  canvas.onblur = () => {
    if (kept.pen === "keys") lift()
    cursor.hidden = true
  }
  find(".pad").onkeydown = (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    undo()
  }
  undoButton.onclick = undo
  clearButton.onclick = clear
  width.oninput = () => (kept.width = width.value)

  // A new canvas: the first one, or one that was mounted anew.
  if (kept.canvas !== canvas) {
    blacken()
    if (kept.canvas) ink.drawImage(kept.canvas, 0, 0)
    if (kept.width) width.value = kept.width
    Object.assign(kept, { canvas, pen: null, sent: null })
    send()
  }
  if (data.version !== kept.version) {
    kept.version = data.version
    // An example that comes late does not take the place of what somebody has begun to draw.
    if (data.picture && !(data.example && (kept.past.length || pixels()))) {
      lift()
      if (!data.example) remember()
      kept.example = data.example
      const grey = Uint8Array.from(atob(data.picture), (sign) => sign.charCodeAt(0))
      const side = SIDE / STEP
      grey.forEach((value, at) => {
        ink.fillStyle = `rgb(${value} ${value} ${value})`
        ink.fillRect(STEP * (at % side), STEP * Math.floor(at / side), STEP, STEP)
      })
      send()
    }
  }
  return () => clearTimeout(kept.timer)
}
