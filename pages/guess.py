"""Guess who: something changes a digit, you bet on the expert that undoes it, and the cards turn over.

Your count against the discriminator's is kept while the session lasts. The link carries the run."""

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from icm.config import mechanism_name
from icm.ownership import owners, win_share
from icm.runs.history import run_history
from icm.runs.run import Run
from pages.ui import html, inside, picker, words
from pages.ui.pad import DRAWN
from pages.ui.run_view import role_words
from pages.ui.told import nothing_yet, telling

GAME = "guess who"


@dataclass(frozen=True)
class Game:
    """How far a visitor's game is."""

    seed: int
    number: int = 0  # of the riddle
    bet: int | None = None  # the expert, None before somebody bets
    about: tuple[str, float, bool] | None = None  # a run, when it was made, whether the digit is one's own
    you: int = 0  # riddles that the bet was right on
    discriminator: int = 0  # riddles whose owner won
    rounds: int = 0

    def tally(self) -> str:
        if not self.rounds:
            return ""
        return f"You {self.you} of {self.rounds} · the discriminator {self.discriminator} of {self.rounds}"


def game() -> Game:
    if GAME not in st.session_state:
        st.session_state[GAME] = Game(int(np.random.default_rng().integers(2**31)))
    return st.session_state[GAME]


def game_about(what: tuple[str, float, bool]) -> Game:
    """The game, with another riddle where the one before was about something else: a bet on that says nothing of this."""
    now = game()
    if now.about != what:
        number = now.number + (now.about is not None)
        st.session_state[GAME] = replace(now, number=number, bet=None, about=what)
    return game()


def play_on() -> None:
    """The next riddle."""
    st.session_state[GAME] = replace(game(), number=game().number + 1, bet=None)


@telling()
def table(run: Run, step: int) -> None:
    """The fragment: a riddle of the run's newest experts, and ten cards."""
    # The experts need torch, which takes seconds to import the first time.
    from pages.ui import cached, guess, pictures, riddle

    config = run.config()
    wins = run_history(run, config).until(step).recent().wins[0]
    owner, words = owners(win_share(wins)), role_words(wins, config.mechanisms)
    if len({*owner} - {None}) < 2:
        st.info(
            "These experts have not shared the mechanisms out yet, so there is nothing to guess. Choose another run.",
            icon=":material/hourglass_empty:",
        )
        return
    mine = st.session_state.get(DRAWN)
    with st.container(horizontal=True):
        helped = st.toggle(
            "Say what each expert undoes",
            value=True,
            key="helped",
            help="Off: a card shows only where its expert looks, by the bright pixels: the middle is the pixel that it writes.",
        )
        own = mine is not None and st.toggle(
            "Use my drawing", key="own", help="The digit that you gave on Draw."
        )
    now = game_about((run.id, run.created, own))
    with st.spinner("Asking the experts…"):
        key = cached.snapshot_key(run, step)
        found = riddle.riddle(
            cached.networks_of(key),
            mine if mine is not None and own else pictures.a_digit(now.seed + now.number),
            config.mechanisms,
            owner,
            [now.seed, now.number],
        )
        emblems = cached.emblems(key)
    cards = [
        guess.Card(each, emblems[each], html.undoes(words[each]) if helped else "")
        for each in found.contest.players()
    ]

    def bet(expert: int) -> None:
        if game().bet is None:
            st.session_state[GAME] = replace(
                game(),
                bet=expert,
                you=now.you + (expert == found.owner),
                discriminator=now.discriminator + (found.winner == found.owner),
                rounds=now.rounds + 1,
            )

    name = mechanism_name(config.mechanisms[found.mechanism])
    told = "" if now.bet is None else riddle.verdict(found, now.bet, name)
    guess.guess("guess", now.number, found, cards, told, now.tally(), bet, play_on)
    inside.doors(run, step)


heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Guess who", anchor=False)
with place:
    run = picker.pick_trained()
st.html(
    words.said(
        "A [mechanism] has changed a digit. Bet on the [expert] that undoes it, and see whether the [discriminator], which was told "
        "nothing either, chooses the same one."
    )
)
if run is None:
    nothing_yet("No trained experts yet.")
else:
    with telling():
        run.config()
        st.fragment(table)(run, run.snapshots.steps()[-1])
