"""The idea in four screens: causes are parts, ten compete, only the winner learns, what is learned apart can be used apart.

The link carries the run and the screen. Arrow keys turn the screens."""

import streamlit as st

from icm.config import mechanism_title
from icm.ownership import owners, win_share
from icm.runs.history import run_history
from icm.runs.run import Run
from pages.ui import decisions, inside, picker
from pages.ui.told import nothing_yet, telling

SCREENS = 4
PAPER = "https://arxiv.org/abs/1712.00961"
LETTERS = 10


def screen() -> int:
    """The one that the link names, from 0."""
    return decisions.place_in_link(st.query_params.get("screen"), SCREENS)


def turn(by: int) -> None:
    st.query_params["screen"] = str(min(max(screen() + by, 0), SCREENS - 1) + 1)


def another() -> None:
    """Another digit."""
    st.session_state["lesson digit"] = st.session_state.get("lesson digit", 0) + 1


@telling()
def lesson(run: Run) -> None:
    """The fragment: one screen."""
    # The pictures need torch, which takes seconds to import the first time.
    from pages.ui import lessons

    at = screen()
    shown = lessons.LESSONS[at]
    st.html(lessons.path(at))
    st.header(f"{at + 1} · {shown.title}", anchor=False)
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.html(lessons.text(shown))
        st.caption(
            "Dotted words and symbols explain themselves: point to one, tap it, or come to it with Tab."
        )
        # While the inside of an expert is open before them, the arrow keys are not theirs.
        keys = (None, None, None) if inside.is_open() else ("Left", "Right", "Down")
        with st.container(horizontal=True):
            st.button("Back", on_click=turn, args=(-1,), disabled=at == 0, shortcut=keys[0])
            st.button(
                "Next", type="primary", on_click=turn, args=(1,), disabled=at == SCREENS - 1, shortcut=keys[1]
            )
            if at < SCREENS - 1:
                st.button("Another digit", on_click=another, shortcut=keys[2])
    with right, st.container(key="lesson"), telling():
        picture(run, at)
    if at == SCREENS - 1:
        onwards(run)


def picture(run: Run, at: int) -> None:
    """What is to be seen on a screen, made by the networks of the run."""
    from icm.images.batches import as_images
    from pages.ui import cached, claims, lessons, pictures, stations
    from pages.ui.run_view import role_words

    config, steps = run.config(), run.snapshots.steps()
    number = st.session_state.get("lesson digit", 0)
    digit = pictures.a_digit(number)
    if at == 0:
        st.html(lessons.ten_ways(digit, claims.changed_by(digit, list(config.mechanisms))))
        return
    step = steps[-1]
    if at in (1, 2) and len(steps) > 1:
        step = st.select_slider(
            "After so many steps of learning", steps, value=steps[-1] if at == 1 else steps[len(steps) // 2]
        )
    key = cached.snapshot_key(run, step)
    wins = run_history(run, config).until(step).recent().wins[0]
    roles = role_words(wins, config.mechanisms)
    if at == 1:
        spec = config.mechanisms[number % len(config.mechanisms)]
        found = claims.claim(cached.networks_of(key), digit, [spec], 1)
        st.caption(f"A digit changed by {mechanism_title(spec)}, every expert's answer, and its score.")
        st.html(claims.everyone(found, roles, cached.emblems(key)))
    elif at == 2:
        replay = cached.replayed(key, config.conscience.rule == "conscience", config.training.losers_are_fake)
        image = number % len(replay.batch.mechanism)
        spec = config.mechanisms[int(replay.batch.mechanism[image])]
        st.caption(
            "The push: which way the winner's loss wants each pixel of its answer to change, in the step that follows."
        )
        st.html(stations.content(stations.Shown(replay, image, roles, mechanism_title(spec)), 3))
    else:
        found = cached.unseen("alphabets", key.root, "digits", LETTERS)
        owner = owners(win_share(wins))
        if not any(each is not None for each in owner):
            st.caption("No expert of this run owns a mechanism yet, so there is none to give letters to.")
            return
        st.caption(
            "Letters changed by one mechanism each, and below it the answer of the expert that owns it; how near each is to the "
            "letter as it was."
        )
        st.html(
            lessons.letters(cached.networks_of(key)[0], as_images(found.pixels), config.mechanisms, owner)
        )
    inside.doors(run, step, on_close=inside.closed)


def measured(run: Run) -> str:
    """How many pictures of letters and of clothes went to the right expert, as the run's card has it; empty without a card."""
    card = run.card()
    shares = (
        {} if card is None else {name: each["routing_accuracy"] for name, each in card["elsewhere"].items()}
    )
    if not {"alphabets", "fashion"} <= shares.keys():
        return ""
    return (
        f"Measured with this run: the discriminator chose the owner for {shares['alphabets']:.0%} of the letters, and for {shares['fashion']:.0%} "
        "of pictures of clothes (Fashion-MNIST)."
    )


def onwards(run: Run) -> None:
    """Ways on, and where all this comes from."""
    st.markdown(
        "**What now?** See the experts part on Home, draw a digit for them, or walk through one round of the competition."
    )
    with st.container(horizontal=True):
        for label, icon, page in (
            ("Draw yours", "draw", "draw.py"),
            ("One round in slow motion", "slow_motion_video", "round.py"),
            ("Train your own", "play_arrow", "train.py"),
        ):
            if st.button(label, icon=f":material/{icon}:"):
                st.switch_page(page)
    if said := measured(run):
        st.caption(said)
    st.caption(
        f"The method is that of [Learning Independent Causal Mechanisms]({PAPER}), Parascandolo, Kilbertus, Rojas-Carulla and Schölkopf, "
        "ICML 2018. Networks in these pictures: the run that is chosen above. Where it has a conscience, that is not the paper's."
    )


heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("The idea in four screens", anchor=False)
with place:
    run = picker.pick_trained()
if run is None:
    nothing_yet("No trained experts yet.")
else:
    inside.closed()  # the whole page runs: what was open before it is gone
    with telling():
        run.config()
        st.fragment(lesson)(run)
