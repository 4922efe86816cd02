"""Pictures of mechanisms, and how a page shows a picture."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from icm.images.mechanisms import parse
from icm.measure.evaluation import changed_digits
from pages.ui import html
from pages.ui.cached import any_digits


def a_digit(number: int) -> np.ndarray:
    """A real digit, of MNIST's test set where that is here, 32 x 32 in [0, 1]."""
    held_out = any_digits().test
    return held_out[number % len(held_out), 0].numpy() / 255


def before_and_after(spec: str) -> str:
    """HTML: a digit, and what the mechanism makes of it."""
    original, changed = changed_digits(any_digits().test, parse([spec]))
    return html.pair(original[0, 0].numpy(), changed[0, 0].numpy(), ("a digit", spec))


def show(png: bytes, alt: str, name: str, least: int) -> DeltaGenerator:
    """Shows the picture and a button that saves it. It is never narrower than `least` pixels: a phone scrolls it sideways.

    Returns the row of the button, for more of them."""
    with st.container(key=name, gap="small"):
        st.html(f"<style>.st-key-{name}{{overflow-x:auto}}.st-key-{name} img{{min-width:{least}px}}</style>")
        st.image(html.inlined(png), alt=alt)
    row = st.container(horizontal=True)
    row.download_button(
        "Save as PNG",
        lambda: png,
        file_name=f"{name}.png",
        mime="image/png",
        icon=":material/download:",
        key=f"save {name}",
        on_click="ignore",
    )
    return row
