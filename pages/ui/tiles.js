// A tile for each mechanism with the drawing as it would change it: a tap takes that mechanism alone, "+" adds it to the chain.

const SIDE = 32 // pixels of a picture, height and width

const tables = new WeakMap() // list -> what was chosen here, and which choice it was

export default function ({ data, parentElement, setStateValue }) {
  const list = parentElement.querySelector("ul")
  while (list.childElementCount > data.tiles.length) list.lastElementChild.remove()
  while (list.childElementCount < data.tiles.length) list.append(blank())
  // What the script showed before it heard of the newest choice does not undo it.
  const kept = tables.get(list) ?? { asked: data.heard }
  tables.set(list, kept)
  if (data.heard >= kept.asked) kept.chosen = data.chosen
  data.tiles.forEach((tile, at) => show(list.children[at], tile))

  // Tells the script, and shows at once what will be so.
  function choose(names) {
    kept.chosen = names
    setStateValue("chosen", { names, asked: ++kept.asked })
    data.tiles.forEach((tile, at) => show(list.children[at], tile))
  }

  function show(item, { name, title, symbol, picture }) {
    const [tile, more] = item.querySelectorAll("button")
    const places = kept.chosen.flatMap((each, place) => (each === name ? [place + 1] : []))
    paint(item.querySelector("canvas"), picture)
    item.querySelector(".title").textContent = `${symbol} ${title}`
    item.querySelector(".place").textContent = kept.chosen.length > 1 ? places.join(", ") : ""
    tile.setAttribute("aria-pressed", String(places.length > 0))
    tile.setAttribute("aria-label", `Change it by ${title}`)
    more.setAttribute("aria-label", `Then also ${title}`)
    more.disabled = kept.chosen.length === 0 || kept.chosen.length >= data.most || places.length > 0
    const alone = places.length > 0 && kept.chosen.length === 1
    tile.onclick = () => choose(alone ? [] : [name])
    more.onclick = () => choose([...kept.chosen, name])
  }
}

function blank() {
  const item = document.createElement("li")
  item.innerHTML = `<button type="button" class="tile"><canvas width="${SIDE}" height="${SIDE}"></canvas><span class="title"></span>
    <b class="place"></b></button><button type="button" class="more">+</button>`
  return item
}

function paint(canvas, picture) {
  const draw = canvas.getContext("2d")
  const image = draw.createImageData(SIDE, SIDE)
  const grey = picture ? Uint8Array.from(atob(picture), (sign) => sign.charCodeAt(0)) : new Uint8Array(SIDE * SIDE)
  grey.forEach((value, at) => image.data.set([value, value, value, 255], 4 * at))
  draw.putImageData(image, 0, 0)
}
