"""A run as a page sees it at one moment, and what is said of it in words and numbers. Pure: no Streamlit, no torch."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, log2

import numpy as np
from jaxtyping import Int

from icm.config import ConscienceConfig, RunConfig, mechanism_name, mechanism_title
from icm.errors import ActionableError
from icm.ownership import roles, win_entropy
from icm.runs.history import IMAGES_IN_VIEW, History, run_history
from icm.runs.index import IndexedRun
from icm.runs.run import Run
from icm.runs.status import Phase, RunState, Status
from icm.show.experts import badge
from pages.ui.html import plain

SMALL_BIAS = 0.3  # logits; a smaller bias of the conscience is not worth a word
LARGEST = 2**53 - 1  # beyond it a browser's numbers have gaps

SOURCES = {
    "mnist": "MNIST",
    "builtin": "built-in digits",
    "fashion": "Fashion-MNIST",
    "mixture": "MNIST and Fashion-MNIST",
}
WHILE_TRAINING = (
    "Wins and PSNR are counted while the networks learn and, with batch norm, with the statistics of each batch. Compare "
    "and icm evaluate ask kept networks in evaluation mode, so their numbers differ a little."
)
METRIC_HELP = {
    "One-to-one": f"Mechanisms with an expert that owns them and nothing else, over the newest {IMAGES_IN_VIEW} images.",
    "Restored": "PSNR of the winners' answers to the true originals, which no expert saw. Higher is better.",
    "Entropy of wins": "Of who wins, in bits: 0 when one expert wins all, the second number when all win equally.",
    "Speed": "Steps per second of the trainer.",
    "Time left": "Of the present phase, at the present speed.",
}
STATE_HELP: dict[RunState, str] = {
    "starting": "the trainer is on its way; it has not reported yet",
    "stalled": "no sign of life for 10 seconds; it may go on by itself",
}
# A state is told by its word, a colour and a symbol.
STATES: dict[RunState, tuple[str, str]] = {
    "starting": ("blue", ":material/pending:"),
    "preparing": ("blue", ":material/hourglass_top:"),
    "running": ("green", ":material/directions_run:"),
    "stalled": ("orange", ":material/warning:"),
    "stopped": ("gray", ":material/pause_circle:"),
    "finished": ("violet", ":material/check_circle:"),
    "crashed": ("red", ":material/error:"),
}
LIVE: tuple[RunState, ...] = ("starting", "preparing", "running", "stalled")


@dataclass(frozen=True)
class RunView:
    """A run as a page sees it at one moment."""

    run: Run
    config: RunConfig
    status: Status
    state: RunState

    @property
    def live(self) -> bool:
        """Whether a trainer is at work on it, or on its way."""
        return self.state in LIVE

    @property
    def mechanisms(self) -> list[str]:
        """The mechanisms in words, with their strengths."""
        return [mechanism_title(spec) for spec in self.config.mechanisms]

    def history(self) -> History:
        """The run's rows so far; ActionableError when they are damaged."""
        return run_history(self.run, self.config)


def view(run: Run) -> RunView:
    """Reads the run now; ActionableError when its folder cannot be read."""
    return RunView(run=run, config=run.config(), status=run.status(), state=run.state())


def latest(runs: Sequence[IndexedRun]) -> RunView | None:
    """The newest run that can be read."""
    for each in runs:
        if each.config is not None:
            with suppress(ActionableError):
                return view(each.run)
    return None


# In words


def title(seen: RunView) -> str:
    """Markdown: which run it is, by label and by what it is a run of."""
    return (f"{plain(seen.run.label)} · " if seen.run.label != seen.run.id else "") + run_of(seen)


def run_of(seen: RunView) -> str:
    """Markdown: preset, seed and images."""
    source = SOURCES.get(seen.config.source, seen.config.source)
    return plain(f"{seen.config.preset} · seed {seen.config.seed} · {source}")


def when(created: float) -> str:
    """A time, in seconds since 1970, as a day and an hour."""
    try:
        return datetime.fromtimestamp(created).strftime("%d %b %H:%M")
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return "some day"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def decibels(value: float | None) -> str:
    return f"{value:.1f} dB" if value is not None and isfinite(value) else "–"


def counted(number: object, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def apart(said: Mapping[str, str]) -> dict[str, str]:
    """The words for each run, by run id. Where two runs have the same words, the id is added."""
    found = list(said.values())
    return {
        run_id: words if found.count(words) == 1 else f"{words} · {run_id}" for run_id, words in said.items()
    }


def computed_with(run: Run) -> str:
    """Markdown: what the trainer chose at its start, in words; empty before that."""
    environment = run.environment()
    engine = environment.get("engine")
    if not isinstance(engine, dict):
        return ""
    device, experts = environment.get("device", "an unknown device"), str(engine.get("experts"))
    words = [
        environment.get("card") or device,
        counted(environment.get("threads", "?"), "thread") if device == "cpu" else "",
        {"loop": "each expert by itself", "stacked": "all experts at once"}.get(experts, experts),
        engine.get("dtype", "unknown numbers"),
        "the same bits each time" if engine.get("deterministic") else "rounding may differ between runs",
    ]
    return "Computed on " + ", ".join(plain(word) for word in words if word)


def progress(seen: RunView) -> tuple[float, str]:
    """How much of the present phase is done, from 0 to 1, and the words over that bar."""
    status = seen.status
    words: dict[Phase, str] = {
        "created": "Starting: the trainer has not reported yet"
        if seen.live
        else "Never started: Resume begins it",
        "preparing": "Preparing: reading the images",
        "identity": f"Identity initialisation: step {status.step} of at most {status.of}",
        "competing": f"Competition: step {status.step:,} of {status.of:,}",
        "stopped": f"Stopped at step {status.step:,} of {status.of:,}",
        "finished": f"Finished: {status.of:,} steps",
        "failed": f"Failed at step {status.step:,} of {status.of:,}",
    }
    return min(status.step, status.of) / max(status.of, 1), words[status.phase]


def time_left(seen: RunView) -> str:
    """How long the present phase still takes at the present speed; a dash when that is not known."""
    status = seen.status
    if not seen.live or status.steps_per_second <= 0:
        return "–"
    return duration((status.of - status.step) / status.steps_per_second)


def metrics(seen: RunView, history: History, of_trainer: bool) -> dict[str, str]:
    """The numbers at the top of a run, as of the end of `history`. With `of_trainer` also a live run's speed and time left."""
    recent = history.recent()
    values = {
        "One-to-one": f"{history.one_to_one_count()} of {len(seen.config.mechanisms)}",
        "Restored": decibels(recent.psnr[0]) if history.rows else "–",
        "Entropy of wins": f"{win_entropy(recent.wins[0]):.2f} of {log2(len(history.plays())):.2f}"
        if history.rows
        else "–",
    }
    if of_trainer and seen.live:
        values["Speed"] = f"{seen.status.steps_per_second:.1f} steps/s"
        values["Time left"] = time_left(seen)
    return values


def conscience_words(conscience: ConscienceConfig, bias: Sequence[float], step: int) -> str:
    """What the conscience does after `step` steps, when each expert's bias is so many logits."""
    helped = [f"{badge(expert)} ({value:+.1f})" for expert, value in enumerate(bias) if value >= SMALL_BIAS]
    held = [f"{badge(expert)} ({value:+.1f})" for expert, value in enumerate(bias) if value <= -SMALL_BIAS]
    doing = [f"helps {', '.join(helped)}"] if helped else []
    doing += [f"holds back {', '.join(held)}"] if held else []
    now = " and ".join(doing) or "neither helps nor holds back anybody by much"
    if step <= conscience.until:
        return (
            "It helps experts that win less than their share and holds back those that win more, as if every mechanism were "
            f"equally frequent. After step {step:,} it {now}. It ends after step {conscience.until:,}; what is left then leaks away."
        )
    if any(bias):
        return f"It ended after step {conscience.until:,}. What is left leaks away: after step {step:,} it {now}."
    return f"It ended after step {conscience.until:,} and has leaked away: the score alone decides who wins."


def roster_words(config: RunConfig, history: History) -> str:
    """Who plays in an open roster at the end of `history`, and what changes that."""
    roster, playing = config.roster, history.plays()
    return (
        f"{counted(len(playing), 'expert')} of at most {config.model.experts} play: {', '.join(map(badge, playing))}. "
        f"{roster.start} began. Every {roster.every} steps one may leave that hardly wins or answers like another, or one more is tried "
        f"once all have work or nothing has changed for {roster.grace} steps, while the conscience can give it work."
    )


def table_row(found: IndexedRun) -> dict[str, object]:
    """A line of the table of runs."""
    row: dict[str, object] = {"run": found.label}
    if found.config is None:
        row["state"] = "unreadable"
    else:
        count = found.one_to_one
        row |= {
            "state": found.state,
            "preset": found.config.preset,
            "seed": found.config.seed,
            "images": SOURCES.get(found.config.source, found.config.source),
            "step": found.last_step,
            "of": min(found.config.training.steps, LARGEST),
            "one-to-one": "–" if count is None else f"{count} of {len(found.config.mechanisms)}",
            "trained for": duration(found.seconds),
        }
    return row | {"started": when(found.created)}


# Who undoes what


def role_words(wins: Int[np.ndarray, "expert mechanism"], specs: Sequence[str]) -> list[str]:
    """What each expert undoes, in words."""
    names = [mechanism_name(spec) for spec in specs]
    found = roles(wins)
    words = {expert: names[mechanism] for expert, mechanism in found.single.items()}
    words |= {
        expert: " + ".join(names[each] for each in mine) + " (overloaded)"
        for expert, mine in found.overloaded.items()
    }
    words |= dict.fromkeys(found.idle, "idle")
    return [words.get(expert, "undecided") for expert in range(len(wins))]


def unowned_words(wins: Int[np.ndarray, "expert mechanism"], specs: Sequence[str]) -> list[str]:
    """The mechanisms that nobody owns, in words."""
    return [mechanism_name(specs[each]) for each in roles(wins).unowned]


def roles_of(run: Run, step: int | None = None) -> list[str]:
    """What each expert of the run undoes, over the newest images, or over those before `step`."""
    config = run.config()
    rows = run_history(run, config)
    seen = rows if step is None else rows.until(step)
    return role_words(seen.recent().wins[0], config.mechanisms)
