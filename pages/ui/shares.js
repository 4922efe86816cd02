// The rows over time: shares, names and digits before them, the axis with its events, the playhead; and the badges of experts.

// The rows, drawn once: each column a point, in it the experts' shares, the one at the bottom whose place is beside the row.
function drawShares(view) {
  const { data, layout } = view
  const canvas = document.createElement("canvas")
  resize(canvas, layout.time.width, layout.time.height)
  const draw = pen(canvas)
  const high = layout.row - GAP
  data.mechanisms.forEach((_, row) => {
    const top = HEAD + row * layout.row
    draw.fillStyle = view.empty
    draw.fillRect(layout.time.left, top, layout.time.right - layout.time.left, high)
    const first = data.order[row]
    const stack = [...(first === undefined ? [] : [first]), ...data.order.filter((each) => each !== first)]
    let from = layout.time.left
    data.step.forEach((step, point) => {
      const to = onPixel(xOf(view, step))
      const total = stack.reduce((sum, expert) => sum + view.shares(point, row, expert), 0) || 1
      let bottom = top + high
      for (const expert of stack) {
        const share = (view.shares(point, row, expert) / total) * high
        if (!share) continue
        draw.fillStyle = colourOf(view, expert)
        draw.fillRect(from, bottom - share, to - from, share)
        bottom -= share
      }
      from = to
    })
  })
  return canvas
}

function drawTime(canvas, view, now) {
  const { data, layout, kept } = view
  const draw = pen(canvas)
  const { width, height, left, right } = layout.time
  draw.clearRect(0, 0, width, height)
  draw.drawImage(view.base, 0, 0, width, height)
  const bottom = HEAD + data.mechanisms.length * layout.row - GAP
  const x = xOf(view, now)
  if (kept.at !== null) {
    draw.globalAlpha = 0.72
    draw.fillStyle = view.ground
    draw.fillRect(x, HEAD, right - x, bottom - HEAD)
    draw.globalAlpha = 1
  }
  drawLabels(draw, view)
  drawAxis(draw, view, bottom)
  if (layout.alone) data.mechanisms.forEach((_, row) => drawOwner(draw, view, now, row))

  draw.fillStyle = draw.strokeStyle = view.text
  draw.lineWidth = 2
  draw.beginPath()
  draw.moveTo(x, HEAD - 6)
  draw.lineTo(x, bottom + 5)
  draw.stroke()
  draw.beginPath()
  draw.arc(x, HEAD - 8, 5, 0, 2 * Math.PI)
  draw.fill()
}

function drawLabels(draw, view) {
  const { data, layout, kept } = view
  draw.textBaseline = "middle"
  data.mechanisms.forEach(({ symbol, name }, row) => {
    const top = HEAD + row * layout.row
    const middle = top + (layout.row - GAP) / 2
    if (row === kept.row) {
      draw.fillStyle = view.primary
      draw.fillRect(0, top, 3, layout.row - GAP)
    }
    draw.fillStyle = view.text
    draw.font = `${row === kept.row ? 600 : 400} 13px ${view.font}`
    drawName(draw, view, symbol, name, middle)
    if (!layout.narrow) drawDigits(draw, view, row, layout.time.left - 8, top, layout.row - GAP)
  })
}

function drawName(draw, view, symbol, name, middle) {
  const font = draw.font
  draw.font = `16px ${view.font}`
  draw.fillText(symbol, 7, middle)
  draw.font = font
  draw.fillText(name, 27, middle)
}

function drawAxis(draw, view, bottom) {
  const { data, layout } = view
  draw.font = `12px ${view.font}`
  draw.textBaseline = "top"
  draw.fillStyle = view.text
  let free = -Infinity
  const marks = [...TICKS.filter((step) => step < data.last), data.last]
  marks.forEach((step, place) => {
    const x = xOf(view, step)
    const text = group(step)
    const half = draw.measureText(text).width / 2
    const last = place === marks.length - 1
    const room = last || x + half < xOf(view, data.last) - 2 * half - 10
    if (x - half < free || !room) return
    draw.fillRect(x - 0.5, bottom + 2, 1, 5)
    draw.fillText(text, Math.min(x - half, layout.time.right - 2 * half), bottom + 15)
    free = x + half + 8
  })
  for (const [step] of data.events) {
    const x = xOf(view, step)
    draw.beginPath()
    draw.moveTo(x, bottom + 2)
    draw.lineTo(x - 3.5, bottom + 10)
    draw.lineTo(x + 3.5, bottom + 10)
    draw.fill()
  }
}

function drawOwner(draw, view, now, row) {
  const owner = ownerAt(view, pointAt(view, now), row)
  if (owner === null) return
  const middle = HEAD + row * view.layout.row + (view.layout.row - GAP) / 2
  drawBadge(draw, view, owner, view.layout.time.right + 20, middle, true)
}

function drawBadge(draw, view, expert, x, y, lit) {
  hasBadge(draw, view, expert, x, y)
  const [wide, high] = [28, 18]
  const colour = colourOf(view, expert)
  draw.beginPath()
  draw.roundRect(x - wide / 2, y - high / 2, wide, high, 9)
  draw.fillStyle = lit ? colour : view.ground
  draw.fill()
  draw.lineWidth = 2
  draw.strokeStyle = colour
  draw.stroke()
  draw.font = `600 11px ${view.font}`
  draw.textAlign = "center"
  draw.textBaseline = "middle"
  draw.fillStyle = lit ? (luminance(colour) > 0.18 ? "#000000" : "#ffffff") : view.text
  draw.fillText(`E${expert}`, x, y + 0.5)
  draw.textAlign = "left"
}

function hasBadge({ canvas }, { badges }, expert, x, y) {
  badges.set(canvas, [...(badges.get(canvas) ?? []), { expert, x, y }])
}
