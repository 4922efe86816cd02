"""The game of Guess who, as the browser plays it: a digit that something has changed, ten cards, a bet, and the cards turn over."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from icm.show.experts import badge, colour
from pages.ui import html
from pages.ui.riddle import Riddle

HTML = """
<section class="guess" aria-label="Guess who">
  <div class="stage">
    <figure class="before"><figcaption>The digit</figcaption><div class="slot" aria-hidden="true">?</div></figure>
    <figure class="truth" hidden><figcaption>The digit</figcaption><canvas width="32" height="32" role="img"
      aria-label="The digit before it was changed"></canvas></figure>
    <b aria-hidden="true">→</b>
    <figure class="after"><figcaption>Changed</figcaption><canvas width="32" height="32" role="img"></canvas></figure>
    <p class="tally"></p>
  </div>
  <p class="said" role="status"></p>
  <button type="button" class="next" hidden>Next digit</button>
  <ol class="cards" aria-label="The experts"></ol>
</section>
"""
_BESIDE = Path(__file__).parent
_component = component(
    "guess",
    html=HTML,
    css=(_BESIDE / "guess.css").read_text(encoding="utf-8"),
    js=(_BESIDE / "guess.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Card:
    """What a card says before it is turned over."""

    expert: int
    emblem: str  # the address of a picture
    words: str  # empty for who plays without help


def guess(
    key: str,
    number: int,
    riddle: Riddle,
    cards: list[Card],
    told: str,
    tally: str,
    on_bet: Callable[[int], None],
    on_next: Callable[[], None],
) -> None:
    """Shows the riddle of that number. `on_bet` gets the expert that somebody bets on; `on_next` asks for another riddle.

    `told` is what is said when all cards are turned over; while it is empty nobody has bet. `tally` is the count so far."""
    scores = riddle.contest.logits[:, 0].tolist()
    playing = [scores[each.expert] for each in cards]
    low, high = min(playing), max(playing)
    data = {
        "number": number,
        "changed": html.grey(riddle.changed[0, 0].numpy()),
        "original": html.grey(riddle.original[0, 0].numpy()),
        "winner": riddle.winner,
        "owner": riddle.owner,
        "axis": [low, max(high, low + 1e-6)],
        "cards": [
            {
                "expert": each.expert,
                "badge": badge(each.expert),
                "colour": colour(each.expert),
                "emblem": each.emblem,
                "words": each.words,
                "score": scores[each.expert],
                "answer": html.grey(riddle.contest.answers[each.expert, 0, 0].numpy()),
            }
            for each in cards
        ],
        "told": told,
        "tally": tally,
    }

    def bet() -> None:
        said = _sent(key, "bet")
        if said.get("number") == number and said.get("expert") in {each.expert for each in cards}:
            on_bet(said["expert"])

    def more() -> None:
        if _sent(key, "next").get("number") == number:
            on_next()

    _component(key=key, data=data, on_bet_change=bet, on_next_change=more)


def _sent(key: str, name: str) -> dict[str, Any]:
    """What the browser sent under that name; it may have sent anything."""
    sent = st.session_state[key].get(name)
    return sent if isinstance(sent, dict) else {}
