"""The inside of an expert, in a dialog: where it looks, what it won over time, of which images it is sure and of which not."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from icm.config import mechanism_title
from icm.runs.history import History
from icm.runs.run import Run
from icm.show import charts
from icm.show.experts import badge, colour
from pages.ui import html, panels
from pages.ui.told import telling

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.evaluation import Examples

SHOWN = 5  # images that it is surest of, and as many that it is least sure of
WORTH = 0.2  # of a mechanism's images, at any time: what won less has no line
SMOOTHING = 500  # images
REACH = 5  # pixels from the middle of a fingerprint to its edge


def door(run: Run, step: int, expert: int, history: History) -> None:
    """The button that opens it."""
    if st.button(f"Inside {badge(expert)}", icon=":material/frame_inspect:"):
        st.dialog(f"Inside {badge(expert)}", width="large")(inside)(run, step, expert, history)


def inside(run: Run, step: int, expert: int, history: History) -> None:
    from pages.ui import cached

    with telling():
        key = cached.snapshot_key(run, step)
        left, right = st.columns([1, 2], gap="large")
        with left:
            st.markdown("**Fingerprint**")
            with st.spinner("Asking its pixels…"):
                found = cached.fingerprint_of(key, expert)
            st.html(picture(found, expert))
            st.caption(
                f"Where a pixel of its answer looks in the image, by its gradient: {look_in_words(found)}. The ring is the pixel itself."
            )
        with right:
            won_over_time(run, expert, history)
        st.markdown(
            "**Its wins** · the surest first; below each, by how much its answer scored above the next best one"
        )
        st.html(wins(cached.mixed(key), expert))


def picture(found: np.ndarray, expert: int) -> str:
    """HTML: the fingerprint in the expert's colour on black, with a ring at its middle."""
    ink = np.array([int(colour(expert)[at : at + 2], 16) for at in (1, 3, 5)])
    pixels = (found[..., None] * ink).round().astype(np.uint8)
    words = f"Fingerprint of {badge(expert)}: {look_in_words(found)}"
    return (
        f"<style>{STYLE}</style><div class='icm-fingerprint'><img src='{html.inlined(html.png(pixels))}' alt='{words}'>"
        "<i></i></div>"
    )


def look_in_words(found: np.ndarray) -> str:
    """Where the largest entry is, from the middle."""
    down, right = (int(at) - REACH for at in np.unravel_index(found.argmax(), found.shape))
    sides = [
        (abs(right), "to the right" if right > 0 else "to the left"),
        (abs(down), "down" if down > 0 else "up"),
    ]
    away = " and ".join(f"{count} {side}" for count, side in sides if count)
    return f"most at the pixel {away} of it" if away else "most at the pixel itself"


def won_over_time(run: Run, expert: int, history: History) -> None:
    names = [mechanism_title(spec) for spec in run.config().mechanisms]
    seen = history.spans(charts.drawn_points(history), SMOOTHING)
    share = 100 * seen.wins[:, expert] / np.maximum(seen.wins.sum(axis=1), 1)
    lines = {
        name: share[:, at] for at, name in enumerate(names) if share[:, at].max(initial=0) >= 100 * WORTH
    }
    if not lines:
        st.caption(f"It never won {WORTH:.0%} of any mechanism's images.")
        return
    panels.chart(
        "**What it won** · share of a mechanism's images",
        charts.named_lines("images, %", seen.step, lines),
        260,
        key=f"won by {expert}",
        alt=f"Lines: share of each mechanism's images that {badge(expert)} won, over steps",
    )


def wins(seen: "Examples", expert: int) -> str:
    """HTML: the images that it won with the largest and the smallest lead, each with its answer."""
    best = seen.contest.logits.topk(2, dim=0).values
    lead = (best[0] - best[1]).tolist()
    mine = sorted(
        (at for at, by in enumerate(seen.contest.winner.tolist()) if by == expert), key=lambda at: -lead[at]
    )
    if not mine:
        return "<p>It wins none of the images that were tried.</p>"
    chosen = mine if len(mine) <= 2 * SHOWN else mine[:SHOWN] + mine[-SHOWN:]
    return html.grid_of_figures(
        [
            html.pair_figure(
                seen.transformed[at, 0].numpy(),
                seen.contest.answers[expert, at, 0].numpy(),
                ("input", badge(expert)),
                f"by {lead[at]:+.1f}",
            )
            for at in chosen
        ]
    )


STYLE = """
.icm-fingerprint{position:relative;width:100%;max-width:242px}
.icm-fingerprint img{display:block;width:100%;image-rendering:pixelated;border-radius:6px}
.icm-fingerprint i{position:absolute;left:45.5%;top:45.5%;width:9%;height:9%;border:2px solid #fff;border-radius:50%;box-sizing:border-box}
"""
