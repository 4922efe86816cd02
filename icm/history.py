"""The rows of a run as running sums in one file of fixed-size records, so that any stretch of the longest run costs two
look-ups and nothing is read that is not shown. metrics.jsonl says the same in words.

A record is `FIXED` numbers, then wins, then scores, little-endian float64. Point 0 is the start of the competition, point i
comes after row i. Axes: point, expert, mechanism. Numpy only."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from icm import files
from icm.errors import ActionableError
from icm.ownership import experts_with_own, owners, win_share
from icm.records import LARGEST, StepRecord, read_rows
from icm.store import Run

IMAGES_IN_VIEW = 1000  # counts and shares shown while a run goes on look at this many of the newest images
FIXED = ("step", "images", "psnr", "expert_loss", "discriminator_loss", "seconds")
NUMBER = np.dtype("<f8")
NEVER_LATER = 10**18  # a step that no run reaches


class HistoryError(ActionableError):
    """Running sums that cannot be those of a run."""


@dataclass(frozen=True)
class Stretch:
    """What happened over stretches of a run. Axes: end, expert, mechanism."""

    step: Int[np.ndarray, " end"]  # the last of each
    images: Int[np.ndarray, " end"]
    wins: Int[np.ndarray, "end expert mechanism"]
    score: Float[np.ndarray, "end expert mechanism"]  # mean logit; nan without an image of the mechanism
    psnr: Float[np.ndarray, " end"]  # dB, mean over images
    losses: Float[np.ndarray, "end 2"]  # the experts' and the discriminator's, means over steps


@dataclass(frozen=True)
class History:
    """Sums since the start of the competition, point 0 left out: there they are zero."""

    sums: Float[np.ndarray, "row number"]
    experts: int
    mechanisms: int

    @property
    def rows(self) -> int:
        return len(self.sums)

    @property
    def last_step(self) -> int:
        return int(self.sums[-1, 0]) if self.rows else 0

    @property
    def seconds(self) -> float:
        """Of competition, over all sittings."""
        return float(self.sums[-1, FIXED.index("seconds")]) if self.rows else 0.0

    def missing_images(self, batch: int) -> int:
        """Images of steps whose rows were lost, for a run that draws `batch` images a step; 0 where every row is there."""
        if not self.rows:
            return 0
        step, images = self.sums[-1, :2]
        return max(0, round(float(step) * batch - float(images)))

    def until(self, step: int) -> "History":
        """As it was after `step` steps."""
        (rows,) = self._rows_up_to(np.array([float(step)]), FIXED.index("step"))
        return History(self.sums[:rows], self.experts, self.mechanisms)

    def recent(self, images: int = IMAGES_IN_VIEW) -> Stretch:
        """The newest rows that hold at least `images` images, or all of them; one stretch."""
        return self.stretches(np.array([self.rows]), images)

    def all(self) -> Stretch:
        """The whole race; one stretch."""
        return self._between(np.array([0]), np.array([self.rows]))

    def stretches(self, ends: Int[np.ndarray, " end"], images: int) -> Stretch:
        """For each point the shortest stretch that ends there and holds at least `images` images, or all before it."""
        wanted = self._at(ends)[:, FIXED.index("images")] - images
        return self._between(self._rows_up_to(wanted, FIXED.index("images")), ends)

    def one_to_one_count(self) -> int:
        """Mechanisms with an expert of their own, over the newest images; 0 before the first row."""
        return experts_with_own(owners(win_share(self.recent().wins[0])))

    def _at(self, points: Int[np.ndarray, " point"]) -> Float[np.ndarray, "point number"]:
        if self.rows == 0:
            return np.zeros((len(points), self.sums.shape[1]))
        return np.where(points[:, None] > 0, self.sums[np.maximum(points - 1, 0)], 0.0)

    def _rows_up_to(self, values: Float[np.ndarray, " value"], column: int) -> Int[np.ndarray, " value"]:
        """For each value how many rows have at most that much in a column that only grows.

        By bisection, because a search over the whole column would read the whole file."""
        low, high = np.zeros(len(values), dtype=int), np.full(len(values), self.rows)
        while (low < high).any():
            middle = (low + high) // 2
            enough = self.sums[np.minimum(middle, self.rows - 1), column] <= values
            low = np.where((low < high) & enough, middle + 1, low)
            high = np.where((low < high) & ~enough, middle, high)
        return low

    def _between(self, begins: Int[np.ndarray, " end"], ends: Int[np.ndarray, " end"]) -> Stretch:
        last = self._at(ends)
        change = last - self._at(begins)
        _check_counts(change, self.experts * self.mechanisms)
        steps, images = change[:, 0], change[:, 1]
        table = (len(ends), self.experts, self.mechanisms)
        wins, score = (part.reshape(table) for part in np.split(change[:, len(FIXED) :], 2, axis=1))
        of_mechanism = wins.sum(axis=1, keepdims=True)
        return Stretch(
            step=last[:, 0].astype(int),
            images=images.astype(int),
            wins=wins.astype(int),
            score=score / np.where(of_mechanism > 0, of_mechanism, np.nan),
            psnr=change[:, 2] / np.maximum(images, 1),
            losses=change[:, 3:5] / np.maximum(steps, 1)[:, None],
        )


def _check_counts(change: Float[np.ndarray, "end number"], cells: int) -> None:
    """Steps, images and wins only ever grow; HistoryError where they do not."""
    counts = np.concatenate([change[:, :2], change[:, len(FIXED) : len(FIXED) + cells]], axis=1)
    if not ((counts >= 0) & (counts <= LARGEST)).all():  # not for nan either
        raise HistoryError(
            "history.f8 of this run is damaged; delete that file, and the rows are read from metrics.jsonl"
        )


def as_sums(
    rows: Iterable[StepRecord], before: Float[np.ndarray, " number"]
) -> Float[np.ndarray, "row number"]:
    """The running sums after each row; `before` are those that came before the first."""
    sums = []
    for row in rows:
        wins = np.array(row.wins, dtype=float)
        score = np.nan_to_num(np.array(row.score, dtype=float)) * wins.sum(axis=0)
        steps = row.step - before[0]
        fixed = (
            steps,
            row.images,
            row.psnr * row.images,
            row.expert_loss * steps,
            row.discriminator_loss * steps,
            row.seconds - before[FIXED.index("seconds")],
        )
        before = before + np.concatenate([fixed, wins.ravel(), score.ravel()])
        sums.append(before)
    return np.array(sums).reshape(-1, len(before))


def history_of(rows: Iterable[StepRecord], experts: int, mechanisms: int) -> History:
    """The history of rows that are at hand."""
    return History(as_sums(rows, np.zeros(_numbers(experts, mechanisms))), experts, mechanisms)


def read_history(path: Path, experts: int, mechanisms: int) -> History:
    """The whole records of the file, mapped and not read; empty without a file. HistoryError when its last one is none."""
    numbers = _numbers(experts, mechanisms)
    with files.on_disk(path, "read"):
        rows = path.stat().st_size // (numbers * NUMBER.itemsize) if path.exists() else 0
        if rows == 0:
            return History(np.zeros((0, numbers)), experts, mechanisms)
        mapped = np.memmap(path, NUMBER, "r", shape=(rows, numbers))
    # A plain view: numpy's own class for mapped files is slow to index.
    sums = np.asarray(mapped)
    _check_counts(sums[-1:], experts * mechanisms)
    return History(sums, experts, mechanisms)


def run_history(run: Run, experts: int, mechanisms: int) -> History:
    """The run's rows so far, from its running sums; from metrics.jsonl where somebody has deleted those."""
    if run.history_file.exists():
        return read_history(run.history_file, experts, mechanisms)
    rows = read_rows(run.metric_lines(), experts, mechanisms, until=NEVER_LATER)
    return history_of(rows.records, experts, mechanisms)


class HistoryWriter:
    """Writes the file anew from the rows there are, then appends one after the other.

    Into a new file that takes the old one's name: a page may have the old one mapped."""

    def __init__(self, path: Path, experts: int, mechanisms: int, rows: Iterable[StepRecord]) -> None:
        sums = history_of(rows, experts, mechanisms).sums
        files.write_whole(path, np.ascontiguousarray(sums, dtype=NUMBER).tobytes())
        self.path = path
        self.last = np.array(sums[-1]) if len(sums) else np.zeros(sums.shape[1])

    def append(self, row: StepRecord) -> None:
        (self.last,) = as_sums([row], before=self.last)
        files.append(self.path, self.last.astype(NUMBER).tobytes())


def _numbers(experts: int, mechanisms: int) -> int:
    return len(FIXED) + 2 * experts * mechanisms
