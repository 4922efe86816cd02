"""Two runs side by side on the same axes, and what was different about them."""

from math import log2

import streamlit as st

from icm import figures
from icm.config import changed_fields
from icm.history import History
from icm.ownership import win_entropy
from icm.store import Run
from pages.ui import runs
from pages.ui.told import telling

SMOOTHING = 500  # images
CHART_HEIGHT = 300  # pixels


def differences(left: runs.Glance, right: runs.Glance) -> None:
    """The settings in which the two differ."""
    there, here = changed_fields(right.config, left.config), changed_fields(left.config, right.config)
    if not there:
        st.caption("The two runs have the same settings.")
        return
    columns = {"of a run": "setting", left.run.id: left.run.label, right.run.id: right.run.label}
    values = (list(there), *([in_words(each[name]) for name in there] for each in (here, there)))
    st.dataframe(
        dict(zip(runs.apart(columns).values(), values)),
        hide_index=True,
        key="differences",
    )


def in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def numbers(seen: runs.Glance, history: History) -> None:
    recent = history.recent()
    values = {
        "One-to-one": f"{history.one_to_one_count()} of {len(seen.config.mechanisms)}",
        "Restored": runs.decibels(recent.psnr[0]),
        "Entropy of wins": f"{win_entropy(recent.wins[0]):.2f} of {log2(history.experts):.2f}",
    }
    with st.container(horizontal=True):
        for name, value in values.items():
            st.metric(name, value, border=True, width="stretch", help=runs.METRIC_HELP[name])
    st.caption(f"{history.last_step:,} steps in {runs.duration(history.seconds)}")


def side_by_side(chosen: list[Run]) -> None:
    """What differs, then the same charts of both."""
    seen = [runs.glance(run) for run in chosen]
    histories = [runs.history(each) for each in seen]
    differences(*seen)

    halves = st.columns(2, gap="large")
    for half, each in zip(halves, seen):
        with half, st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(runs.title(each), anchor=False, width="content")
            runs.state_badge(each.state)
    if not all(history.rows for history in histories):
        st.info("One of them has no recorded step yet.", icon=":material/hourglass_top:")
        return
    stretches = [history.stretches(figures.drawn_points(history), SMOOTHING) for history in histories]
    races = figures.on_the_same_axes([figures.race(stretch) for stretch in stretches])
    qualities = figures.on_the_same_axes([figures.quality(stretch) for stretch in stretches])
    for side, half, each, history, race, quality in zip(
        ("left", "right"), halves, seen, histories, races, qualities
    ):
        with half:
            numbers(each, history)
            specs, wins = each.config.mechanisms, history.recent().wins[0]
            runs.ownership_chips(wins, specs)
            shown = (
                (
                    "**The race** · share of the images that each expert wins",
                    race,
                    "Lines: share of images won",
                ),
                (
                    "**Who wins what** · % of a mechanism's newest images",
                    figures.wins_table(wins, [spec.replace("_", "-") for spec in specs]),
                    "Heat map: share of each mechanism's images won by each expert",
                ),
                (
                    "**Restored** · PSNR to the true originals, while learning",
                    quality,
                    "Line: PSNR over steps",
                ),
            )
            for title, option, alt in shown:
                with st.container(border=True):
                    st.markdown(title)
                    st.echarts_chart(option, height=CHART_HEIGHT, key=f"{side} {alt}", alt=alt)
    st.caption(runs.WHILE_TRAINING)


st.title("Side by side", anchor=False)
if len(runs.store().runs()) < 2:
    st.markdown("Two runs are needed to compare; train another one, with another seed or other settings.")
    if st.button("Train", type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
    st.stop()

columns = st.columns(2, gap="large")
chosen = []
for default, (side, column) in enumerate(zip(("left", "right"), columns)):
    with column:
        chosen.append(runs.pick(side, default))
with telling():
    side_by_side([run for run in chosen if run is not None])
