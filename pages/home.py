"""The first page: what this laboratory is, the newest run at a glance, and what to do next."""

import streamlit as st

from icm.config import PAPER_MECHANISMS
from pages.ui import decisions, panels, picker, run_view
from pages.ui.html import plain
from pages.ui.told import nothing_yet, telling

left, right = st.columns([3, 2], gap="large")
with left:
    st.title("Who undoes what?", anchor=False)
    st.markdown(
        "Small networks, the **experts**, compete to undo unknown image transformations, the **mechanisms**. "
        "Nobody tells them which is which: for every image a **discriminator** names the winner, only the winner "
        "learns, and so each expert comes to undo one mechanism."
    )
    st.caption(
        "A laboratory for *Learning Independent Causal Mechanisms* "
        "(Parascandolo, Kilbertus, Rojas-Carulla and Schölkopf, ICML 2018)."
    )
    with st.container(horizontal=True):
        if st.button("Draw a digit, see who claims it", icon=":material/draw:"):
            st.switch_page("draw.py")
        if st.button("Beyond digits", icon=":material/compare:"):
            st.switch_page("compare.py")

seen = run_view.latest(picker.runs())
with right, st.container(border=True):
    if seen is None:
        st.subheader("No run yet", anchor=False)
        nothing_yet(
            "Train a first one: a few experts, a few minutes, on the digits that came with the installation."
        )
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(run_view.title(seen), anchor=False)
            panels.state_badge(seen.state)
        panels.progress(seen)
        with telling():
            count = seen.history().one_to_one_count()
            st.markdown(
                f"**{count} of {len(seen.config.mechanisms)}** mechanisms have an expert of their own."
            )
        with st.container(horizontal=True):
            label = "Watch it learn" if seen.live else "Look at this run"
            if st.button(label, type="primary", icon=":material/monitoring:"):
                st.switch_page("monitor.py", query_params={"run": seen.run.id})
            recommended = decisions.next_preset(seen)
            if recommended is not None:
                if st.button("Next: all ten mechanisms", icon=":material/arrow_forward:"):
                    st.switch_page("train.py", query_params={"preset": recommended})
            elif st.button("Train another", icon=":material/add:"):
                st.switch_page("train.py")

# The pictures need torch, which takes seconds to import the first time: everything above is on the page by then.
from pages.ui import cached, pictures  # noqa: E402

steps = seen.run.snapshots.steps() if seen else []
if seen and steps:
    st.subheader("What went in, what came out", anchor=False)
    with telling(), st.spinner("Asking the experts…"):
        key = cached.snapshot_key(seen.run, steps[-1])
        html = cached.cards(key)
        st.caption(
            f"One {key.kind_of_digit} for each mechanism, after {steps[-1]:,} steps of run “{plain(seen.run.label)}”. "
            "The winner's number is in the corner. No expert ever saw the original."
        )
        st.html(html)
else:
    st.subheader("The ten mechanisms", anchor=False)
    st.caption(
        "What they do to a digit. The experts see changed digits and unrelated clean ones, never a pair."
    )
    with telling(), st.spinner("Reading the digits…"):
        st.html(pictures.mechanism_cards(PAPER_MECHANISMS))

st.subheader("One round", anchor=False)
for column, (name, text) in zip(
    st.columns(3),
    {
        "1 · Everyone answers": "A changed digit goes to every expert. Each returns the image that it would rather see.",
        "2 · One wins": "The discriminator, which knows clean digits, scores every answer. The best score takes the image.",
        "3 · Only the winner learns": "Whoever is ahead on a kind of image gets its lessons, pulls further ahead, and specialises.",
    }.items(),
):
    with column, st.container(border=True):
        st.markdown(f"**{name}**  \n{text}")
