"""The rows that a run writes: wins and scores by expert and mechanism since the row before. Numpy only.

Here the truth (which mechanism made an image) meets the learner's result. Axes: expert, batch; expert, mechanism."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int

LARGEST = 2**53  # beyond it a number in a file is nothing that we wrote


@dataclass(frozen=True)
class StepRecord:
    """One line of metrics.jsonl."""

    step: int  # steps of the competition done
    seconds: float  # of competition so far, over all sittings
    images: int  # transformed images since the row before
    wins: list[list[int]]  # expert mechanism
    score: list[list[float | None]]  # mean logit, expert mechanism; None without an image of the mechanism
    psnr: float  # dB, mean over images, winner's answer to the true original
    expert_loss: float
    discriminator_loss: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: object, experts: int, mechanisms: int) -> "StepRecord":
        """The mirror image of `to_json`; ValueError for whatever is no row of so many experts and mechanisms."""
        if not isinstance(row, dict) or set(row) != {each.name for each in fields(cls)}:
            raise ValueError("it is no row")
        for name in ("step", "images"):
            if type(row[name]) is not int or not 0 <= row[name] <= LARGEST:
                raise ValueError(f"its {name} is no count")
        for name in ("seconds", "psnr", "expert_loss", "discriminator_loss"):
            if type(row[name]) is not float and (type(row[name]) is not int or abs(row[name]) > LARGEST):
                raise ValueError(f"its {name} is no number")
        table = (experts, mechanisms)
        try:
            wins, score = np.array(row["wins"]), np.array(row["score"], dtype=float)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("its tables hold more than numbers") from None
        if wins.shape != table or wins.dtype.kind != "i" or (wins < 0).any() or score.shape != table:
            raise ValueError(f"its tables are not {experts} experts by {mechanisms} mechanisms")
        return cls(**row)


@dataclass(frozen=True)
class Rows:
    """The rows of a run up to a step, as they stand in its file and as they are understood."""

    lines: list[str]
    records: list[StepRecord]
    damaged: list[str]  # a sentence for each line that is left out


def read_rows(lines: Sequence[str], experts: int, mechanisms: int, until: int) -> Rows:
    """The rows up to step `until`, in order; what cannot be read, or goes back in time, is left out and named."""
    kept, records, damaged = [], [], []
    for number, line in enumerate(lines, start=1):
        try:
            record = StepRecord.from_json(json.loads(line), experts, mechanisms)
            if records and record.step <= records[-1].step:
                raise ValueError(f"its step {record.step} comes after step {records[-1].step}")
        except (ValueError, RecursionError) as error:
            damaged.append(f"line {number} of metrics.jsonl is left out: {error}")
            continue
        if record.step > until:
            break
        kept.append(line)
        records.append(record)
    return Rows(kept, records, damaged)


class Window:
    """Sums over the steps since the last row; part of what a resume needs."""

    def __init__(self, experts: int, mechanisms: int) -> None:
        self.wins = np.zeros((experts, mechanisms), dtype=np.int64)
        self.score_sum = np.zeros((experts, mechanisms))
        self.images = np.zeros(mechanisms, dtype=np.int64)
        self.sums = np.zeros(3)  # PSNR over images; both losses over steps
        self.steps = np.zeros(1, dtype=np.int64)
        self.seconds = np.zeros(1)  # of competition, never reset

    def add(
        self,
        winner: Int[np.ndarray, " batch"],
        mechanism: Int[np.ndarray, " batch"],
        logits: Float[np.ndarray, "expert batch"],
        psnr: Float[np.ndarray, " batch"],
        losses: tuple[float, float],
    ) -> None:
        """One step; `losses` are the experts' and the discriminator's."""
        np.add.at(self.wins, (winner, mechanism), 1)
        np.add.at(self.score_sum.T, mechanism, logits.T)
        np.add.at(self.images, mechanism, 1)
        self.sums += (psnr.sum(dtype=np.float64), *losses)
        self.steps += 1

    def take(self, step: int) -> StepRecord:
        """The row for the steps since the last one; afterwards the sums are zero."""
        images, steps = int(self.images.sum()), int(self.steps[0])
        means = self.score_sum / np.maximum(self.images, 1)
        record = StepRecord(
            step=step,
            seconds=round(float(self.seconds[0]), 3),
            images=images,
            wins=self.wins.tolist(),
            score=[
                [round(float(value), 4) if count else None for value, count in zip(row, self.images)]
                for row in means
            ],
            psnr=float(self.sums[0] / max(images, 1)),
            expert_loss=float(self.sums[1] / max(steps, 1)),
            discriminator_loss=float(self.sums[2] / max(steps, 1)),
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
        """The mirror image of `to_arrays`."""
        for name, values in self.__dict__.items():
            values[:] = arrays[f"window.{name}"]
