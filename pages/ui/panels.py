"""What several pages show of a run: its state, its progress, its numbers, the three charts that tell most."""

from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

from icm.config import RunConfig
from icm.runs.history import History, Span
from icm.runs.status import RunState
from icm.show import charts
from icm.show.legible import Option, on_page
from pages.ui import clock, run_view
from pages.ui.html import plain
from pages.ui.run_view import METRIC_HELP, STATE_HELP, STATES, RunView

SMALL = 250  # pixels; the height of a small chart
LOG_LINES = 12  # of a crashed trainer's log: they hold the end of a traceback

# When a script has run for half a second, Streamlit fades what it has not yet drawn anew. A page that looks again and again
# would flicker whenever the machine is busy, and the trainer keeps it busy.
STEADY = (
    '<style>.stElementContainer[data-stale="true"],.stExpander details,.stExpander summary'
    "{opacity:1!important;transition:none!important}</style>"
)


def steady() -> None:
    """Keeps the page from fading while it looks at a run again, and its clocks from taking up room."""
    st.html(STEADY + clock.STYLE)


def heading(seen: RunView) -> None:
    """What run it is, and its state; to be called inside a horizontal container, below the box that has its label."""
    st.header(run_view.run_of(seen), anchor=False, width="content")
    state_badge(seen.state)


def state_badge(state: RunState) -> None:
    colour, icon = STATES[state]
    st.badge(state, icon=icon, color=colour, help=STATE_HELP.get(state))  # pyright: ignore[reportArgumentType]


def progress(seen: RunView) -> None:
    """The bar of the present phase."""
    done, words = run_view.progress(seen)
    st.progress(done, text=words)


def last_words(seen: RunView) -> None:
    """What the trainer of a run that has ended said last, and what to do."""
    said = seen.status.message
    if seen.state == "stopped" and said:
        st.caption(f":material/info: {plain(said[0].upper() + said[1:])}.")
    if seen.state != "crashed":
        return
    going_on = " Resume goes on from the last saved state." if seen.run.states.steps() else ""
    st.error(
        f"{plain(said or 'The trainer ended without a word.')}{going_on}",
        icon=":material/error:",
    )
    st.code(seen.run.log_tail(LOG_LINES) or "The log is empty.", language=None, wrap_lines=True)


def numbers(values: dict[str, str]) -> None:
    """A box for each of `run_view.metrics`."""
    with st.container(horizontal=True):
        for name, value in values.items():
            st.metric(name, value, help=METRIC_HELP[name], border=True, width="stretch")


def chart(
    heading: str,
    option: Option,
    height: int,
    key: str,
    alt: str,
    on_select: Callable[[], None] | Literal["ignore"] = "ignore",
) -> None:
    """A chart in a box under its heading."""
    with st.container(border=True):
        st.markdown(heading)
        drawn(option, height, key, alt, on_select)


def drawn(
    option: Option,
    height: int,
    key: str,
    alt: str,
    on_select: Callable[[], None] | Literal["ignore"] = "ignore",
) -> None:
    """The chart itself, with text that can be read on pages of the reader's theme."""
    shown = on_page(option, st.context.theme.type or "light")
    st.echarts_chart(shown, height=height, key=key, alt=alt, on_select=on_select)


RACE = "**The race** · share of the images that each expert wins"
RESTORED = "**Restored** · PSNR to the true originals, while learning"


def wins_chart(
    history: History, mechanisms: Sequence[str], outlined: tuple[int, int] | None = None
) -> Option:
    """Who wins what, over the newest images. `outlined` is the mechanism and the expert of a cell with a frame."""
    return charts.wins_table(history.recent().wins[0], mechanisms, history.plays(), outlined)


def rules(config: RunConfig, then: History) -> None:
    """In words what a learner does that is not the paper's: whom the conscience helps, and who plays in an open roster."""
    if then.conscience:
        bias = then.recent(1).bias[0].tolist()
        words = run_view.conscience_words(config.conscience, bias, then.last_step)
        st.caption(f"**Conscience.** {words}")
    if then.shape.roster:
        st.caption(f"**Open roster.** {run_view.roster_words(config, then)}")


def learner(lines: Span, playing: Span, then: History, marked: int | None) -> None:
    """What the conscience adds and decides, and how many experts play in an open roster, as lines."""
    if then.conscience:
        _side_by_side(
            (
                "**Conscience** · what it adds to each expert's score, for a while",
                charts.conscience(lines, marked),
                "Lines: bias of each expert, over steps",
            ),
            (
                "**Decided by it** · share of the images",
                charts.decided(lines, marked),
                "Line: share of images that the conscience decided, over steps",
            ),
        )
    if then.shape.roster:
        title = "**Who plays** · how many experts answer"
        chart(
            title,
            charts.players(playing, marked),
            SMALL,
            key="players",
            alt="Line: experts that play, over steps",
        )


def _side_by_side(*shown: tuple[str, Option, str]) -> None:
    """Charts under their titles, the first one wider; the last word is for who cannot see them."""
    for column, (title, option, alt) in zip(st.columns([3, *[2] * (len(shown) - 1)], gap="medium"), shown):
        with column:
            chart(title, option, SMALL, key=alt, alt=alt)
