"""The first page: what this laboratory shows, in one picture, and two ways on."""

import streamlit as st

from icm.runs.run import SHIPPED
from icm.runs.store import shipped
from pages.ui import clock, decisions, panels, picker, run_view, timeline
from pages.ui.decisions import REST
from pages.ui.told import telling

SENTENCE = 760  # pixels: a longer line is hard to read


def newest() -> None:
    """The fragment: the newest run at a glance. It looks again while that run is being trained."""
    seen = run_view.latest([each for each in picker.runs() if each.run.id != SHIPPED])
    with clock.looking("newest", decisions.pace(seen, live=True) if seen else REST):
        if seen is None:
            return
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**Your newest run** · {run_view.title(seen)}", width="content")
                panels.state_badge(seen.state)
            panels.progress(seen)
            with telling():
                count = seen.history().one_to_one_count()
                st.caption(
                    f"{count} of {len(seen.config.mechanisms)} mechanisms have an expert of their own."
                )
            with st.container(horizontal=True):
                label = "Watch it learn" if seen.live else "Look at this run"
                if st.button(label, icon=":material/monitoring:"):
                    st.switch_page("monitor.py", query_params={"run": seen.run.id})
                recommended = decisions.next_preset(seen)
                if recommended is not None:
                    if st.button("Next: all ten mechanisms", icon=":material/arrow_forward:"):
                        st.switch_page("train.py", query_params={"preset": recommended})


panels.steady()
st.title("Who undoes what?", anchor=False)
with st.container(width=SENTENCE):
    st.markdown(
        "Ten small networks, the **experts**, compete to undo ten unknown **causal mechanisms** that change digits, and nobody tells "
        "them which is which. Each comes to undo one. What is learned apart can be reused apart: on letters never seen, and in chains."
    )
with st.container(horizontal=True):
    if st.button("Draw yours", type="primary", icon=":material/draw:"):
        st.switch_page("draw.py")
    if st.button("Train your own", icon=":material/play_arrow:"):
        st.switch_page("train.py")

box = shipped()
if box is not None:
    with telling():
        seen = run_view.view(box)
        timeline.timeline("home", box, seen.config, seen.history(), plays=True)

st.fragment(newest)()

st.header("One round", anchor=False)
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
if st.button("One round in slow motion", icon=":material/slow_motion_video:"):
    st.switch_page("round.py")
st.caption(
    "A laboratory for *Learning Independent Causal Mechanisms* "
    "(Parascandolo, Kilbertus, Rojas-Carulla and Schölkopf, ICML 2018)."
)
