"""Tiles to choose mechanisms by: each shows the drawing as that mechanism would change it. One tap takes it, "+" chains."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from jaxtyping import Float
from streamlit.components.v2 import component

from icm.config import SYMBOLS, mechanism_title
from pages.ui import html
from pages.ui.link import MOST

_BESIDE = Path(__file__).parent
_component = component(
    "tiles",
    html="<ul aria-label='Mechanisms that can change it'></ul>",
    css=(_BESIDE / "tiles.css").read_text(encoding="utf-8"),
    js=(_BESIDE / "tiles.js").read_text(encoding="utf-8"),
)


def tiles(
    key: str,
    names: Sequence[str],
    pictures: Mapping[str, Float[np.ndarray, "32 32"]],
    chosen: Sequence[str],
    on_choose: Callable[[list[str]], None],
) -> None:
    """Shows a tile for each of `names`. `on_choose` is given those that somebody chooses, in the order in which they are applied.

    `pictures` are in [0, 1]; a tile without one is black."""

    def told(what: str) -> object:
        sent = st.session_state.get(key, {}).get("chosen")
        return sent.get(what) if isinstance(sent, dict) else None

    def keep() -> None:
        picked = told("names")
        if isinstance(picked, list) and all(name in names for name in picked):
            on_choose(picked[:MOST])

    shown = [
        {
            "name": name,
            "title": mechanism_title(name),
            "symbol": SYMBOLS.get(name, "·"),
            "picture": html.grey(pictures[name]) if name in pictures else None,
        }
        for name in names
    ]
    # Every choice has a number: so the tiles know whether the script had heard of the newest when it said what is chosen.
    data = {"tiles": shown, "chosen": list(chosen), "most": MOST, "heard": told("asked") or 0}
    _component(key=key, data=data, on_chosen_change=keep)
