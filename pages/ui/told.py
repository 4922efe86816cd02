"""How a page tells a person what they can act on: an error's sentence, and what to do while there is nothing to show."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from icm.errors import ActionableError
from pages.ui.html import plain


def told(error: ActionableError) -> None:
    """The sentence of the error, on the page."""
    st.error(plain(error), icon=":material/error:")


@contextmanager
def telling() -> Iterator[None]:
    """Shows an error that a person can act on, where the block raises one. The page then goes on after the block."""
    try:
        yield
    except ActionableError as error:
        told(error)


def nothing_yet(sentence: str, label: str = "Train your first experts") -> None:
    """A page that has nothing to show says so and offers the way to Train."""
    st.markdown(sentence)
    if st.button(label, type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
