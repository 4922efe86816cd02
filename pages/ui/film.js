// The run's film: everyone's answers to a fixed digit of each mechanism, a picture every few steps. All of it is fetched ahead,
// so that a move of the playhead finds its picture in memory.

const AT_ONCE = 6 // pictures fetched at the same time
const RUNS_KEPT = 3 // whose pictures stay in memory: those that were looked at last
const films = new Map() // address -> picture, null while it is fetched
let looked = [] // the places of these runs' pictures, the newest look first

function loadFilm(view, draw) {
  const { film } = view.data
  if (!film) return
  looked = [placeOf(film), ...looked.filter((place) => place !== placeOf(film))].slice(0, RUNS_KEPT)
  for (const address of films.keys()) if (!looked.some((place) => address.startsWith(place))) films.delete(address)
  const copy = film.steps.length || film.copy === null ? [] : [copyOf(film)]
  const wanted = ["digits", ...copy, ...film.steps.map(named)].map((name) => frame(film, name)).filter((each) => !films.has(each))
  const next = async () => {
    for (let address = wanted.shift(); address; address = wanted.shift()) {
      if (films.has(address)) continue
      films.set(address, null)
      try {
        const answer = await fetch(address)
        if (!answer.ok) throw new Error(answer.status)
        films.set(address, await createImageBitmap(await answer.blob()))
        draw()
      } catch {
        films.delete(address) // it is asked for again at the next look
      }
    }
  }
  for (let each = 0; each < AT_ONCE; each++) next()
}

const named = (step) => String(step).padStart(6, "0")
const copyOf = (film) => `copy_${named(film.copy)}`
const placeOf = (film) => `film/${film.run}/${film.version}/`
const frame = (film, name) => `${placeOf(film)}${name}.webp`

// The newest picture up to a step that is here. Before the competition the newest one of the identity phase.
function pictureAt({ data: { film } }, now) {
  if (!film.steps.length) return pictureOf(film, 0, copyOf(film))
  const step = film.steps.findLast((each) => each <= now && films.get(frame(film, named(each))))
  return step === undefined ? null : pictureOf(film, step, named(step))
}

function pictureOf(film, step, name) {
  const picture = films.get(frame(film, name))
  return picture ? { step, picture } : null
}

function drawFilm(canvas, view, now) {
  const { data, layout } = view
  const draw = pen(canvas)
  const { width, height, cell } = layout.film
  draw.clearRect(0, 0, width, height)
  const found = pictureAt(view, now)
  if (!found) return
  canvas.dataset.step = found.step
  const side = found.picture.width / data.experts
  const point = pointAt(view, found.step)
  const down = layout.narrow ? cell + GAP : layout.row
  const left = layout.narrow ? 2 * (cell + 1) + SPACE : 0 // elsewhere the digits stand beside the names
  if (left) data.mechanisms.forEach((_, row) => drawDigits(draw, view, row, left - SPACE, HEAD + row * down, cell))
  data.order.forEach((expert, column) => {
    const x = left + column * (cell + 1)
    draw.fillStyle = view.text
    draw.font = `600 11px ${view.font}`
    draw.textAlign = "center"
    draw.textBaseline = "middle"
    draw.fillText(`E${expert}`, x + cell / 2, HEAD / 2)
    draw.textAlign = "left"
    hasBadge(draw, view, expert, x + cell / 2, HEAD / 2)
    data.mechanisms.forEach((_, row) => {
      const y = HEAD + row * down
      draw.drawImage(found.picture, expert * side, row * side, side, side, x, y, cell, cell)
      if (ownerAt(view, point, row) !== expert) return
      draw.lineWidth = 2.5
      draw.strokeStyle = colourOf(view, expert)
      draw.strokeRect(x + 1.25, y + 1.25, cell - 2.5, cell - 2.5)
    })
  })
}

// The row's digit as it is, and as its mechanism changes it, up to `right`.
function drawDigits(draw, { data: { film } }, row, right, top, cell) {
  const digits = film && films.get(frame(film, "digits"))
  if (!digits) return
  const side = digits.height / 2
  for (const part of [0, 1]) {
    draw.drawImage(digits, row * side, part * side, side, side, right - (2 - part) * (cell + 1), top, cell, cell)
  }
}
