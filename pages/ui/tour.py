"""A tour of five stops around Home, offered on the first visit, skippable, repeatable, by mouse, touch and keyboard."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamlit.components.v2 import component

HTML = """
<div class="tour">
  <p class="offer"><span hidden>New here? Five stops, one minute.</span>
    <button type="button" class="begin">Tour</button><button type="button" class="skip" hidden>Not now</button></p>
  <section class="card" role="dialog" aria-labelledby="stop" hidden>
    <p class="where" id="stop"></p>
    <p class="what"></p>
    <p class="ways"><button type="button" class="back">Back</button><button type="button" class="next">Next</button>
      <button type="button" class="end">End the tour</button></p>
  </section>
</div>
"""
_BESIDE = Path(__file__).parent
_component = component(
    "tour",
    html=HTML,
    css=(_BESIDE / "tour.css").read_text(encoding="utf-8"),
    js=(_BESIDE / "tour.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Stop:
    """Where the tour stops: what is outlined, by a CSS selector, and what is said of it."""

    selector: str
    title: str
    words: str


STOPS = (
    Stop(
        ".st-key-picture",
        "Who undoes what",
        "Each row is one way to change a digit, each colour an expert. Where a row becomes one colour, one expert has taken it. "
        "Drag along the picture, or use the arrow keys.",
    ),
    Stop(
        ".st-key-newest",
        "Your own runs",
        "Train experts of your own, in a minute or two with the small preset. Your newest run is shown here, live.",
    ),
    Stop(
        ".st-key-round",
        "One round",
        "Five taps show how a digit is fought over, with the networks of the run above.",
    ),
    Stop(
        "a[href$='/draw']",
        "Draw",
        "Draw a digit, change it, and see which expert claims it. Guess who, next to it, is a game: you against the discriminator.",
    ),
    Stop(
        "a[href$='/learn']",
        "Learn",
        "The idea in four screens, every word explained. Start here if you have never heard of it.",
    ),
)


def tour(stops: Sequence[Stop] = STOPS) -> None:
    """The button that begins it, with an offer on the first visit; the browser remembers that it was made."""
    shown = [{"selector": each.selector, "title": each.title, "words": each.words} for each in stops]
    _component(key="tour", data={"stops": shown})
