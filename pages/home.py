"""The first page: what this laboratory shows, in one picture, and two ways on."""

import streamlit as st

from icm.config import mechanism_title
from icm.runs.run import SHIPPED, Run
from icm.runs.store import shipped
from pages.ui import clock, decisions, inside, panels, picker, run_view, timeline, words
from pages.ui.decisions import REST
from pages.ui.told import telling
from pages.ui.tour import tour

SENTENCE = 760  # pixels: a longer line is hard to read
STATIONS = ("A digit", "Answers", "Scores", "The winner", "The judge")  # of one round, in a word each


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
                own = "has an expert of its own" if count == 1 else "have an expert of their own"
                st.caption(f"{count} of {run_view.counted(len(seen.config.mechanisms), 'mechanism')} {own}.")
            with st.container(horizontal=True):
                label = "Watch it learn" if seen.live else "Look at this run"
                if st.button(label, icon=":material/monitoring:"):
                    st.switch_page("monitor.py", query_params={"run": seen.run.id})
                recommended = decisions.next_preset(seen)
                if recommended is not None:
                    if st.button("Next: all ten mechanisms", icon=":material/arrow_forward:"):
                        st.switch_page("train.py", query_params={"preset": recommended})


def picture(run: Run) -> None:
    """The fragment: who undoes what in the run, with a door to each expert. The rest of the page need not run for what is done here."""
    with telling():
        seen = run_view.view(run)
        history = seen.history()
        timeline.timeline("home", run, seen.config, history, plays=True, door="picture")
        inside.doors(run, run.snapshots.steps()[-1], history, name="picture")


def one_round(run: Run) -> None:
    """The fragment: one round of the run's competition in five taps. Before the first tap nothing of it is computed."""
    steps = run.snapshots.steps()
    left, right = st.columns([3, 2], gap="large")
    at = left.pills("Tap from left to right", range(len(STATIONS)), format_func=_station)
    step = right.segmented_control(
        "After step", steps, default=steps[-1], required=True, format_func=lambda each: f"{each:,}"
    )
    if at is None or step is None:
        st.caption("A digit is changed, ten experts answer, one wins. Then only the winner learns.")
        return
    # The round needs torch, which takes seconds to import the first time.
    from pages.ui import cached, stations

    with telling():
        key = cached.snapshot_key(run, step)
        rule = key.config.conscience.rule == "conscience"
        with st.spinner("Replaying the step…"):
            replay = cached.replayed(key, rule, key.config.training.losers_are_fake)
        spec = key.config.mechanisms[int(replay.batch.mechanism[0])]
        shown = stations.Shown(
            replay, 0, run_view.roles_of(run, step), mechanism_title(spec), cached.emblems(key)
        )
        with st.container(width=SENTENCE):
            st.html(words.said(stations.SENTENCES[at]))
        st.html(stations.content(shown, at))
        inside.doors(run, step)


def _station(at: int) -> str:
    return f"{at + 1} · {STATIONS[at]}"


panels.steady()
st.title("Who undoes what?", anchor=False)
with st.container(width=SENTENCE):
    st.html(
        words.said(
            "Ten small [networks|network], the [experts|expert], compete to undo ten unknown **causal** [mechanisms|mechanism] that change "
            "digits, and nobody tells them which is which. Each comes to undo one. What is learned apart can be reused apart: on letters "
            "never seen, and in most chains of two."
        )
    )
with st.container(horizontal=True, vertical_alignment="center"):
    if st.button("Draw yours", type="primary", icon=":material/draw:"):
        st.switch_page("draw.py")
    if st.button("Train your own", icon=":material/play_arrow:"):
        st.switch_page("train.py")
    with st.container(width="content"):
        tour()

box = shipped()
if box is not None:
    with st.container(key="picture"):
        st.fragment(picture)(box)

with st.container(key="newest"):
    st.fragment(newest)()

if box is not None:
    with st.container(key="round"):
        st.header("One round", anchor=False)
        st.fragment(one_round)(box)
with st.container(horizontal=True):
    if st.button("One round in slow motion", icon=":material/slow_motion_video:"):
        st.switch_page("round.py")
    if st.button("The idea in four screens", icon=":material/school:"):
        st.switch_page("learn.py")
    if st.button("Guess who", icon=":material/casino:"):
        st.switch_page("guess.py")
st.caption(
    "A laboratory for *Learning Independent Causal Mechanisms* "
    "(Parascandolo, Kilbertus, Rojas-Carulla and Schölkopf, ICML 2018)."
)
