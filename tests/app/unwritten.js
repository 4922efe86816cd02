// Before a page's own scripts: text on canvases is not painted but noted, with its colour and its place, so that a picture of the
// page shows what would be under it.
;(() => {
  const notes = new Map() // of each canvas
  const clear = CanvasRenderingContext2D.prototype.clearRect
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    notes.delete(this.canvas)
    return clear.apply(this, box)
  }
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const size = this.measureText(text)
    const at = this.getTransform()
    const corner = at.transformPoint({ x: x - size.actualBoundingBoxLeft, y: y - size.actualBoundingBoxAscent })
    const end = at.transformPoint({ x: x + size.actualBoundingBoxRight, y: y + size.actualBoundingBoxDescent })
    const note = { text: String(text), colour: this.fillStyle, opacity: this.globalAlpha, corner, end }
    if (!notes.has(this.canvas)) notes.set(this.canvas, [])
    notes.get(this.canvas).push(note)
  }
  CanvasRenderingContext2D.prototype.strokeText = () => {} // a halo around text; what counts is the text itself

  /** What stands on canvases that can be seen: text, what it belongs to, colour, box in the window (left, top, right, bottom). */
  window.unwritten = () =>
    [...notes].flatMap(([canvas, found]) => {
      const box = canvas.getBoundingClientRect()
      if (!canvas.isConnected || box.width === 0 || !canvas.checkVisibility()) return []
      const [across, down] = [box.width / canvas.width, box.height / canvas.height]
      const of = canvas.closest("[aria-label]")?.ariaLabel ?? canvas.className
      return found.map(({ text, colour, opacity, corner, end }) => {
        const [left, right] = [corner.x, end.x].sort((one, other) => one - other).map((x) => box.x + x * across)
        const [top, bottom] = [corner.y, end.y].sort((one, other) => one - other).map((y) => box.y + y * down)
        return { text, of, colour, opacity, box: [left, top, right, bottom] }
      })
    })
})()
