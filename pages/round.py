"""One round of the competition in slow motion: five stations on one path, replayed from any snapshot of any run.

The link carries run and station. Arrow keys walk: right and left along the path, down and up through the images."""

import time
from typing import TYPE_CHECKING

import streamlit as st

from icm.config import RunConfig, mechanism_title
from icm.runs.run import Run
from pages.ui import clock, decisions, inside, picker, words
from pages.ui.run_view import SOURCES
from pages.ui.told import nothing_yet, telling

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from pages.ui.cached import SnapshotKey

PLAY = 3.0  # seconds at a station while the path plays by itself
STATIONS = 5
PLAYS = "round plays"  # since when the present station is shown while the path plays; None while it stands

QUESTIONS = {
    "Why does only the winner learn?": "If every expert learned from every image, all would get the same lessons and become one average "
    "expert. Because the winner alone learns, a small lead on one kind of image grows: who wins more of it learns more from it.",
    "Why do the losers' answers count for the discriminator?": "It has to tell digits that nobody changed from everything that experts make "
    "of changed ones, bad answers too: it scores all of them. So all are shown to it as fakes. They teach it, and not the experts who gave them.",
    "Why do experts begin by copying?": "Then every answer is a digit from the first step on, and nearly the same one from everybody. The "
    "answers of untrained networks are grey noise, and whoever looks a little less like noise could win everything.",
    "How can it fail?": "Two mechanisms can stay with one expert while another idles: nobody is made to leave. A conscience, where it is "
    "switched on, helps for a while who wins less than its share. And the discriminator knows no original: it can prefer a clean wrong "
    "answer to a right but faint one.",
}


def station() -> int:
    """The one that the link names, from 0."""
    return decisions.place_in_link(st.query_params.get("station"), STATIONS)


def go(to: int) -> None:
    st.query_params["station"] = str(min(max(to, 0), STATIONS - 1) + 1)


def walk(by: int) -> None:
    st.session_state[PLAYS] = None
    go(station() + by)


def play() -> None:
    """Begins at the first station, or stops."""
    begins = st.session_state.get(PLAYS) is None
    st.session_state[PLAYS] = time.monotonic() if begins else None
    if begins:
        go(0)


def turn(by: int) -> None:
    """Another image of the batch."""
    st.session_state["image"] = st.session_state.get("image", 0) + by


def plays_on() -> bool:
    """Whether the path plays; goes on to the next station when the present one has been shown long enough."""
    since = st.session_state.get(PLAYS)
    if since is not None and time.monotonic() - since >= PLAY:
        go(station() + 1)
        st.session_state[PLAYS] = time.monotonic() if station() < STATIONS - 1 else None
    return st.session_state.get(PLAYS) is not None


def slow_motion(run: Run, step: int, conscience: bool, losers: bool) -> None:
    """The fragment: the path, the buttons that walk it, and what is to be seen at the station."""
    if inside.is_open():
        st.session_state[PLAYS] = None
    playing, at = plays_on(), station()
    with clock.looking("round", PLAY if playing else None):
        # The step needs torch, which takes seconds to import the first time.
        from pages.ui import cached, run_view, stations

        with telling():
            key = cached.snapshot_key(run, step)
            with st.spinner("Replaying the step…"):
                replay = cached.replayed(key, conscience, losers)
            count = len(replay.batch.mechanism)
            image = st.session_state.get("image", 0) % count
            spec = key.config.mechanisms[int(replay.batch.mechanism[image])]
            shown = stations.Shown(
                replay,
                image,
                run_view.roles_of(run, step),
                mechanism_title(spec),
                cached.emblems(key),
                losers,
            )
            st.html(stations.path(at))
            buttons(playing, at)
            st.subheader(f"{at + 1} · {stations.NAMES[at]}", anchor=False)
            st.html(words.said(stations.SENTENCES[at]))
            st.html(stations.content(shown, at))
            if at == stations.WINS:
                inside.door(shown.winner)
            st.caption(f"Image {image + 1} of {count}: {drawn_from(key)}")
            inside.doors(run, step, on_close=inside.closed)


def drawn_from(key: "SnapshotKey") -> str:
    """Whether these images are those of the run's own step."""
    config, step = key.config, key.step + 1
    if not key.own:
        return f"from the built-in digits, for {SOURCES[config.source]}, which the run learned from, is not here."
    if step > config.training.steps:
        return f"those of a step {step:,}, had the run gone on."
    if config.device != "cpu":
        return f"drawn anew for step {step:,}, as a GPU draws others."
    return f"those of step {step:,}, as the run drew them."


def buttons(playing: bool, at: int) -> None:
    """While the inside of an expert is open before them, the arrow keys are not theirs."""
    keys = (None, None, None, None) if inside.is_open() else ("Left", "Right", "Down", "Up")
    with st.container(horizontal=True):
        st.button("Back", on_click=walk, args=(-1,), disabled=at == 0, shortcut=keys[0])
        st.button(
            "Next", type="primary", on_click=walk, args=(1,), disabled=at == STATIONS - 1, shortcut=keys[1]
        )
        icon = ":material/pause:" if playing else ":material/play_arrow:"
        st.button("Stop" if playing else "Play", icon=icon, on_click=play)
        st.button("Another image", on_click=turn, args=(1,), shortcut=keys[2])
        st.button("Image before", on_click=turn, args=(-1,), shortcut=keys[3])


def rules(run: Run, config: RunConfig) -> tuple[int, bool, bool]:
    """The step after which the round is played, whether the conscience counts, and whether losers are fakes."""
    steps = run.snapshots.steps()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        step = steps[0]
        if len(steps) > 1:
            middle = steps[len(steps) // 2]
            step = st.select_slider("After step", steps, value=middle, key=f"after {run.id}", width=320)
        conscience = config.conscience.rule == "conscience" and st.toggle(
            "With the conscience",
            value=True,
            help="Off: the score alone says who wins, on the same images.",
        )
        losers = st.toggle(
            "Losers teach the discriminator",
            value=config.training.losers_are_fake,
            help="Off: it learns from the winners' answers alone, on the same images.",
        )
    return step, conscience, losers


heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("One round", anchor=False)
with place:
    run = picker.pick_trained()
if run is None:
    nothing_yet("No trained experts yet.")
else:
    inside.closed()  # the whole page runs: what was open before it is gone
    above = st.container()  # what is walked through stands above what says which round it is
    with telling():
        chosen = rules(run, run.config())
        with above:
            st.fragment(slow_motion)(run, *chosen)
        with st.expander("Questions", icon=":material/help:", expanded=True):
            for column, (asked, answer) in zip(st.columns(2) * 2, QUESTIONS.items()):
                column.markdown(f"**{asked}**  \n{answer}")
            st.caption(
                "Computed by the step that also trains. A snapshot has no memory of earlier steps' gradients, so the discriminator's "
                "step before the push, and the push, are those of a step without a past; all before it is as it was."
            )
