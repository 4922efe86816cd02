"""A page that turns light or dark while it is open, as systems do at sunset, is drawn anew: Streamlit sees to its own parts, but not
to the text of charts and tables, which is drawn for one of the two."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

# Takes up no room.
STYLE = "<style>[class*=st-key-turning]{position:absolute}</style>"
_component = component("turning", js=(Path(__file__).parent / "turning.js").read_text(encoding="utf-8"))


def turning() -> None:
    """The page's script runs again when the page has turned."""
    st.html(STYLE)
    _component(key="turning", on_turned_change=lambda: None)
