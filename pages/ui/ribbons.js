// The matching that combs itself: from each mechanism's row a ribbon to every expert that wins some of its images at this moment.
// Experts stand in the order of what they come to own, so that one-to-one is ten straight bands.

function drawRibbons(canvas, view, now) {
  const { data, layout } = view
  const draw = pen(canvas)
  const { width, height } = layout.ribbons
  draw.clearRect(0, 0, width, height)
  const point = pointAt(view, now)
  const rows = data.mechanisms.length
  const thick = layout.row - GAP
  const [left, right] = [layout.narrow ? 98 : 0, width - 40]
  const places = Math.max(rows, data.order.length)
  const centre = (place) => HEAD + ((place + 0.5) * rows * layout.row) / places - GAP / 2

  if (layout.narrow) drawNames(draw, view)
  const owned = data.order.map(() => 0)
  data.order.forEach((expert, place) => {
    const shares = data.mechanisms.map((_, row) => view.shares(point, row, expert))
    const total = shares.reduce((sum, share) => sum + share, 0)
    const scale = Math.min(1, thick / (thick * Math.max(1, total)), ((rows / places) * layout.row) / thick)
    let end = centre(place) - (total * thick * scale) / 2
    shares.forEach((share, row) => {
      if (share > 0.5) owned[place] += 1
      if (share < 0.01) return
      const begin = HEAD + row * layout.row + below(view, point, row, expert) * thick
      ribbon(draw, left, begin, share * thick, right, end, share * thick * scale)
      draw.fillStyle = colourOf(view, expert)
      draw.globalAlpha = 0.8
      draw.fill()
      draw.globalAlpha = 1
      end += share * thick * scale
    })
  })
  data.order.forEach((expert, place) =>
    drawBadge(draw, view, expert, right + 20, centre(place), owned[place] === 1)
  )
  const own = ownCount(view, now)
  canvas.setAttribute("aria-label", `Ribbons: ${own} of ${rows} mechanisms have an expert of their own`)
  canvas.dataset.own = own
}

// How much of a row's stack lies above an expert's part, from the top: as the rows over time are stacked.
function below({ data, shares }, point, row, expert) {
  const first = data.order[row]
  const stack = [...(first === undefined ? [] : [first]), ...data.order.filter((each) => each !== first)]
  const before = stack.slice(0, stack.indexOf(expert) + 1)
  return 1 - before.reduce((sum, each) => sum + shares(point, row, each), 0)
}

function ribbon(draw, left, begin, thick, right, end, thin) {
  const middle = (left + right) / 2
  draw.beginPath()
  draw.moveTo(left, begin)
  draw.bezierCurveTo(middle, begin, middle, end, right, end)
  draw.lineTo(right, end + thin)
  draw.bezierCurveTo(middle, end + thin, middle, begin + thick, left, begin + thick)
  draw.closePath()
}

function drawNames(draw, view) {
  draw.font = `13px ${view.font}`
  draw.textBaseline = "middle"
  draw.fillStyle = view.text
  view.data.mechanisms.forEach(({ symbol, name }, row) => {
    const middle = HEAD + row * view.layout.row + (view.layout.row - GAP) / 2
    drawName(draw, view, symbol, name, middle)
  })
}
