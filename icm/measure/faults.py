"""What is wrong with a set of experts by the truth, and how much of that the diagnosis without it finds."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from icm.measure.diagnosis import Diagnosis, groups, named
from icm.ownership import IDLE

SERVES = 0.2  # an expert serves a mechanism that at least this share of the images that it won came from


@dataclass(frozen=True)
class Faults:
    """Who is at fault, by the mechanisms whose images each expert won."""

    idle: list[int]  # wins next to nothing
    overloaded: list[int]  # serves two mechanisms or more
    duplicates: list[tuple[int, int]]  # most of what either wins is of the same mechanism

    def beside(self, found: Diagnosis) -> str:
        """What the diagnosis missed, and what it says that is not so, as a sentence."""
        missed = _said(
            {*self.idle} - {*found.idle},
            {*self.overloaded} - {*found.overloaded},
            {*self.duplicates} - {*found.duplicates},
        )
        wrong = _said(
            {*found.idle} - {*self.idle},
            {*found.overloaded} - {*self.overloaded},
            {*found.duplicates} - {*self.duplicates},
        )
        told = [f"missed: {missed}" for _ in missed[:1]] + [f"not so: {wrong}" for _ in wrong[:1]]
        return f"The truth disagrees; {'; '.join(told)}." if told else "The truth says the same."

    def counts(self, found: Diagnosis) -> dict[str, list[int]]:
        """Of each kind of fault how many were found, how many are none, and how many were missed."""
        return {
            "idle": _counts(found.idle, self.idle),
            "overloaded": _counts(found.overloaded, self.overloaded),
            "duplicates": _counts(found.duplicates, self.duplicates),
        }


def some_of(
    scores: Float[np.ndarray, "expert image"], mechanisms: int, images: int
) -> Float[np.ndarray, "expert some"]:
    """The scores of the first `images` of each mechanism: a diagnosis compares each image with each, and needs no more."""
    of_each = scores.reshape(len(scores), mechanisms, -1)[:, :, :images]
    return of_each.reshape(len(scores), -1)


def faults(scores: Float[np.ndarray, "expert image"], mechanisms: int) -> Faults:
    """The faults of the experts whose answers were given these scores; -inf for who does not play.

    As many images of each mechanism, one mechanism's after the other's, as in `Evaluation`."""
    players = np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()
    of_each = scores.argmax(axis=0).reshape(mechanisms, -1)
    wins = np.stack([np.bincount(each, minlength=len(scores)) for each in of_each], axis=1)
    share = wins.sum(axis=1) / wins.sum()
    busy = [each for each in players if share[each] >= IDLE]
    parts = wins / np.maximum(wins.sum(axis=1, keepdims=True), 1)
    return Faults(
        idle=[each for each in players if share[each] < IDLE],
        overloaded=[each for each in busy if (parts[each] >= SERVES).sum() > 1],
        duplicates=[
            (one, other)
            for one, other in combinations(busy, 2)
            if parts[one].argmax() == parts[other].argmax()
        ],
    )


def _said(idle: set[int], overloaded: set[int], duplicates: set[tuple[int, int]]) -> str:
    """These faults in words, one after the other."""
    found = [f"E{each} idles" for each in sorted(idle)]
    found += [f"E{each} has two kinds" for each in sorted(overloaded)]
    return ", ".join(found + [f"{named(each)} share one" for each in groups(sorted(duplicates))])


def _counts(found: Sequence[Hashable], true: Sequence[Hashable]) -> list[int]:
    """How many are in both, only found, only true."""
    return [len({*found} & {*true}), len({*found} - {*true}), len({*true} - {*found})]
