// Who undoes what, over time. Three pictures whose rows are the mechanisms: the experts' shares of each mechanism's images over
// time; the same as ribbons at the moment under the playhead; and what everyone answers at that moment, from the run's film.
// The playhead follows the hand without a question to the script, which hears of it when the hand lets go.
//
// One script with shares.js, ribbons.js and film.js, which come after it and draw.

const AXIS = 30 // CSS pixels below the rows, for steps and events
const HEAD = 20 // above them, for the experts' names
const GAP = 3 // between two rows
const WHOLE = 254 // a share of all, as in icm/show/timeline.py
// Less wide, without a film, or with one of ten experts, or for each expert more, the pictures stand one below the other.
const NARROW = { without: 620, with: 900, more: 34 }
const SPACE = 12 // between two pictures that stand side by side
const FULL_PLAY = 9000 // ms to play a whole run
const REST = 350 // ms after the last key before the script hears of it
const TICKS = [0, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000]

const timelines = new Map() // key -> what is kept of one between two runs of the script

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector)
  const root = find(".timeline")
  const canvases = { time: find(".time"), ribbons: find(".ribbons"), film: find(".film") }
  const kept = timelines.get(data.key) ?? { at: null, row: null, playing: null }
  timelines.set(data.key, kept)
  const view = { data, kept, shares: sharesOf(data), ...looks(root), layout: null, base: null, badges: new Map() }

  // A choice that the script made, by a link or on another widget, counts more than what is kept.
  if (kept.told !== JSON.stringify([data.run, data.at, data.row])) {
    kept.told = JSON.stringify([data.run, data.at, data.row])
    if (kept.playing === null) kept.at = data.at
    kept.row = data.row
  }
  if (kept.run !== data.run) Object.assign(kept, { run: data.run, playing: null, at: data.at })

  const newest = () => data.step.at(-1) ?? 0
  const at = () => Math.min(kept.at ?? newest(), newest())

  function lay() {
    const width = root.clientWidth
    if (!width) return // hidden: what is not wide cannot be drawn
    const narrow = width < (data.film ? NARROW.with + NARROW.more * Math.max(0, data.order.length - 10) : NARROW.without)
    root.classList.toggle("narrow", narrow)
    view.layout = layoutOf(data, width, narrow)
    for (const [name, canvas] of Object.entries(canvases)) {
      const box = view.layout[name]
      canvas.parentElement.hidden = !box
      if (box) resize(canvas, box.width, box.height)
    }
    view.base = null
    Object.assign(canvases.time.dataset, { ...view.layout.time, rows: data.mechanisms.length })
  }

  let asked = 0
  const draw = () => {
    asked ||= requestAnimationFrame(drawNow)
  }
  function drawNow() {
    asked = 0
    if (!root.isConnected || !view.layout) return
    const now = at()
    view.base ??= drawShares(view)
    view.badges.clear()
    drawTime(canvases.time, view, now)
    if (view.layout.ribbons) drawRibbons(canvases.ribbons, view, now)
    if (view.layout.film) drawFilm(canvases.film, view, now)
    say(now)
    canvases.time.dataset.step = now
  }

  function say(now) {
    const told = data.events.findLast(([step]) => step <= now)
    const words = told ? `Step ${group(told[0])} · ${told[1]}` : data.before
    const said = find(".said")
    if (said.textContent !== words) said.textContent = words
    find(".now").textContent = `Step ${group(now)}: ${ownCount(view, now)} of ${data.mechanisms.length} one-to-one`
    find(".when").textContent = `step ${group(now)} of ${group(data.steps)}`
    find(".play").textContent = kept.playing === null ? "▶ Play" : "■ Stop"
    find(".newest").hidden = kept.at === null
    const canvas = canvases.time
    canvas.setAttribute("aria-valuemax", newest())
    canvas.setAttribute("aria-valuenow", now)
    canvas.setAttribute("aria-valuetext", `step ${now}: ${wins(view, kept.row ?? 0, now)}`)
  }

  // `at` null is the newest step, whatever that will be.
  function go(step, row = kept.row) {
    kept.at = step === null || Math.round(step) >= newest() ? null : Math.max(0, Math.round(step))
    kept.row = row
    draw()
  }

  function send() {
    clearTimeout(kept.timer)
    const now = JSON.stringify([data.run, kept.at, kept.row])
    if (!data.tells || now === kept.told) return
    kept.told = now
    setStateValue("chosen", { run: data.run, at: kept.at, row: kept.row })
  }

  function sendSoon() {
    clearTimeout(kept.timer)
    kept.timer = setTimeout(send, REST)
  }

  // Time passes evenly along the axis, so that the early steps are seen.
  function play() {
    if (kept.playing !== null) return stop()
    const from = kept.at === null ? 0 : Math.sqrt(at() / newest())
    const begun = performance.now() - from * FULL_PLAY
    const frame = (time) => {
      if (kept.playing === null) return
      if (!root.isConnected) return Object.assign(kept, { playing: null, at: data.at }) // who comes back finds it at rest
      const share = Math.min(1, (time - begun) / FULL_PLAY)
      go(newest() * share ** 2)
      if (share >= 1) return stop()
      kept.playing = requestAnimationFrame(frame)
    }
    kept.playing = requestAnimationFrame(frame)
  }

  function stop() {
    cancelAnimationFrame(kept.playing)
    kept.playing = null
    draw()
    send()
  }

  function place(event) {
    const box = canvases.time.getBoundingClientRect()
    const [x, y] = [event.clientX - box.left, event.clientY - box.top]
    return { x, y, step: stepAt(view, x), row: rowAt(view, y) }
  }

  function tip(event) {
    const { x, y, step, row } = place(event)
    const box = find(".tip")
    const { left, right } = view.layout.time
    const inside = x >= left - 4 && x <= right + 4 && step <= newest()
    const pinned = inside && row === null ? eventsNear(view, x) : []
    box.hidden = !inside || (row === null && !pinned.length)
    if (box.hidden) return
    box.textContent = pinned.length
      ? pinned.map(([when, words]) => `step ${group(when)} · ${words}`).join("\n")
      : `step ${group(step)} · ${wins(view, row, step)}`
    const room = view.layout.time.width - box.offsetWidth
    box.style.left = `${Math.max(0, Math.min(room, x + 12))}px`
    box.style.top = `${y - box.offsetHeight - 12}px`
  }

  // While the hand is on a badge, the canvas is a door to that expert's inside: see doors.js.
  function door(event) {
    const canvas = event.currentTarget
    const expert = data.door === null ? null : badgeAt(view, canvas, event)
    canvas.classList.toggle("door", expert !== null)
    if (expert === null) delete canvas.dataset.inside
    else Object.assign(canvas.dataset, { inside: expert, door: data.door })
    return expert !== null
  }
  for (const canvas of [canvases.ribbons, canvases.film]) canvas.onpointerdown = canvas.onpointermove = door

  const time = canvases.time

  // Enter opens the inside of who owns the chosen mechanism, as a click on its badge does.
  function enter() {
    const owner = kept.row === null ? null : ownerAt(view, pointAt(view, at()), kept.row)
    if (data.door === null || owner === null) return
    Object.assign(time.dataset, { inside: owner, door: data.door })
    time.click()
    delete time.dataset.inside
  }

  time.onpointerdown = (event) => {
    if (event.button !== 0 || door(event)) return
    const { x, step, row } = place(event)
    kept.playing = null
    kept.dragging = event.pointerId
    time.setPointerCapture(event.pointerId)
    const [pin] = row === null ? eventsNear(view, x) : []
    go(x < view.layout.time.left ? kept.at : (pin?.[0] ?? step), row ?? kept.row)
  }
  time.onpointermove = (event) => {
    if (kept.dragging === event.pointerId) go(place(event).step)
    else door(event)
    tip(event)
  }
  time.onpointerup = time.onpointercancel = time.onlostpointercapture = () => {
    if (kept.dragging == null) return
    kept.dragging = null
    send()
  }
  time.onpointerleave = () => (find(".tip").hidden = true)
  time.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const rows = data.mechanisms.length
    const here = pointAt(view, at())
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, PageDown: here - 10, PageUp: here + 10 }[event.key]
    const turn = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    if (to !== undefined) go(to < 0 ? 0 : (data.step[to] ?? null))
    else if (turn) go(kept.at, ((kept.row ?? (turn > 0 ? -1 : 0)) + turn + rows) % rows)
    else if (event.key === "Home") go(0)
    else if (event.key === "End") go(null)
    else if (event.key === " ") return event.preventDefault(), play()
    else if (event.key === "Enter") enter()
    else return
    kept.playing = null // who takes it by the keys, as by the hand, wants it to stand
    event.preventDefault()
    sendSoon()
  }
  find(".play").onclick = play
  find(".newest").onclick = () => (go(null), send())

  // A canvas that gets another size is empty until it is drawn: at once, or the screen would show it so.
  // Streamlit lets only the newest run of this script clean up: each lets go of the one before.
  kept.watcher?.disconnect()
  const watcher = new ResizeObserver(() => (lay(), drawNow()))
  kept.watcher = watcher
  watcher.observe(root)
  lay()
  drawNow()
  loadFilm(view, draw)
  if (data.plays && !kept.played && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    kept.at = 0
    whenSeen(root, () => {
      if (kept.played) return
      kept.played = true
      play()
    })
  }
  return () => {
    watcher.disconnect()
    clearTimeout(kept.timer)
  }
}

// What is drawn where

function layoutOf(data, width, narrow) {
  const rows = data.mechanisms.length
  const row = narrow ? 26 : 36
  const height = HEAD + rows * row + AXIS
  const label = narrow ? 92 : data.film ? 176 : 108
  const alone = !data.parts.includes("ribbons")
  const ending = alone ? 34 : 8 // the owner's badge stands at the end of its row where no ribbons go on from there
  const box = (wide) => ({ width: wide, height })
  if (narrow) {
    const cell = Math.min(34, Math.floor((width - SPACE) / (data.order.length + 2)) - 1) // with the digit before and after
    return {
      row,
      narrow,
      alone,
      time: { ...box(width), left: label, right: width - ending },
      ribbons: alone ? null : { ...box(width), height: HEAD + rows * row },
      film: data.film ? { width, height: HEAD + rows * (cell + GAP), cell } : null,
    }
  }
  const cell = row - GAP
  const film = data.film ? data.order.length * (cell + 1) : 0
  const ribbons = alone ? 0 : Math.round(Math.min(220, Math.max(140, width * 0.15)))
  const time = width - ribbons - film - (ribbons ? SPACE : 0) - (film ? SPACE : 0)
  return {
    row,
    narrow,
    alone,
    time: { ...box(time), left: label, right: time - ending },
    ribbons: alone ? null : box(ribbons),
    film: film ? { ...box(film), cell } : null,
  }
}

function looks(root) {
  const style = getComputedStyle(root)
  const ground = style.getPropertyValue("--st-background-color").trim() || "#ffffff"
  return {
    text: style.color,
    ground,
    empty: style.getPropertyValue("--st-secondary-background-color").trim() || "#f0f2f6",
    primary: style.getPropertyValue("--st-primary-color").trim() || "#ff4b4b",
    font: style.fontFamily,
  }
}

function luminance(colour) {
  const parts = colour.match(/^#(..)(..)(..)/)?.slice(1) ?? []
  const [red, green, blue] = parts.map((part) => (parseInt(part, 16) / 255) ** 2.2)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

const colourOf = ({ data: { colours } }, expert) => colours[expert % colours.length]

function resize(canvas, width, height) {
  const scale = devicePixelRatio || 1
  canvas.style.width = `${width}px`
  canvas.style.height = `${height}px`
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width !== across) canvas.width = across
  if (canvas.height !== down) canvas.height = down
}

// Edges between whole pixels of the screen leave no seams between columns.
const onPixel = (x) => Math.round(x * (devicePixelRatio || 1)) / (devicePixelRatio || 1)

function pen(canvas) {
  const draw = canvas.getContext("2d")
  const scale = devicePixelRatio || 1
  draw.setTransform(scale, 0, 0, scale, 0, 0)
  draw.imageSmoothingEnabled = false
  return draw
}

// Of the experts whose badges are drawn on a canvas the one under the hand; null beside them.
function badgeAt({ badges }, canvas, { clientX, clientY }) {
  const box = canvas.getBoundingClientRect()
  const [x, y] = [clientX - box.left, clientY - box.top]
  const near = (badges.get(canvas) ?? []).find((each) => Math.abs(each.x - x) <= 16 && Math.abs(each.y - y) <= 14)
  return near?.expert ?? null
}

// The numbers

const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))

// Shares travel as one bit for each, whether it is above 0, and a byte for each that is: three of four are 0.
function sharesOf({ above, share, step, mechanisms, experts }) {
  const [bits, bytes] = [bytesOf(above), bytesOf(share)]
  const [row, point] = [experts, experts * mechanisms.length]
  const whole = new Uint8Array(step.length * point)
  let next = 0
  for (let at = 0; at < whole.length; at++) if (bits[at >> 3] & (128 >> (at & 7))) whole[at] = bytes[next++]
  return (at, mechanism, expert) => (at < 0 ? 0 : whole[at * point + mechanism * row + expert] / WHOLE)
}

// The newest point up to a step; -1 before the first.
const pointAt = ({ data }, step) => data.step.findLastIndex((each) => each <= step)

function stepAt({ data, layout }, x) {
  const { left, right } = layout.time
  return Math.round(data.last * Math.min(1, Math.max(0, (x - left) / (right - left))) ** 2)
}

const xOf = ({ data, layout }, step) =>
  layout.time.left + (layout.time.right - layout.time.left) * Math.sqrt(step / data.last)

function rowAt({ data, layout }, y) {
  const row = Math.floor((y - HEAD) / layout.row)
  return row >= 0 && row < data.mechanisms.length ? row : null
}

const eventsNear = (view, x) => view.data.events.filter(([step]) => Math.abs(xOf(view, step) - x) <= 5).slice(-6)

// "up: E5 68 %, E2 30 %"
function wins(view, row, step) {
  const point = pointAt(view, step)
  const shares = view.data.order.map((expert) => [expert, view.shares(point, row, expert)])
  const named = shares.sort((one, other) => other[1] - one[1]).filter(([, share], place) => share >= 0.05 && place < 3)
  const said = named.map(([expert, share]) => `E${expert} ${Math.round(100 * share)} %`).join(", ")
  return `${view.data.mechanisms[row].name}: ${said || "nobody yet"}`
}

// Who wins more than half of a mechanism's images; null when nobody does.
function ownerAt(view, point, row) {
  return view.data.order.find((expert) => view.shares(point, row, expert) > 0.5) ?? null
}

// How many mechanisms have an owner that owns nothing else.
function ownCount(view, now) {
  const owners = view.data.mechanisms.map((_, row) => ownerAt(view, pointAt(view, now), row))
  return owners.filter((owner) => owner !== null && owners.indexOf(owner) === owners.lastIndexOf(owner)).length
}

const group = (number) => number.toLocaleString("en-US")

// Calls once the element is on the screen.
function whenSeen(element, call) {
  const watcher = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return
    watcher.disconnect()
    call()
  })
  watcher.observe(element)
}
