"""A dot that somebody moves, and what experts answer to it.

All answers are in the browser before anybody moves the dot: dot.js only looks them up, and the script hears of nothing."""

from collections.abc import Mapping
from pathlib import Path

from streamlit.components.v2 import component

from icm.measure.dots import INK, SIDE
from icm.show.experts import badge, colour
from pages.ui import html

HTML = """
<div class="dot">
  <figure>
    <figcaption>The dot</figcaption>
    <div class="sheet">
      <canvas class="given" tabindex="0" role="application" aria-label="A dot on black. Mouse, finger or arrow keys move it, with
        Shift by big steps."></canvas>
      <p class="hint" aria-hidden="true">move the dot</p>
    </div>
    <small class="place"></small>
  </figure>
  <div class="answers"></div>
  <p class="told" aria-live="polite"></p>
</div>
"""
_BESIDE = Path(__file__).parent
_component = component(
    "dot",
    html=HTML,
    css=(_BESIDE / "dot.css").read_text(encoding="utf-8"),
    js=(_BESIDE / "dot.js").read_text(encoding="utf-8"),
)


def dot(key: str, answers: Mapping[int, bytes]) -> None:
    """Shows the dot, and beside it the answer of each expert, whose answers to the dot in all places are a PNG as `cached.dots_of`
    makes it. The same dot is for all of them, and stays where it is when others are shown."""
    data = {
        "key": key,
        "side": SIDE,
        "ink": INK,
        "experts": [
            {"name": badge(expert), "colour": colour(expert), "answers": html.inlined(png)}
            for expert, png in answers.items()
        ],
    }
    _component(key=key, data=data)
