"""The response curve of an expert, as Inside and Draw show it: two charts, and what they are of in a sentence."""

from typing import TYPE_CHECKING

import streamlit as st

from icm.config import mechanism_title
from icm.show import curves
from icm.show.experts import badge
from pages.ui import panels

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.response import Response
    from pages.ui.cached import SnapshotKey

HEIGHT = 200  # pixels, of a chart


def show(
    key: "SnapshotKey", expert: int, mechanism: int, side_by_side: bool, chosen: float | None = None
) -> None:
    """Score and PSNR of the expert's answers over the strength of one of the run's mechanisms. `chosen` is marked too."""
    from pages.ui import cached

    with st.spinner("Trying every strength…"):
        found = cached.response_of(key, expert, mechanism)
    title = mechanism_title(found.mechanism)
    marked = curves.Marked(found.trained, chosen)
    of = (expert, found.unit, marked, found.strength)
    places = st.columns(2, gap="medium") if side_by_side else (st.container(), st.container())
    name = f"response {expert} {mechanism}"
    with places[0]:
        alt = f"Line: mean score of {badge(expert)}'s answers over the strength of {title}"
        panels.drawn(curves.score(*of, found.score), HEIGHT, key=f"{name} score", alt=alt)
    with places[1]:
        alt = f"Lines: PSNR of {badge(expert)}'s answers and of doing nothing, over the strength of {title}"
        panels.drawn(curves.quality(*of, found.psnr, found.psnr_nothing), HEIGHT, key=f"{name} psnr", alt=alt)
    st.caption(
        f"{badge(expert)} owns {title}. {in_words(found, chosen)} Means over {cached.RESPONSE_DIGITS} images, each a {key.kind_of_digit}, "
        "the same at every strength."
    )


def in_words(found: "Response", chosen: float | None) -> str:
    """What is marked, and at how many of the strengths the answers come closer to the originals than doing nothing."""
    closer = sum(own > nothing for own, nothing in zip(found.psnr, found.psnr_nothing))
    also = f"; the dashed one is yours, {chosen:g}" if chosen not in (None, found.trained) else ""
    return (
        f"The upright line is the strength that it was trained on, {found.trained:g}{also}. At {closer} of these "
        f"{len(found.strength)} strengths its answers come closer to the originals than doing nothing."
    )
