"""The picture of a run that leads Monitor, Side by side and Home: who undoes what, over time. Drawn in the browser by timeline.js,
which moves the playhead by itself; the script hears of a moment only when somebody lets go of it."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import UInt8
from streamlit.components.v2 import component

from icm.config import SYMBOLS, RunConfig, mechanism_name
from icm.runs.history import History
from icm.runs.run import Run
from icm.show import story
from icm.show.experts import COLOURS
from icm.show.timeline import timeline as numbers_of

HTML = """
<div class="timeline">
  <p class="said" aria-live="polite"></p>
  <div class="pictures">
    <figure>
      <figcaption>Who undoes what, over time</figcaption>
      <canvas class="time" tabindex="0" role="slider" aria-valuemin="0" aria-label="Step of the run. Left and right arrows move
        in time, up and down choose a mechanism, Enter looks inside its owner, Space plays."></canvas>
    </figure>
    <figure>
      <figcaption class="now"></figcaption>
      <canvas class="ribbons" role="img"></canvas>
    </figure>
    <figure>
      <figcaption>What everyone answers</figcaption>
      <canvas class="film" role="img" aria-label="Every expert's answer to one digit of each mechanism"></canvas>
    </figure>
  </div>
  <div class="tools">
    <button type="button" class="play"></button>
    <button type="button" class="newest">Back to the newest</button>
    <span class="when"></span>
  </div>
  <div class="tip" hidden></div>
</div>
"""
_BESIDE = Path(__file__).parent
_component = component(
    "timeline",
    html=HTML,
    css=(_BESIDE / "timeline.css").read_text(encoding="utf-8"),
    js="\n".join(
        (_BESIDE / f"{name}.js").read_text(encoding="utf-8")
        for name in ("timeline", "shares", "ribbons", "film")
    ),
)


@dataclass(frozen=True)
class Chosen:
    """What somebody pointed to: a step, None for the newest, and a mechanism by its row, None before a choice."""

    at: int | None
    row: int | None


NOTHING = Chosen(at=None, row=None)


def timeline(
    key: str,
    run: Run,
    config: RunConfig,
    history: History,
    chosen: Chosen = NOTHING,
    last: int | None = None,
    parts: Sequence[str] = ("ribbons", "film"),
    plays: bool = False,
    door: str | None = None,
    on_change: Callable[[], None] | None = None,
) -> None:
    """Shows the picture with the playhead and the row that are `chosen`.

    `last` is the step at which the axis ends, by default that of the run. `plays` lets it play once by itself. Its badges are the
    doors of that name of the page's `inside.doors`; None where the page has none. When
    somebody has pointed to a step or a mechanism, `on_change` is called and the script runs again: see `chosen_on`. Without it the
    script hears of nothing."""
    of = last or config.training.steps
    found = numbers_of(history, of)
    names = [mechanism_name(spec) for spec in config.mechanisms]
    data: dict[str, Any] = {
        "key": key,
        "run": _name(run),
        "last": of,
        "steps": config.training.steps,
        "step": found.step.tolist(),
        "above": _in_text(np.packbits(found.share > 0)),
        "share": _in_text(found.share[found.share > 0]),
        "experts": history.experts,
        "order": found.order,
        "mechanisms": [
            {"symbol": SYMBOLS.get(spec.partition("=")[0], "·"), "name": name}
            for spec, name in zip(config.mechanisms, names)
        ],
        "events": story.words(story.events(history), names),
        "before": "All experts begin alike: nobody undoes anything yet",
        "colours": COLOURS,
        "film": _film(run) if "film" in parts else None,
        "parts": list(parts),
        "at": chosen.at,
        "row": chosen.row,
        "plays": plays,
        "door": door,
        "tells": on_change is not None,
    }
    _component(key=key, data=data, on_chosen_change=on_change or (lambda: None))


def _in_text(numbers: UInt8[np.ndarray, " number"]) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _name(run: Run) -> str:
    return f"{run.id} {run.version}"


def _film(run: Run) -> dict[str, Any] | None:
    """Where the browser finds the run's film; None where there is none."""
    steps, copies = run.film.steps(), run.film.copies()
    if not steps and not copies:
        return None
    return {"run": run.id, "version": run.version, "steps": steps, "copy": max(copies, default=None)}


def chosen_on(key: str, run: Run, config: RunConfig) -> Chosen | None:
    """What somebody has pointed to on the picture of that run; None for what the browser cannot have sent."""
    sent = st.session_state[key].get("chosen")
    last, rows = config.training.steps, len(config.mechanisms)
    if not isinstance(sent, dict) or sent.get("run") != _name(run):
        return None
    at, row = sent.get("at"), sent.get("row")
    if at is not None and not (type(at) is int and 0 <= at <= last):
        return None
    if row is not None and not (type(row) is int and 0 <= row < rows):
        return None
    return Chosen(at, row)
