"""What a person gives Draw to be claimed: a drawing on the pad, a picture file, or a photo, and the part of it that is used."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import streamlit as st
from jaxtyping import Float

from icm.errors import ActionableError
from icm.images import doubts, sketch
from icm.images.sketch import WHOLE, Part
from pages.ui.pad import pad, put
from pages.ui.told import told

Given = Literal["pad", "picture", "camera"]
GIVEN_WORDS: dict[Given, str] = {"pad": "Draw", "picture": "Upload", "camera": "Camera"}
PAD = "pad"
NOTHING = "Nothing is claimed yet. Draw a digit, put one on the pad, or give a picture."
TOO_LITTLE = "That is too little ink; draw a digit."
DOUBTS: dict[doubts.Doubt, str] = {
    "lines": "This looks like ruled paper, and its lines may be taken for ink: crop the picture, or use plain paper.",
    "shadow": "There seems to be a hard shadow or an edge, which may be taken for ink: crop the picture, or take it in even light.",
}

Grey = Float[np.ndarray, "height width"]


@dataclass(frozen=True)
class Picture:
    """What was given, and the part of it that is used."""

    whole: Grey
    part: Part = WHOLE

    @property
    def used(self) -> Grey:
        return sketch.cut(self.whole, self.part)


def what_is_given() -> Picture | str:
    """What was drawn, uploaded or photographed; while there is nothing to use, a sentence that says so.

    When a file is no picture, the page says why."""
    kind = st.segmented_control(
        "Input",
        get_args(Given),
        default="pad",
        required=True,
        key="input",
        bind="query-params",
        format_func=GIVEN_WORDS.__getitem__,
        label_visibility="collapsed",
    )
    if kind == "pad":
        return on_the_pad()
    if kind == "picture":
        file = st.file_uploader(
            "A picture of a digit",
            type=["png", "jpg", "jpeg", "webp"],
            help="PNG, JPEG or WEBP of at most 5 MB, with some paper around the digit and nothing else. "
            "It stays on this machine.",
        )
    else:
        file = st.camera_input("A photo of a digit, dark ink on light paper")
    if file is None:
        return NOTHING
    try:
        whole = sketch.open_picture(file.getvalue())
    except sketch.PictureError as error:
        told(error)
        return NOTHING
    picture = Picture(whole, part_of(file.file_id))
    ink = sketch.canonical(picture.used)
    if sketch.is_blank(ink):
        return TOO_LITTLE if ink.any() else "There is no ink in this picture; use one with a digit."
    if (doubt := doubts.doubt(picture.used)) is not None:
        st.warning(DOUBTS[doubt], icon=":material/warning:")
    return picture


def on_the_pad() -> Picture | str:
    st.button(
        "Put a digit on the pad",
        icon=":material/casino:",
        on_click=put_a_digit,
        help="A real one, another each time. You can draw on it.",
    )
    if (problem := st.session_state.pop("no digit", None)) is not None:
        told(problem)
    drawn = pad(PAD)
    begin_with_an_example()  # needs torch, which takes seconds to import the first time: the pad is on the page by then
    if drawn is None:
        return NOTHING
    return TOO_LITTLE if sketch.is_blank(drawn) else Picture(np.asarray(drawn, dtype=float))


def part_of(file: str) -> Part:
    """The part of the file's picture that is used: all of it until somebody moves a slider."""
    with st.expander("Crop", icon=":material/crop:"):
        left, right = st.slider("Left to right", 0, 100, (0, 100), format="%d%%", key=f"across {file}")
        top, bottom = st.slider("Top to bottom", 0, 100, (0, 100), format="%d%%", key=f"down {file}")
    return Part(left / 100, right / 100, top / 100, bottom / 100)


def put_a_digit(example: bool = False) -> None:
    """Puts a digit on the pad, as an example the first of the held-out ones."""
    from pages.ui import pictures

    try:
        # One of the first 1,000 held-out digits: the built-in digits have no more.
        put(PAD, pictures.a_digit(0 if example else int(np.random.default_rng().integers(1000))), example)
    except ActionableError as error:
        st.session_state["no digit"] = error  # told where the pad is


def begin_with_an_example() -> None:
    """Puts one on the pad of whoever opens the page for the first time, and shows the page again with it."""
    if not st.session_state.get("example was put"):
        st.session_state["example was put"] = True
        put_a_digit(example=True)
        st.rerun()
