"""Two runs side by side on the same axes, and what was different about them."""

from collections.abc import Iterator
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from icm.runs.history import History
from icm.runs.run import Run
from icm.show import charts
from pages.ui import decisions, panels, picker, run_view
from pages.ui.run_view import WHILE_TRAINING, RunView, duration
from pages.ui.told import nothing_yet, telling

SMOOTHING = 500  # images; Monitor starts with the same
CHART_HEIGHT = 300  # pixels
SIDES = ("left", "right")


def side_by_side(chosen: list[Run]) -> None:
    """What differs, then the same charts of both."""
    seen = [run_view.view(run) for run in chosen]
    histories = [each.history() for each in seen]
    different = decisions.differences(*seen)
    if different is None:
        st.caption("The two runs have the same settings.")
    else:
        st.dataframe(different, hide_index=True, key="differences")

    for half, each in halves(seen):
        with half, st.container(horizontal=True, vertical_alignment="center"):
            panels.heading(each)
    if not all(history.rows for history in histories):
        st.info("One of them has no recorded step yet.", icon=":material/hourglass_top:")
        return
    for half, (each, history) in halves(list(zip(seen, histories))):
        with half:
            panels.numbers(run_view.metrics(each, history, of_trainer=False))
            st.caption(f"{history.last_step:,} steps in {duration(history.seconds)}")
    for half, (each, history) in halves(list(zip(seen, histories))):
        with half:
            panels.ownership_chips(history.recent().wins[0], each.config.mechanisms)
    for title, options, alt in both_charts(seen, histories):
        for half, (side, option) in halves(list(zip(SIDES, options))):
            with half:
                panels.chart(title, option, CHART_HEIGHT, key=f"{side} {alt}", alt=alt)
    st.caption(WHILE_TRAINING)


def halves(of: list[Any]) -> Iterator[tuple[DeltaGenerator, Any]]:
    """A row of the page: its two halves, and what belongs into each. Rows keep what is compared in line, whatever wraps above."""
    return zip(st.columns(2, gap="large"), of)


def both_charts(seen: list[RunView], histories: list[History]) -> list[tuple[str, list[charts.Option], str]]:
    """Title, the chart of each run, and what it shows, in words."""
    spans = [history.spans(charts.drawn_points(history), SMOOTHING) for history in histories]
    return [
        (
            panels.RACE,
            charts.on_the_same_axes([charts.race(span) for span in spans]),
            "Lines: share of images won",
        ),
        (
            "**Who wins what** · % of a mechanism's newest images",
            [panels.wins_chart(history, each.mechanisms) for history, each in zip(histories, seen)],
            "Heat map: share of each mechanism's images won by each expert",
        ),
        (
            panels.RESTORED,
            charts.on_the_same_axes([charts.quality(span) for span in spans]),
            "Line: PSNR over steps",
        ),
    ]


st.title("Side by side", anchor=False)
runs = picker.runs()
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
