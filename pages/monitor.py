"""A run, live: who wins how much, who wins what, how good the answers are."""

import streamlit as st

from icm import figures
from icm.ownership import owners, win_share
from icm.records import IMAGES_IN_VIEW, StepRecord, mean_psnr, newest, one_to_one_count, total_wins
from icm.store import Run, StoreError
from pages.ui import runs

TICK = 1.0  # seconds, while the run is being trained
REST = 5.0  # seconds, while somebody may resume it elsewhere
CHART_HEIGHT = 340  # pixels
SMALL_CHART_HEIGHT = 250

METRIC_HELP = {
    "One-to-one": "Mechanisms with an expert that owns them and nothing else, over the newest 1,000 images.",
    "Restored": "PSNR of the winners' answers to the true originals, which no expert saw. Higher is better.",
    "Speed": "Steps per second of the trainer.",
    "Time left": "Of the present phase, at the present speed.",
}


def live(run: Run, ticking: bool) -> None:
    """Everything that moves."""
    try:
        seen, rows = runs.glance(run), runs.records(run)
    except StoreError as error:
        st.error(str(error), icon=":material/error:")
        return
    if seen.live != ticking:
        st.rerun()  # the whole page, to tick at the pace of the new state

    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(runs.title(seen), anchor=False, width="content")
        runs.state_badge(seen.state)
    runs.progress(seen)
    st.caption(runs.computed_with(run))
    recent = newest(rows, IMAGES_IN_VIEW)
    mechanisms = [spec.replace("_", "-") for spec in seen.config.mechanisms]
    values = {
        "One-to-one": f"{one_to_one_count(rows)} of {len(mechanisms)}",
        "Restored": f"{mean_psnr(recent):.1f} dB" if recent else "–",
        "Speed": f"{seen.status.steps_per_second:.1f} steps/s" if seen.live else "–",
        "Time left": runs.time_left(seen),
    }
    with st.container(horizontal=True):
        for name, value in values.items():
            st.metric(name, value, help=METRIC_HELP[name], border=True, width="stretch")

    if seen.state == "crashed":
        runs.crash_report(seen)
    if rows:
        charts(rows, recent, mechanisms)
    elif seen.live:
        st.info(
            "The race has not begun: first the experts learn to copy their input, so that all start level.",
            icon=":material/hourglass_top:",
        )
    else:
        st.info(
            "This run ended before its first recorded step. Resume it on the Train page.",
            icon=":material/info:",
        )


def charts(rows: list[StepRecord], recent: list[StepRecord], mechanisms: list[str]) -> None:
    overall, lately = total_wins(rows), total_wins(recent)
    wide, narrow = st.columns([3, 2], gap="medium")
    with wide, st.container(border=True):
        st.markdown("**The race** · share of the images that each expert wins")
        st.echarts_chart(
            figures.race(rows, window=IMAGES_IN_VIEW // 2),
            height=CHART_HEIGHT,
            key="race",
            alt="Lines: share of images won by each expert, over steps",
        )
    with narrow, st.container(border=True):
        st.markdown("**Who wins what** · % of a mechanism's newest images")
        st.echarts_chart(
            figures.wins_table(lately, mechanisms),
            height=CHART_HEIGHT,
            key="table",
            alt="Heat map: share of each mechanism's images won by each expert",
        )
    small = (
        (
            "**Wins per expert** · images, since the start",
            figures.totals(overall),
            "Bars: images won by each expert",
        ),
        ("**Restored** · PSNR to the true originals", figures.quality(rows), "Line: PSNR over steps"),
        ("**Losses**", figures.losses(rows), "Lines: both losses over steps"),
    )
    for column, (title, option, alt) in zip(st.columns(3, gap="medium"), small):
        with column, st.container(border=True):
            st.markdown(title)
            st.echarts_chart(option, height=SMALL_CHART_HEIGHT, key=alt, alt=alt)

    with st.expander("The numbers", key="numbers"):
        share = win_share(lately)
        st.dataframe(
            {
                "mechanism": mechanisms,
                "owner": ["none" if owner is None else figures.badge(owner) for owner in owners(share)],
                "best share": [f"{100 * best:.0f} %" for best in share.max(axis=0)],
                **{figures.badge(expert): wins.tolist() for expert, wins in enumerate(overall)},
            },
            hide_index=True,
        )
        st.caption(
            f"Owner and best share: newest {sum(row.images for row in recent):,} images. "
            f"E0, E1, …: images won since the start, {int(overall.sum()):,} in all."
        )


heading, picker = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Monitor", anchor=False)
with picker:
    run = runs.pick()
if run is None:
    st.markdown("There is no run to watch yet.")
    if st.button("Train your first experts", type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
else:
    try:
        state = runs.glance(run).state
    except StoreError:
        state = "finished"  # unreadable: said below, once
    ticking = state in runs.LIVE
    pace = TICK if ticking else None if state == "finished" else REST
    st.fragment(live, run_every=pace)(run, ticking)
