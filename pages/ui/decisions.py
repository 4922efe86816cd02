"""What pages decide: how soon they look again, which frame is next, what they say of what was measured. Pure: no Streamlit.

A page is widgets and calls of these functions, so that each decision has a unit test."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from icm.config import RunConfig, changed_fields
from icm.runs.index import IndexedRun
from pages.ui.html import plain
from pages.ui.run_view import LARGEST, RunView, apart, duration

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.evaluation import Evaluation

# How soon a page looks again, in seconds.
# While the run is being trained, as often as rows come, within these two: a look that finds no new row only slows the trainer.
LOOK = 1.0
SLOWEST_LOOK = 3.0
REST = 5.0  # while nobody trains the run, for somebody may resume it elsewhere

CARRIES_OVER = 3.0  # dB above doing nothing; 3 dB is half the squared error


def pace(seen: RunView, live: bool) -> float | None:
    """Seconds until Monitor looks again; None for a page that stands still. `live` is the switch on the page."""
    if seen.live:
        return seconds_for_a_row(seen) if live else None
    return None if seen.state == "finished" else REST


def seconds_for_a_row(seen: RunView) -> float:
    """Whole seconds that the trainer takes for a row, from LOOK to SLOWEST_LOOK; LOOK before the competition."""
    if seen.status.phase != "competing" or seen.status.steps_per_second <= 0:
        return LOOK
    row = seen.config.recording.every / seen.status.steps_per_second
    return min(max(float(round(row)), LOOK), SLOWEST_LOOK)


def step_in_link(said: str | None, newest: int) -> int | None:
    """The step that a link names, if the run has got there; None for the newest and for what is no step."""
    if said is None or not said.isascii() or not said.isdecimal():
        return None
    return int(said) if int(said) < newest else None


def run_like(preset: RunConfig, runs: Sequence[IndexedRun]) -> IndexedRun | None:
    """The newest finished run that was trained here and differs from the preset in its seed, its digits or its device alone."""
    for each in runs:
        if each.config is None or each.state != "finished" or each.run.exported:
            continue
        same = replace(preset, seed=each.config.seed, source=each.config.source, device=each.config.device)
        if each.config == same:
            return each
    return None


def timed_in_words(
    seconds: float | None, training: bool, timing: bool, like: IndexedRun | None = None
) -> str:
    """Markdown: how long a preset takes here, or why that is not known. `timing`: False when timing was tried and failed.

    `seconds` were timed on a few steps, perhaps while the machine was busy; `like` is a run that was trained to its end."""
    if like is not None:
        return (
            f":material/timer: about {duration(like.seconds)} on this machine, as {plain(like.run.id)} took"
        )
    if seconds is not None:
        return f":material/timer: at most {duration(seconds)} on this machine, timed"
    if not timing:
        return ":material/timer_off: could not be timed on this machine"
    if training:
        return ":material/timer: not timed while a run is being trained"
    return ":material/timer: being timed on this machine…"


def differences(left: RunView, right: RunView) -> dict[str, list[str]] | None:
    """The settings in which two runs differ, as the columns of a table; None when they have the same."""
    there, here = changed_fields(right.config, left.config), changed_fields(left.config, right.config)
    if not there:
        return None
    said = apart({"of a run": "setting", left.run.id: left.run.label, right.run.id: right.run.label})
    names = [name.replace(".", ": ").replace("_", " ") for name in there]
    columns = (names, *([_setting(each[name]) for name in there] for each in (here, there)))
    return dict(zip(said.values(), columns))


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# Digits and other images


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not None; None when all are."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def carried_over(here: "Evaluation", there: "Evaluation", referred: str, name: str) -> str:
    """Markdown: whether experts and discriminator carry over from `here`, called `referred`, to `there`, called `name`."""
    on_digits, elsewhere, nothing = (
        mean(each) for each in (here.psnr_owner, there.psnr_owner, there.psnr_nothing)
    )
    if on_digits is None or elsewhere is None or nothing is None:
        return (
            f"**No expert owns a mechanism yet**: none wins most of a mechanism's images among {referred}, so there is no "
            f"owner to ask about {name}, and the discriminator has nothing to carry over."
        )
    gap = on_digits - elsewhere
    if elsewhere > nothing + CARRIES_OVER:
        carried = "carry over"
    else:
        carried = "barely help" if elsewhere > nothing else "do not carry over"
    owned = sum(owner is not None for owner in here.owner)
    of_those = "" if owned == len(here.owner) else f" Only {owned} of {len(here.owner)} mechanisms have one."
    return (
        f"**The experts {carried}.** On {name} the owners' answers reach {elsewhere:.1f} dB, "
        f"{abs(gap):.1f} dB {'less' if gap > 0 else 'more'} than on {referred}; doing nothing gives {nothing:.1f} dB.{of_those}  \n"
        f"**The discriminator** sends {there.routing_accuracy:.0%} of {name} to the expert that owns the mechanism; "
        f"of {referred} {here.routing_accuracy:.0%}."
    )


def lines_of_card(
    card: Mapping[str, Any], known: Sequence[str], field: str
) -> tuple[list[int], dict[str, Float[np.ndarray, " step"]]]:
    """The kept steps in a run's card, and for each known set `field` at these steps, nan where the card has none."""
    rows = [row for row in card["over_steps"] if row.get("set") in known and 0 <= row["step"] <= LARGEST]
    steps = sorted({int(row["step"]) for row in rows})
    lines = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        said = {row["step"]: row[field] for row in rows if row["set"] == name}
        lines[name] = np.array([said.get(step, np.nan) for step in steps], dtype=float)
    return steps, lines


def frequencies_for(base: RunConfig, specs: Sequence[str]) -> tuple[float, ...]:
    """The frequencies of `base` for other mechanisms: each keeps its own, and one that `base` has not gets 1."""
    if not base.frequencies:
        return ()
    own = {spec.partition("=")[0]: each for spec, each in zip(base.mechanisms, base.frequencies)}
    return tuple(own.get(spec.partition("=")[0], 1.0) for spec in specs)


def next_preset(seen: RunView) -> str | None:
    """The preset to recommend to somebody whose newest run this is: all ten mechanisms after a first small one, else none."""
    return "robust" if seen.state == "finished" and seen.config.preset in ("tiny", "quick") else None
