"""The commentator: what happened in a run, told from its rows alone. Numpy only. Axes: point, expert, mechanism.

A mechanism is held by the last expert that won a majority of its images. Each change of a holder is one event, so that replaying
the events gives the holders at every step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from icm.ownership import is_one_to_one, owners_at, win_share
from icm.runs.history import IMAGES_IN_VIEW, History, Span
from icm.show.charts import drawn_points
from icm.show.experts import badge

POINTS = 600  # at most: every row of a run of up to so many, every second, fourth, … row of a longer one
IDLE_STEPS = 50  # an expert that has won nothing for so long is worth a word
Kind = Literal["claims", "takes", "idle", "back", "complete", "complete again", "joins", "leaves"]


@dataclass(frozen=True)
class Event:
    """Something that happened by `step`: to an expert, to one mechanism where it is about one, and to its holder before."""

    step: int
    kind: Kind
    expert: int | None = None  # None: to all of them
    mechanism: int | None = None
    other: int | None = None  # whom the expert took the mechanism from
    steps: int = 0  # how long an idle expert has won nothing


def events(history: History) -> list[Event]:
    """All events of the history so far, in order."""
    points = drawn_points(history, POINTS)
    if not history.rows:
        return []
    told = [*_holders(history.spans(points, IMAGES_IN_VIEW)), *_idle(history.between(points))]
    if history.shape.roster:
        told += _roster(history.spans(points, 1))
    return sorted(told, key=lambda event: event.step)  # stable: those of one step in the order above


def _holders(seen: Span) -> Iterator[Event]:
    """Who claims a mechanism that nobody held, who takes one, and when each has an expert of its own, for the first time or after
    another change of a holder.

    Begins with the first point whose span holds enough images to judge by."""
    holder: list[int | None] = [None] * seen.wins.shape[2]
    completed, changed = False, True
    for step, images, owner in zip(seen.step.tolist(), seen.images.tolist(), owners_at(win_share(seen.wins))):
        if images < IMAGES_IN_VIEW:
            continue
        for mechanism, expert in enumerate(owner):
            before = holder[mechanism]
            if expert is not None and expert != before:
                kind = "claims" if before is None else "takes"
                yield Event(step, kind, expert, mechanism, before)
                holder[mechanism], changed = expert, True
        if changed and is_one_to_one(owner):
            yield Event(step, "complete again" if completed else "complete")
            completed, changed = True, False


def _idle(seen: Span) -> Iterator[Event]:
    """Who has won nothing for `IDLE_STEPS` steps, once each time, and who wins again after that.

    `seen` are spans without a gap. One in which an expert did not play counts as if it had won."""
    experts = range(seen.wins.shape[1])
    last_win, idle = [0 for _ in experts], [False for _ in experts]
    for step, wins, answered in zip(
        seen.step.tolist(), seen.wins.sum(axis=2).tolist(), seen.answered.tolist()
    ):
        for expert in experts:
            for_steps = step - last_win[expert]
            if wins[expert] or not answered[expert]:
                if idle[expert] and wins[expert]:
                    yield Event(step, "back", expert, steps=for_steps)
                last_win[expert], idle[expert] = step, False
            elif not idle[expert] and for_steps >= IDLE_STEPS:
                yield Event(step, "idle", expert, steps=for_steps)
                idle[expert] = True


def _roster(seen: Span) -> Iterator[Event]:
    """Who joins an open roster and who leaves it."""
    playing = seen.answered[0] > 0
    for step, answered in zip(seen.step.tolist(), seen.answered):
        for expert in np.flatnonzero((answered > 0) != playing).tolist():
            yield Event(step, "joins" if answered[expert] else "leaves", expert)
        playing = answered > 0


def words(told: Sequence[Event], mechanisms: Sequence[str]) -> list[tuple[int, str]]:
    """The events as sentences with their steps. What one expert claims, or takes from one other, in the same step is one sentence."""
    of_one_sentence: dict[Event, list[str]] = {}  # by the event without its mechanism
    for each in told:
        names = of_one_sentence.setdefault(replace(each, mechanism=None), [])
        names += [mechanisms[each.mechanism]] if each.mechanism is not None else []
    return [
        (event.step, _sentence(event, listed(names), len(mechanisms)))
        for event, names in of_one_sentence.items()
    ]


def _sentence(event: Event, names: str, mechanisms: int) -> str:
    who = "" if event.expert is None else badge(event.expert)
    other = "" if event.other is None else badge(event.other)
    return {
        "claims": f"{who} claims {names}",
        "takes": f"{who} takes {names} from {other}",
        "idle": f"{who} has won nothing for {event.steps} steps",
        "back": f"{who} wins again, after {event.steps} steps without",
        "complete": f"{mechanisms} of {mechanisms}: every mechanism has an expert of its own",
        "complete again": f"{mechanisms} of {mechanisms} again: every mechanism has an expert of its own",
        "joins": f"{who} joins",
        "leaves": f"{who} leaves",
    }[event.kind]


def listed(names: Sequence[str]) -> str:
    """The names as one says them: right, left and up."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
