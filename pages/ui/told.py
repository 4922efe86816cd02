"""What a person can act on is told here and nowhere else; and text that a person or a file put in is shown as it is.

Streamlit takes nearly every text for markdown: a label could show a picture from anywhere, or be a link."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from icm.errors import ActionableError

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")

# Found in text that was escaped too: addresses and mail addresses become links, `:name:` a symbol, `:red[…]` a colour, `->` an
# arrow. An invisible sign, the word joiner, keeps them apart.
JOINED = re.compile(
    r"(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=@)|(?<=[-<])(?=[-=>])|(?<=[>~])(?==)", re.IGNORECASE
)
WORD_JOINER = "\u2060"


def plain(text: object) -> str:
    """Markdown that shows the text as it is, in one line, whatever is in it."""
    signs = "".join(sign if sign.isprintable() else " " for sign in str(text))
    return PUNCTUATION.sub(r"\\\1", JOINED.sub(WORD_JOINER, " ".join(signs.split())))


def told(error: ActionableError) -> None:
    """The sentence of the error, on the page."""
    st.error(plain(error), icon=":material/error:")


@contextmanager
def telling() -> Iterator[None]:
    """An error that a person can act on ends the block and is told; what comes after the block is shown."""
    try:
        yield
    except ActionableError as error:
        told(error)
