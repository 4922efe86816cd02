"""The rows that a run writes: wins and scores by expert and mechanism since the row before. Numpy only.

Here the truth (which mechanism made an image) meets the learner's result. Axes: expert, batch; expert, mechanism."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int


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
    def from_json(cls, row: dict[str, Any]) -> "StepRecord":
        return cls(**row)


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

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """The mirror image of `to_arrays`."""
        for name, values in self.__dict__.items():
            values[:] = arrays[f"window.{name}"]
