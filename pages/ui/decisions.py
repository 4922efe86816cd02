"""What pages decide: how soon they look again, which frame is next, what they say of what was measured. Pure: no Streamlit.

A page is widgets and calls of these functions, so that each decision has a unit test."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from jaxtyping import Float

from icm.config import PAPER_MECHANISMS, RunConfig, changed_fields
from icm.measure.diagnosis import Diagnosis
from icm.measure.doubt import SURE
from icm.runs.index import IndexedRun
from pages.ui.html import plain
from pages.ui.run_view import LARGEST, RunView, apart, counted, duration

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.doubt import Reliability
    from icm.measure.evaluation import Evaluation

# How soon a page looks again, in seconds.
# While the run is being trained, whenever so many rows have come, within these two bounds: a look takes a tenth of a second of a core,
# most of it the browser's, and a trainer that shares the machine waits for it with all its threads.
ROWS = 5
LOOK, SLOWEST_LOOK = 1.0, 6.0
REST = 5.0  # while nobody trains the run, for somebody may resume it elsewhere

# What carries over from the digits to other images, from how much of it: all of it, and a part of it. The bounds are ours. Asked
# on 2026-11-26 (`robust`, seed 100, 700 steps, 20 images a mechanism), in the digits' look and as they are:
#                                letters       Omniglot      USPS          Fashion-MNIST
#   dB gained over doing nothing 1.04, 0.90    1.01, 0.68    0.57, 0.39    0.43, 0.43    of the 13.4 dB gained on the digits
#   images sent to the owner     1.00, 0.88    1.00, 0.73    1.00, 0.61    0.63, 0.63    of those sent there on the digits
# For the experts half parts the drawn signs from clothes and blurred digits, which are restored in part; below a quarter, 3.4 dB
# of 13.4, the answers would hardly have half the squared error of what came in. The discriminator is held to more: an image that
# it sends elsewhere is not restored at all. Guessing among ten experts would give it 0.1.
EXPERTS_CARRY = (0.5, 0.25)
DISCRIMINATOR_CARRIES = (0.9, 0.5)
LEAST_GAIN = 3.0  # dB over doing nothing, half the squared error: with less on the digits there is little to carry over
LEAST_ROUTING = 0.5  # of the digits' images, as above
MOST_SEED, MOST_EXPERTS = 2**31 - 1, 100  # that Train's form takes


def pace(seen: RunView, live: bool) -> float | None:
    """Seconds until Monitor looks again; None for a page that stands still. `live` is the switch on the page."""
    if seen.live:
        return seconds_for_rows(seen) if live else None
    return None if seen.state == "finished" else REST


def seconds_for_rows(seen: RunView) -> float:
    """Whole seconds that the trainer takes for ROWS rows, from LOOK to SLOWEST_LOOK; LOOK before the competition."""
    if seen.status.phase != "competing" or seen.status.steps_per_second <= 0:
        return LOOK
    rows = ROWS * seen.config.recording.every / seen.status.steps_per_second
    return min(max(float(ceil(rows)), LOOK), SLOWEST_LOOK)


def step_in_link(said: str | None, newest: int) -> int | None:
    """The step that a link names, if the run has got there; None for the newest and for what is no step."""
    return number_in_link(said, newest - 1)


def changed_by_link(config: RunConfig, link: Mapping[str, str]) -> RunConfig:
    """The settings with the seed and the number of experts that a link names; what is no such number changes nothing."""
    seed, experts = (
        number_in_link(link.get("seed"), MOST_SEED),
        number_in_link(link.get("experts"), MOST_EXPERTS),
    )
    if experts:
        start = min(config.roster.start, experts) if config.roster.rule == "open" else config.roster.start
        config = replace(
            config,
            model=replace(config.model, experts=experts),
            roster=replace(config.roster, start=start),
        )
    return config if seed is None else replace(config, seed=seed)


def remedy(found: Diagnosis, seed: int) -> tuple[str, dict[str, str]]:
    """What is done about a diagnosis, in words, and what a link to the form says for it: as many experts as fit, else another seed."""
    if found.fitting == len(found.share):
        return "Start again with another seed", {"seed": str(seed + 1)}
    return f"Start again with {counted(found.fitting, 'expert')}", {"experts": str(found.fitting)}


def number_in_link(said: str | None, most: int) -> int | None:
    """The whole number up to `most` that a link names, None for anything else."""
    return int(said) if _is_count(said) and int(said) <= most else None


def _is_count(said: str | None) -> TypeGuard[str]:
    """Whether it is a whole number, of no more digits than anybody needs."""
    return bool(said) and said.isascii() and said.isdecimal() and len(said) < 20


def offered(known: Iterable[str], of_run: Sequence[str], chosen: Sequence[str], more: bool) -> list[str]:
    """Which of the known mechanisms are offered: the paper's, those of the run, those chosen; all for who wants `more`."""
    wanted = {*PAPER_MECHANISMS, *(spec.partition("=")[0] for spec in of_run), *chosen}
    return [name for name in known if more or name in wanted]


def place_in_link(said: str | None, count: int) -> int:
    """Which of `count` places a link names, from 0, though a link counts from 1; the nearest when it names one beyond, else the first."""
    return min(max(int(said), 1), count) - 1 if _is_count(said) else 0


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
        return f":material/timer: about {duration(seconds)} on this machine, by its first steps"
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
    on_digits, elsewhere, nothing_here, nothing_there = (
        mean(each)
        for each in (here.psnr_owner, there.psnr_owner, here.nothing_where_owned, there.nothing_where_owned)
    )
    if on_digits is None or elsewhere is None or nothing_here is None or nothing_there is None:
        return (
            f"**No expert owns a mechanism yet**: none wins most of a mechanism's images among {referred}, so there is no "
            f"owner to ask about {name}, and the discriminator has nothing to carry over."
        )
    owned = sum(owner is not None for owner in here.owner)
    of_those = (
        ""
        if owned == len(here.owner)
        else f" Only {owned} of {len(here.owner)} mechanisms {'has' if owned == 1 else 'have'} one."
    )
    gain_here, gain_there = on_digits - nothing_here, elsewhere - nothing_there
    experts = experts_verdict(gain_here, gain_there)
    discriminator = discriminator_verdict(here.routing_accuracy, there.routing_accuracy)
    gained = f"gain {gain_there:.1f} dB over" if gain_there >= 0 else f"are {-gain_there:.1f} dB worse than"
    return (
        f"**The experts {experts}.** On {name} the owners' answers {gained} doing nothing ({elsewhere:.1f} dB instead of "
        f"{nothing_there:.1f}); on {referred} they gain {gain_here:.1f} dB.{of_those}  \n"
        f"**The discriminator {discriminator}.** It sends {there.routing_accuracy:.0%} of {name} to the expert that owns the "
        f"mechanism; of {referred} {here.routing_accuracy:.0%}."
    )


def experts_verdict(gain_here: float, gain_there: float) -> str:
    """What the experts do, by the dB over doing nothing that the owners gain on the digits and on other images."""
    if gain_here < LEAST_GAIN:
        return "have little to carry over yet"
    words = ("carry over", "partly carry over", "do not carry over")
    return words[_missed(gain_there, gain_here, EXPERTS_CARRY)]


def discriminator_verdict(routing_here: float, routing_there: float) -> str:
    """What the discriminator does, by the share of the digits and of other images that it sends to the owner."""
    if routing_here < LEAST_ROUTING:
        return "has little to carry over yet"
    words = ("carries over", "partly carries over", "does not carry over")
    return words[_missed(routing_there, routing_here, DISCRIMINATOR_CARRIES)]


def _missed(there: float, here: float, bounds: tuple[float, float]) -> int:
    """How many of the two bounds are missed. Exactly on a bound it is kept, however the product is rounded."""
    return sum(there < bound * here - 1e-9 for bound in bounds)


def bounds_in_words(referred: str) -> str:
    """What the three verdicts mean, in a comparison with what is called `referred`."""
    (experts, partly), (discriminator, partly_too) = EXPERTS_CARRY, DISCRIMINATOR_CARRIES
    return (
        f"What these words mean here: experts carry over if they gain at least {experts:.0%} of the dB that they gain on "
        f"{referred}, and partly from {partly:.0%}. The discriminator carries over if it sends the owner at least "
        f"{discriminator:.0%} of the share that it sends there of {referred}, and partly from {partly_too:.0%}. The bounds are ours."
    )


def sure_of(found: "Reliability", name: str) -> str:
    """Of how many images the discriminator is sure who won, and how right it is in these, in a sentence."""
    if not found.sure:
        return f"Of {name} it is sure of no winner (confidence {SURE:.0%} and more)."
    return (
        f"Of {name} it is sure of {found.sure:.1%} of the winners (confidence {SURE:.0%} and more), and {found.sure_and_right:.1%} of "
        "these own the mechanism; confidence, the winner's share in a softmax of all experts' scores, is off by "
        f"{found.expected_error:.1%} in the mean."
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
