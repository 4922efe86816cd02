"""Two runs side by side on the same axes, and what was different about them."""

import streamlit as st

from icm.runs.history import History
from icm.runs.run import Run
from icm.show import charts
from pages.ui import decisions, panels, picker, run_view
from pages.ui.run_view import WHILE_TRAINING, RunView, duration
from pages.ui.told import nothing_yet, telling

SMOOTHING = 500  # images; Monitor starts with the same
CHART_HEIGHT = 300  # pixels


def side_by_side(chosen: list[Run]) -> None:
    """What differs, then the same charts of both."""
    seen = [run_view.view(run) for run in chosen]
    histories = [each.history() for each in seen]
    different = decisions.differences(*seen)
    if different is None:
        st.caption("The two runs have the same settings.")
    else:
        st.dataframe(different, hide_index=True, key="differences")

    halves = st.columns(2, gap="large")
    for half, each in zip(halves, seen):
        with half, st.container(horizontal=True, vertical_alignment="center"):
            panels.heading(each)
    if not all(history.rows for history in histories):
        st.info("One of them has no recorded step yet.", icon=":material/hourglass_top:")
        return
    spans = [history.spans(charts.drawn_points(history), SMOOTHING) for history in histories]
    races = charts.on_the_same_axes([charts.race(span) for span in spans])
    qualities = charts.on_the_same_axes([charts.quality(span) for span in spans])
    for side, half, each, history, race, quality in zip(
        ("left", "right"), halves, seen, histories, races, qualities
    ):
        with half:
            one_side(side, each, history, race, quality)
    st.caption(WHILE_TRAINING)


def one_side(side: str, seen: RunView, history: History, race: charts.Option, quality: charts.Option) -> None:
    """The numbers, owners and charts of one run."""
    panels.numbers(run_view.metrics(seen, history, of_trainer=False))
    st.caption(f"{history.last_step:,} steps in {duration(history.seconds)}")
    panels.ownership_chips(history, seen.config.mechanisms)
    shown = (
        (panels.RACE, race, "Lines: share of images won"),
        (
            "**Who wins what** · % of a mechanism's newest images",
            panels.wins_chart(history, seen.mechanisms),
            "Heat map: share of each mechanism's images won by each expert",
        ),
        (panels.RESTORED, quality, "Line: PSNR over steps"),
    )
    for title, option, alt in shown:
        panels.chart(title, option, CHART_HEIGHT, key=f"{side} {alt}", alt=alt)


st.title("Side by side", anchor=False)
runs = picker.runs()
if len(runs) < 2:
    nothing_yet(
        "Two runs are needed to compare; train another one, with another seed or other settings.", "Train"
    )
    st.stop()

columns = st.columns(2, gap="large")
chosen = []
for default, (side, column) in enumerate(zip(("left", "right"), columns)):
    with column:
        chosen.append(picker.pick(runs, side, default))
with telling():
    side_by_side([run for run in chosen if run is not None])
