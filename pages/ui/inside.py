"""The inside of an expert, in a dialog: where it looks, what it won over time, what it answers to a dot, how far from its training
it is good, of which images it is sure and of which not. Another expert can stand beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from icm.config import mechanism_title
from icm.runs.history import History, run_history
from icm.runs.run import Run
from icm.show import charts
from icm.show.experts import badge
from pages.ui import html, panels, response
from pages.ui.html import plain
from pages.ui.told import telling

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.evaluation import Examples
    from pages.ui.cached import SnapshotKey

SHOWN = 5  # images that it is surest of, and as many that it is least sure of
WORTH = 0.2  # of a mechanism's images, at any time: what won less has no line
SMOOTHING = 500  # images
REACH = 5  # pixels from the middle of a fingerprint to its edge
ASKED = "inside asked"  # the doors and the expert that somebody wants to see, until they are opened
OPEN = "inside open"
ALL_OVER = ""  # the doors of a page with one run

# The doors are the badges; what listens to them takes up no room.
STYLE_OF_DOORS = f"<style>{html.DOOR_STYLE}[class*=st-key-doors]{{position:absolute}}</style>"
_component = component("doors", js=(Path(__file__).parent / "doors.js").read_text(encoding="utf-8"))


def doors(
    run: Run,
    step: int,
    history: History | None = None,
    name: str = ALL_OVER,
    on_close: Literal["ignore"] | Callable[[], None] = "ignore",
) -> None:
    """Makes every badge on the page a door to its expert's inside, as of the run's snapshot after `step`.

    `history` is what it tells of, by default the run up to that step, which is then read only if somebody opens it. Where a page
    has several runs, `name` is what the badges of this one give as their door. `on_close` makes the whole page run when somebody
    closes the dialog; mostly there is no need for it."""
    key = f"doors {name}"

    def ask_for_the_badges() -> None:
        expert = st.session_state[key].inside
        if type(expert) is int:
            ask(expert, name)

    st.html(STYLE_OF_DOORS)
    _component(key=key, data={"door": name}, on_inside_change=ask_for_the_badges)
    asked, expert = st.session_state.get(ASKED, (None, None))
    if asked != name:
        return
    del st.session_state[ASKED]
    with telling():
        seen = (run_history(run, run.config()) if history is None else history).until(step)
        if expert not in seen.plays():
            closed()
            st.toast(f"{badge(expert)} does not play at this step.", icon=":material/person_off:")
        else:
            shown = st.dialog(f"Inside {badge(expert)}", width="large", on_dismiss=on_close)
            shown(inside)(run, step, expert, seen)


def door(expert: int) -> None:
    """A button that opens the inside of the expert, as its badge does. The page has `doors`, further down."""
    st.button(
        f"Inside {badge(expert)}", icon=":material/frame_inspect:", on_click=ask, args=(expert, ALL_OVER)
    )


def ask(expert: int, name: str) -> None:
    """The doors of that name open it when the script comes to them."""
    st.session_state[ASKED] = name, expert
    st.session_state[OPEN] = True


def closed() -> None:
    """Nothing is open: somebody has closed it, or the whole page has run since."""
    st.session_state.pop(OPEN, None)


def is_open() -> bool:
    return OPEN in st.session_state


def inside(run: Run, step: int, expert: int, history: History) -> None:
    """The dialog's content: of one expert, or of two for comparison, without what is only of one."""
    from pages.ui import cached, dot  # they import torch, which takes seconds

    with telling():
        key = cached.snapshot_key(run, step)
        others = [each for each in history.plays() if each != expert]
        beside = st.selectbox(
            "Beside it",
            others,
            index=None,
            placeholder="nobody",
            format_func=badge,
            key=f"beside {expert}",
            width=240,
        )
        shown = [expert] if beside is None else [expert, beside]
        places = st.columns([1, 2] if beside is None else 2, gap="large")
        for place, each in zip(places, shown):
            with place:
                where_it_looks(key, each)
        with places[1] if beside is None else st.container():
            st.markdown("**A dot that you move** · and the answer to it; the ring is where the dot is")
            with st.spinner("Asking about a dot in every place…"):
                answers = {each: cached.dots_of(key, each) for each in shown}
            dot.dot("dot", answers)
        for place, each in zip(st.columns(len(shown), gap="large"), shown):
            with place:
                how_far(key, each, alone=beside is None)
        if beside is None:
            won_over_time(run, expert, history)
            st.markdown(
                "**Its wins** · the surest first; below each, by how much its answer scored above the next best one"
            )
            st.html(wins(cached.mixed(key), expert))


def where_it_looks(key: "SnapshotKey", expert: int) -> None:
    from pages.ui import cached

    st.markdown(f"**Fingerprint of {badge(expert)}**")
    with st.spinner("Asking its pixels…"):
        found = cached.fingerprint_of(key, expert)
    st.html(picture(found, expert))
    st.caption(
        f"Where a pixel of its answer looks in the image, by its gradient: {look_in_words(found)}. The ring is the pixel itself."
    )


def how_far(key: "SnapshotKey", expert: int, alone: bool) -> None:
    """The response curve for the mechanism that it owns, the one that it wins most of where these are several."""
    from pages.ui import cached

    names = [mechanism_title(spec) for spec in key.config.mechanisms]
    own = [at for at, owner in enumerate(cached.owners_of(key)) if owner == expert]
    if not own:
        st.markdown(f"**How far {badge(expert)} is good**")
        st.caption(f"{badge(expert)} owns no mechanism, so there is no strength to vary.")
        return
    most = max(own, key=lambda at: cached.wins_of(key)[expert, at])
    several = f", of the {len(own)} mechanisms it owns the one it wins most" if len(own) > 1 else ""
    st.markdown(f"**How far {badge(expert)} is good** · over the strength of {plain(names[most])}{several}")
    response.show(key, expert, most, side_by_side=alone)


def picture(found: np.ndarray, expert: int) -> str:
    """HTML: the fingerprint in the expert's colour on black, with a ring at its middle."""
    words = f"Fingerprint of {badge(expert)}: {look_in_words(found)}"
    return (
        f"<style>{STYLE}</style><div class='icm-fingerprint'><img src='{html.emblem(found, expert)}' alt='{words}'>"
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
    players = seen.contest.players()
    best = seen.contest.logits.topk(min(2, len(players)), dim=0).values
    lead = (best[0] - best[-1]).tolist()
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
                f"by {lead[at]:+.1f}" if len(players) > 1 else "",
            )
            for at in chosen
        ]
    )


STYLE = """
.icm-fingerprint{position:relative;width:100%;max-width:242px}
.icm-fingerprint img{display:block;width:100%;image-rendering:pixelated;border-radius:6px}
.icm-fingerprint i{position:absolute;left:45.5%;top:45.5%;width:9%;height:9%;border:2px solid #fff;border-radius:50%;box-sizing:border-box}
"""
