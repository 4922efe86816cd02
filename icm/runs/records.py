"""The rows that a run writes: wins and scores by expert and mechanism since the row before. Numpy only.

Here the truth (which mechanism made an image) meets the learner's result. Axes: expert, batch; expert, mechanism."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from icm.files import LARGEST, is_number


@dataclass(frozen=True)
class RowShape:
    """What decides which numbers a row has."""

    experts: int
    mechanisms: int
    conscience: bool = False
    roster: int = 0  # of an open one, where not every expert plays: how many do at first; 0 where all do


@dataclass(frozen=True)
class StepRecord:
    """One line of metrics.jsonl."""

    step: int  # steps of the competition done
    seconds: float  # of competition so far, over all sessions
    images: int  # transformed images since the row before
    wins: list[list[int]]  # expert mechanism
    score: list[
        list[float | None]
    ]  # mean logit, expert mechanism; None where the expert answered no such image
    psnr: float  # dB, mean over images, winner's answer to the true original
    expert_loss: float  # this and the next: mean over the steps since the row before
    discriminator_loss: float
    # Only with a conscience:
    bias: list[float] | None = None  # each expert's, in logits, after the last of these steps
    decided: int | None = None  # images that another expert would have won by score alone
    # Only with an open roster:
    plays: list[int] | None = None  # the experts that answered these images

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, row: object, shape: RowShape) -> "StepRecord":
        """The record that `to_json` wrote; ValueError when `row` is no row of that shape."""
        experts, mechanisms = shape.experts, shape.mechanisms
        names = {each.name for each in fields(cls)}
        names -= set() if shape.conscience else {"bias", "decided"}
        names -= set() if shape.roster else {"plays"}
        if not isinstance(row, dict) or set(row) != names:
            raise ValueError("it is no row")
        for name in names & {"step", "images", "decided"}:
            if type(row[name]) is not int or not 0 <= row[name] <= LARGEST:
                raise ValueError(f"its {name} is no count")
        for name in ("seconds", "psnr", "expert_loss", "discriminator_loss"):
            if not is_number(row[name]):
                raise ValueError(f"its {name} is no number")
        if shape.roster:
            plays = row["plays"]
            if not isinstance(plays, list) or any(type(each) is not int for each in plays):
                raise ValueError("its plays is no list of experts")
            if sorted(set(plays)) != plays or not set(plays) <= set(range(experts)) or not plays:
                raise ValueError(f"its plays names no experts of {experts}, in order")
        if shape.conscience:
            bias = row["bias"]
            if not isinstance(bias, list) or len(bias) != experts or not all(map(is_number, bias)):
                raise ValueError(f"its bias is not {experts} numbers")
            if row["decided"] > row["images"]:
                raise ValueError("its bias decided more images than there were")
        try:
            wins, score = np.array(row["wins"]), np.array(row["score"], dtype=object)
        except ValueError:  # rows of different length
            raise ValueError("its tables hold more than numbers") from None
        if not (wins.shape == score.shape == (experts, mechanisms)):
            raise ValueError(f"its tables are not {experts} experts by {mechanisms} mechanisms")
        if wins.dtype.kind != "i" or (wins < 0).any() or wins.sum() != row["images"]:
            raise ValueError("its wins do not add up to its images")
        if not all(each is None or is_number(each) for each in score.flat):
            raise ValueError("one of its scores is no number")
        return cls(**row)


@dataclass(frozen=True)
class Rows:
    """The rows of a run up to a step, as lines of its file and as records."""

    lines: list[str]
    records: list[StepRecord]
    damaged: list[str]  # a sentence for each line that is left out


def read_rows(lines: Sequence[str], shape: RowShape, until: int) -> Rows:
    """The rows up to step `until`, as many as can be chosen so that their steps grow. Later rows are left out silently.

    A line that cannot be read, or whose step is out of order, is left out and named in `damaged`."""
    sound: dict[int, StepRecord] = {}
    damaged: dict[int, str] = {}
    for number, line in enumerate(lines):
        try:
            record = StepRecord.from_json(json.loads(line), shape)
        except (ValueError, RecursionError) as error:
            damaged[number] = str(error)
            continue
        if record.step <= until:
            sound[number] = record
    numbers = list(sound)
    growing = [numbers[place] for place in longest_growing([record.step for record in sound.values()])]
    for number in sound.keys() - set(growing):
        damaged[number] = f"its step {sound[number].step} is not between those of the rows around it"
    return Rows(
        lines=[lines[number] for number in growing],
        records=[sound[number] for number in growing],
        damaged=[
            f"line {number + 1} of metrics.jsonl is left out: {damaged[number]}" for number in sorted(damaged)
        ],
    )


def longest_growing(values: Sequence[int]) -> list[int]:
    """The places of the longest strictly growing subsequence of the values, in order. By patience sorting."""
    lowest_ends: list[int] = []  # the lowest last value of a subsequence of length 1, 2, …
    ends: list[int] = []  # the places of those values
    before: list[int | None] = []
    for place, value in enumerate(values):
        length = bisect_left(lowest_ends, value)
        before.append(ends[length - 1] if length else None)
        lowest_ends[length : length + 1] = [value]
        ends[length : length + 1] = [place]
    chosen: list[int] = []
    place = ends[-1] if ends else None
    while place is not None:
        chosen.append(place)
        place = before[place]
    return chosen[::-1]


class Window:
    """Sums over the steps since the last row; part of what a resume needs."""

    def __init__(self, shape: RowShape) -> None:
        self.wins = np.zeros((shape.experts, shape.mechanisms), dtype=np.int64)
        self.score_sum = np.zeros((shape.experts, shape.mechanisms))
        self.images = np.zeros(shape.mechanisms, dtype=np.int64)
        self.sums = np.zeros(3)  # of PSNR over images, and of both losses over steps
        self.steps = np.zeros(1, dtype=np.int64)
        self.seconds = np.zeros(1)  # of competition, never reset
        if shape.conscience:  # images that another expert would have won by score alone
            self.decided = np.zeros(1, dtype=np.int64)

    def add(
        self,
        winner: Int[np.ndarray, " batch"],
        mechanism: Int[np.ndarray, " batch"],
        logits: Float[np.ndarray, "expert batch"],
        psnr: Float[np.ndarray, " batch"],
        losses: tuple[float, float],
    ) -> None:
        """Adds one step; `losses` are the experts' and the discriminator's. The logit of an expert that does not play is -inf."""
        np.add.at(self.wins, (winner, mechanism), 1)
        np.add.at(self.score_sum.T, mechanism, np.where(logits == -np.inf, 0, logits).T)
        np.add.at(self.images, mechanism, 1)
        self.sums += (psnr.sum(dtype=np.float64), *losses)
        self.steps += 1
        if "decided" in self.__dict__:
            self.decided += (winner != logits.argmax(axis=0)).sum()

    def take(
        self, step: int, bias: Sequence[float] | None = None, plays: Sequence[int] | None = None
    ) -> StepRecord:
        """The row for the steps since the last one; afterwards the sums are zero.

        `bias` is the conscience's, if there is one; `plays` are the experts that answered, if the roster is open."""
        images, steps = int(self.images.sum()), int(self.steps[0])
        means = self.score_sum / np.maximum(self.images, 1)
        record = StepRecord(
            step=step,
            seconds=round(float(self.seconds[0]), 3),
            images=images,
            wins=self.wins.tolist(),
            score=[
                [
                    round(float(value), 4) if count and (plays is None or expert in plays) else None
                    for value, count in zip(row, self.images)
                ]
                for expert, row in enumerate(means)
            ],
            psnr=float(self.sums[0] / max(images, 1)),
            expert_loss=float(self.sums[1] / max(steps, 1)),
            discriminator_loss=float(self.sums[2] / max(steps, 1)),
            bias=None if bias is None else [round(float(each), 4) for each in bias],
            decided=int(self.decided[0]) if "decided" in self.__dict__ else None,
            plays=None if plays is None else list(plays),
        )
        for name, values in self.__dict__.items():
            if name != "seconds":
                values[:] = 0
        return record

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {f"window.{name}": values.copy() for name, values in self.__dict__.items()}

    def fits(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether `load_arrays` can take them."""
        mine = self.to_arrays()
        return all(
            name in arrays and arrays[name].shape == each.shape and arrays[name].dtype == each.dtype
            for name, each in mine.items()
        )

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Sets the sums to those that `to_arrays` returned."""
        for name, values in self.__dict__.items():
            values[:] = arrays[f"window.{name}"]
