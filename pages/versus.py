"""Two runs side by side on the same axes, and what was different about them."""

import streamlit as st

from icm.runs.history import History
from icm.runs.run import Run
from icm.show import charts
from pages.ui import decisions, html, inside, panels, picker, run_view, timeline, words
from pages.ui.run_view import WHILE_TRAINING, RunView, duration
from pages.ui.told import nothing_yet, telling

SMOOTHING = 500  # images; Monitor starts with the same
CHART_HEIGHT = 300  # pixels
SIDES = ("left", "right")


def side_by_side(chosen: list[Run]) -> None:
    """The same pictures of both, one below the other on a phone, then what is different about them."""
    seen = [run_view.view(run) for run in chosen]
    histories = [each.history() for each in seen]
    last = max(each.config.training.steps for each in seen)
    for side, half, each, history in zip(SIDES, st.columns(2, gap="large"), seen, histories):
        with half:
            one_side(side, each, history, last)
    different = decisions.differences(*seen)
    if different is None:
        st.caption("The two runs have the same settings.")
    else:
        st.markdown("**What is different**")
        st.dataframe(different, hide_index=True, key="differences")
    with st.expander(
        "As lines", icon=":material/show_chart:", key="lines", on_change="rerun", bind="query-params"
    ) as folded:
        if folded.open:
            as_lines(histories)
    st.caption(WHILE_TRAINING)


def one_side(side: str, seen: RunView, history: History, last: int) -> None:
    """Who undoes what, the numbers and the map of one run. Its time ends at `last`, as that of the other."""
    with st.container(horizontal=True, vertical_alignment="center"):
        panels.heading(seen)
    timeline.timeline(f"{side} timeline", seen.run, seen.config, history, last=last, parts=(), door=side)
    if steps := seen.run.snapshots.steps():
        inside.doors(seen.run, steps[-1], history, name=side)
        undone = run_view.role_words(history.recent().wins[0], seen.mechanisms)
        st.html(html.chips({expert: html.undoes(undone[expert]) for expert in history.plays()}, (), side))
    panels.numbers(run_view.metrics(seen, history, of_trainer=False))
    st.caption(f"{history.last_step:,} steps in {duration(history.seconds)}")
    panels.chart(
        "**Who wins what** · % of a mechanism's newest images",
        panels.wins_chart(history, seen.mechanisms),
        CHART_HEIGHT,
        key=f"{side} table",
        alt="Heat map: share of each mechanism's images won by each expert",
    )


def as_lines(histories: list[History]) -> None:
    """The races and the qualities of both runs, on the same axes."""
    if not all(history.rows for history in histories):
        st.info("One of them has no recorded step yet.", icon=":material/hourglass_top:")
        return
    spans = [history.spans(charts.drawn_points(history), SMOOTHING) for history in histories]
    for title, draw, alt in (
        (panels.RACE, charts.race, "Lines: share of images won"),
        (panels.RESTORED, charts.quality, "Line: PSNR over steps"),
    ):
        options = charts.on_the_same_axes([draw(span) for span in spans])
        for side, half, option in zip(SIDES, st.columns(2, gap="large"), options):
            with half:
                panels.chart(title, option, CHART_HEIGHT, key=f"{side} {alt}", alt=alt)


st.title("Side by side", anchor=False)
runs = picker.watchable()
if len(runs) < 2:
    nothing_yet(
        "Two runs are needed to compare; train another one, with another seed or other settings.", "Train"
    )
    st.stop()

columns = st.columns(2, gap="large")
chosen = []
for default, (side, column) in enumerate(zip(SIDES, columns)):
    with column:
        chosen.append(picker.pick(runs, side, default))
with telling():
    side_by_side([run for run in chosen if run is not None])
st.html(words.line())
