"""A run, live: who wins how much, who wins what, how good the answers are."""

import numpy as np
import streamlit as st

from icm import figures
from icm.ownership import owners, win_share
from icm.records import total_wins
from icm.store import Run, StoreError
from pages.ui import runs

st.title("Monitor", anchor=False)
run = runs.pick()


def labels(mechanisms: tuple[str, ...]) -> list[str]:
    return [spec.replace("_", "-") for spec in mechanisms]


def live(run: Run) -> None:
    try:
        seen = runs.glance(run)
        rows = runs.records(run)
    except StoreError as error:
        st.error(str(error), icon=":material/error:")
        return
    mechanisms = labels(seen.config.mechanisms)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(runs.title(seen), anchor=False)
        runs.state_badge(seen.state)
    runs.progress(seen)

    count = runs.one_to_one(rows)
    for column, (name, value, meaning) in zip(
        st.columns(4),
        (
            ("One-to-one", f"{count} of {len(mechanisms)}", "Mechanisms with an expert that owns nothing else."),
            ("Restored", f"{rows[-1].psnr:.1f} dB" if rows else "–", "PSNR of the winners' answers to the true originals, which no expert saw. Higher is better."),
            ("Speed", f"{seen.status.steps_per_second:.1f} steps/s" if seen.live else "–", "Steps per second of the trainer."),
            ("Time left", runs.time_left(seen), "Of the present phase, at the present speed."),
        ),
    ):  # fmt: skip
        column.metric(name, value, help=meaning, border=True)

    if seen.state == "crashed":
        st.error(
            (seen.status.message or "The trainer ended without a word.") + " Resume it on the Train page; nothing before the last saved state is lost.",
            icon=":material/error:",
        )
        st.code(run.log_tail(12) or "The log is empty.", language=None)
    if not rows:
        st.info(
            "The race has not begun: first every expert learns to copy its input, so that all start level."
            if seen.live
            else "This run has not come to its first recorded step.",
            icon=":material/hourglass_top:",
        )
        return

    recent, overall = total_wins(rows, runs.IMAGES_IN_VIEW), total_wins(rows, 10**12)
    wide, narrow = st.columns([3, 2], gap="medium")
    with wide, st.container(border=True):
        st.markdown("**The race** · share of the images that each expert wins")
        st.echarts_chart(
            figures.race(rows, window=runs.IMAGES_IN_VIEW // 2), height=330, key="race",
            alt="Lines: share of images won by each expert over training steps",
        )  # fmt: skip
    with narrow, st.container(border=True):
        st.markdown("**Who wins what** · % of a mechanism's images, newest 1,000")
        st.echarts_chart(
            figures.wins_table(recent, mechanisms), height=330, key="table",
            alt="Heat map: share of each mechanism's images won by each expert",
        )  # fmt: skip

    first, second, third = st.columns(3, gap="medium")
    with first, st.container(border=True):
        st.markdown("**Wins so far** · images")
        st.echarts_chart(figures.totals(overall), height=260, key="totals", alt="Bars: images won by each expert")
    with second, st.container(border=True):
        st.markdown("**Restored** · PSNR to the true originals")
        st.echarts_chart(figures.quality(rows), height=260, key="quality", alt="Line: PSNR over steps")
    with third, st.container(border=True):
        st.markdown("**Losses**")
        st.echarts_chart(figures.losses(rows), height=260, key="losses", alt="Lines: both losses over steps")

    with st.expander("The numbers"):
        share = win_share(recent)
        owner = owners(share)
        st.dataframe(
            {
                "mechanism": mechanisms,
                "owner": ["none" if expert is None else figures.badge(expert) for expert in owner],
                "owner's share": [f"{100 * value:.0f} %" for value in share.max(axis=0)],
                **{
                    figures.badge(expert): np.asarray(overall)[expert].tolist()
                    for expert in range(seen.config.model.experts)
                },
            },
            hide_index=True,
        )
        st.caption(f"E0, E1, …: images won since the start, {sum(row.images for row in rows):,} in all.")


if run is None:
    st.markdown("There is no run to watch yet.")
    if st.button("Train your first experts", type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
else:
    try:
        ticking = runs.glance(run).live
    except StoreError:
        ticking = False
    st.fragment(live, run_every=1 if ticking else None)(run)
