"""A pad to draw digits on, and what it holds.

The browser draws at 320x320 and sends 160x160. Seen exactly as drawn, each pixel of the networks'
32x32 is then a mean of 5x5."""

import base64
import time
from pathlib import Path

import numpy as np
import streamlit as st
from jaxtyping import Float, Float32
from streamlit.components.v2 import component

SEEN = 32  # pixels, height and width of what is put on the pad
SENT = 160  # pixels, height and width of what comes back
DRAWN = "drawn"  # in the session: what the networks see of what was given on Draw; Guess who asks for it

HTML = """
<div class="pad">
  <div class="sheet">
    <canvas width="320" height="320" tabindex="0" role="application" aria-label="Drawing pad: draw with mouse, pen or
      finger. Arrow keys move the pen, with Shift by big steps; Space lowers and lifts it; Ctrl+Z undoes."></canvas>
    <p class="hint" aria-hidden="true">Draw a digit here<br><small>or use the arrow keys and Space</small></p>
    <i class="cursor" hidden></i>
  </div>
  <div class="tools">
    <button type="button" class="undo" disabled>Undo</button>
    <button type="button" class="clear" disabled>Clear</button>
    <label>Pen <input type="range" class="width" min="1" max="4" step="0.2" value="2.2" aria-label="Pen width"></label>
  </div>
</div>
"""
_BESIDE = Path(__file__).parent
_component = component(
    "drawing_pad",
    html=HTML,
    css=(_BESIDE / "pad.css").read_text(encoding="utf-8"),
    js=(_BESIDE / "pad.js").read_text(encoding="utf-8"),
)


def pad(key: str) -> Float32[np.ndarray, "height width"] | None:
    """Shows the pad and returns its ink, 160x160 in [0, 1], live while somebody draws; None while it is empty.

    In a fragment, a stroke runs only that fragment again."""
    version, pixels, example = st.session_state.get(_put(key), (0, None, False))
    data = {"key": key, "version": version, "picture": pixels, "example": example}
    return _ink(_component(key=key, data=data).get("pixels"))


def put(key: str, picture: Float[np.ndarray, "height width"], example: bool = False) -> None:
    """Puts a picture on the pad, 32x32 in [0, 1]; ValueError for another size. Undo takes it off.

    The pad shows it the next time it runs, and sends it back like a drawing. The first stroke replaces an `example`."""
    if picture.shape != (SEEN, SEEN):
        raise ValueError(f"a picture of {picture.shape} pixels; the pad takes {SEEN}x{SEEN}")
    grey = (picture.clip(0, 1) * 255).round().astype(np.uint8)
    st.session_state[_put(key)] = (time.time(), base64.b64encode(grey.tobytes()).decode(), example)


def _put(key: str) -> str:
    return f"put on {key}"


def _ink(sent: object) -> Float32[np.ndarray, "height width"] | None:
    """The picture that the browser sent. It may have sent anything: None for what is no picture or has no ink."""
    if not isinstance(sent, str):
        return None
    try:
        grey = np.frombuffer(base64.b64decode(sent, validate=True), np.uint8)
    except ValueError:  # no base64, or no ASCII
        return None
    if grey.size != SENT * SENT or not grey.any():
        return None
    return grey.reshape(SENT, SENT).astype(np.float32) / 255
