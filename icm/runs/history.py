"""history.f8: the rows of a run as running sums, in records of one size. The sums over any span, however long, are the
difference of two records, so little of the file is ever read. metrics.jsonl holds the same rows as text.

A record holds the numbers named in `FIXED`, then wins, then scores, as little-endian float64; in a run with a conscience also
how many images the bias decided, and the bias of each expert as it is then, which is no sum; in one with an open roster how
many images each expert has answered. Point 0 is the start of the competition and has no record; point i comes after row i.
Axes: point, expert, mechanism. Numpy only."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from icm import files
from icm.config import RunConfig
from icm.errors import ActionableError
from icm.files import LARGEST
from icm.ownership import experts_with_own, is_one_to_one, owners, owners_at, win_share
from icm.runs.records import RowShape, StepRecord, read_rows
from icm.runs.run import Run

# Counts and shares of a run at some step are over at least so many newest images: 32 of each of ten mechanisms.
IMAGES_IN_VIEW = 320
HOLD = 100  # steps that one expert for each mechanism must last to count as reached
FIXED = ("step", "images", "psnr", "expert_loss", "discriminator_loss", "seconds")
NUMBER = np.dtype("<f8")
NEVER_LATER = 10**18  # a step that no run reaches


class HistoryError(ActionableError):
    """Running sums that cannot be those of a run."""


@dataclass(frozen=True)
class Span:
    """What happened in each of some spans of a run. The first axis is the span, told by its end. Axes: end, expert, mechanism."""

    step: Int[np.ndarray, " end"]  # the last step of each span
    images: Int[np.ndarray, " end"]
    wins: Int[np.ndarray, "end expert mechanism"]
    # Mean logit; nan without an image of the mechanism, and for an expert that did not answer all images of the span.
    score: Float[np.ndarray, "end expert mechanism"]
    psnr: Float[np.ndarray, " end"]  # dB, mean over images
    losses: Float[np.ndarray, "end 2"]  # the experts' and the discriminator's, means over steps
    decided: Float[np.ndarray, " end"]  # share of images that the conscience's bias decided
    bias: Float[np.ndarray, "end expert"]  # logits, at the end; 0 without a conscience
    answered: Int[np.ndarray, "end expert"]  # images; all of them where the roster is fixed


@dataclass(frozen=True)
class History:
    """Sums since the start of the competition, one line of them after each row. Point 0, where all are zero, is left out."""

    sums: Float[np.ndarray, "row number"]
    shape: RowShape

    @property
    def experts(self) -> int:
        return self.shape.experts

    @property
    def mechanisms(self) -> int:
        return self.shape.mechanisms

    @property
    def conscience(self) -> bool:
        return self.shape.conscience

    @property
    def rows(self) -> int:
        return len(self.sums)

    @property
    def last_step(self) -> int:
        return int(self.sums[-1, 0]) if self.rows else 0

    @property
    def seconds(self) -> float:
        """Seconds of competition so far, over all trainer sessions."""
        return float(self.sums[-1, FIXED.index("seconds")]) if self.rows else 0.0

    def missing_images(self, batch: int) -> int:
        """How many images the lost rows had, for a run that draws `batch` images a step; 0 when no row is lost."""
        if not self.rows:
            return 0
        step, images = self.sums[-1, :2]
        return max(0, round(float(step) * batch - float(images)))

    def until(self, step: int) -> "History":
        """The history as it was after `step` steps."""
        (rows,) = self.points(np.array([step]))
        return replace(self, sums=self.sums[:rows])

    def recent(self, images: int = IMAGES_IN_VIEW) -> Span:
        """One span: the newest rows, as few as hold at least `images` images, or all rows where they hold fewer."""
        return self._in_view if images == IMAGES_IN_VIEW else self.spans(np.array([self.rows]), images)

    @cached_property
    def _in_view(self) -> Span:
        """What a page says of a moment comes from this span; it asks for it a dozen times."""
        return self.spans(np.array([self.rows]), IMAGES_IN_VIEW)

    def all(self) -> Span:
        """One span: the whole competition so far."""
        return self._between(np.array([0]), np.array([self.rows]))

    def spans(self, ends: Int[np.ndarray, " end"], images: int) -> Span:
        """For each point in `ends`, the shortest span that ends there and holds at least `images` images, or all before it."""
        wanted = self._at(ends)[:, FIXED.index("images")] - images
        return self._between(self._rows_up_to(wanted, FIXED.index("images")), ends)

    def between(self, points: Int[np.ndarray, " point"]) -> Span:
        """For each point what happened since the point before it in `points`, or since the start."""
        return self._between(np.append(0, points)[:-1], points)

    def points(self, steps: Int[np.ndarray, " step"]) -> Int[np.ndarray, " step"]:
        """For each step the point that it had reached: how many rows end by then."""
        return self._rows_up_to(steps.astype(float), FIXED.index("step"))

    def plays(self) -> list[int]:
        """The experts that play: those that answered the images of the newest row."""
        return self._answered(self.recent(1))

    def played(self) -> list[int]:
        """The experts that have ever played."""
        return self._answered(self.all())

    def _answered(self, seen: Span) -> list[int]:
        """Who answered images of the span; before the first row, who is to."""
        if not self.rows:
            return list(range(self.shape.roster or self.experts))
        return np.flatnonzero(seen.answered[0] > 0).tolist()

    def one_to_one_count(self) -> int:
        """How many mechanisms have an expert of their own, over the newest images; 0 before the first row."""
        return experts_with_own(owners(win_share(self.recent().wins[0])))

    def one_to_one_from(self, hold: int = HOLD, images: int = IMAGES_IN_VIEW) -> int | None:
        """The first step from which each mechanism had an expert of its own for at least `hold` steps; None without one.

        Each row is judged by the newest rows before it that hold `images` images, so a step is at most that much too late."""
        spans = self.spans(np.arange(1, self.rows + 1), images)
        begun = None
        for step, owner in zip(spans.step, owners_at(win_share(spans.wins))):
            if not is_one_to_one(owner):
                begun = None
            elif begun is None:
                begun = int(step)
            if begun is not None and step - begun >= hold:
                return begun
        return None

    def _at(self, points: Int[np.ndarray, " point"]) -> Float[np.ndarray, "point number"]:
        if self.rows == 0:
            return np.zeros((len(points), self.sums.shape[1]))
        return np.where(points[:, None] > 0, self.sums[np.maximum(points - 1, 0)], 0.0)

    def _rows_up_to(self, values: Float[np.ndarray, " value"], column: int) -> Int[np.ndarray, " value"]:
        """For each value, how many rows have at most that value in a column that only grows.

        It bisects, because a search over the whole column would read the whole file."""
        low, high = np.zeros(len(values), dtype=int), np.full(len(values), self.rows)
        while (low < high).any():
            middle = (low + high) // 2
            enough = self.sums[np.minimum(middle, self.rows - 1), column] <= values
            low = np.where((low < high) & enough, middle + 1, low)
            high = np.where((low < high) & ~enough, middle, high)
        return low

    def _between(self, begins: Int[np.ndarray, " end"], ends: Int[np.ndarray, " end"]) -> Span:
        last = self._at(ends)
        change = last - self._at(begins)
        cells = self.experts * self.mechanisms
        _check_counts(change, cells)
        steps, images = change[:, 0], change[:, 1]
        table = (len(ends), self.experts, self.mechanisms)
        of_conscience = len(FIXED) + 2 * cells  # where its numbers begin, if there are any
        tables = change[:, len(FIXED) : of_conscience]
        wins, score = (part.reshape(table) for part in np.split(tables, 2, axis=1))
        answered = (
            change[:, -self.experts :] if self.shape.roster else images[:, None].repeat(self.experts, axis=1)
        )
        whole = (answered == images[:, None])[:, :, None]
        of_mechanism = np.where(whole, wins.sum(axis=1, keepdims=True), 0)
        return Span(
            step=last[:, 0].astype(int),
            images=images.astype(int),
            wins=wins.astype(int),
            score=score / np.where(of_mechanism > 0, of_mechanism, np.nan),
            psnr=change[:, 2] / np.maximum(images, 1),
            losses=change[:, 3:5] / np.maximum(steps, 1)[:, None],
            decided=change[:, of_conscience] / np.maximum(images, 1)
            if self.conscience
            else np.zeros(len(ends)),
            bias=last[:, of_conscience + 1 :][:, : self.experts]
            if self.conscience
            else np.zeros((len(ends), self.experts)),
            answered=answered.astype(int),
        )


def _check_counts(change: Float[np.ndarray, "end number"], cells: int) -> None:
    """Steps, images and wins only ever grow; HistoryError where they do not."""
    counts = np.concatenate([change[:, :2], change[:, len(FIXED) : len(FIXED) + cells]], axis=1)
    if not ((counts >= 0) & (counts <= LARGEST)).all():  # nan is refused too
        raise HistoryError(
            "history.f8 of this run is damaged; delete that file, and the rows are read from metrics.jsonl"
        )


def as_sums(
    rows: Iterable[StepRecord], before: Float[np.ndarray, " number"]
) -> Float[np.ndarray, "row number"]:
    """The running sums after each row; `before` are the sums before the first.

    The means in a row become sums again: PSNR over images, losses over steps, scores over images of the mechanism."""
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
        change = [fixed, wins.ravel(), score.ravel()]
        if row.bias is not None:
            now = len(FIXED) + 2 * wins.size + 1  # where the biases are
            change += [[row.decided], row.bias - before[now : now + len(wins)]]
        if row.plays is not None:
            change += [np.isin(range(len(wins)), row.plays) * row.images]
        before = before + np.concatenate(change)
        sums.append(before)
    return np.array(sums).reshape(-1, len(before))


def history_of(rows: Iterable[StepRecord], shape: RowShape) -> History:
    """The history that these rows make."""
    return History(as_sums(rows, before=np.zeros(_numbers(shape))), shape)


def read_history(path: Path, shape: RowShape) -> History:
    """The history in the file, which is mapped and not read; an empty one without a file.

    A record cut off at the end is left out. HistoryError when the last whole record cannot be one."""
    numbers = _numbers(shape)
    sums = np.zeros((0, numbers))
    with files.on_disk(path, "read"), suppress(FileNotFoundError), files.opened(path) as (file, size):
        if rows := size // (numbers * NUMBER.itemsize):
            # By the open file: a shorter one may take its name meanwhile. A plain view: numpy's own class is slow to index.
            sums = np.asarray(np.memmap(file, NUMBER, "r", shape=(rows, numbers)))
    _check_counts(sums[-1:], shape.experts * shape.mechanisms)
    return History(sums, shape)


def run_history(run: Run, config: RunConfig) -> History:
    """The run's history so far, from history.f8, or from metrics.jsonl where somebody has deleted that file."""
    shape = shape_of(config)
    if run.rows.history_file.exists():
        return read_history(run.rows.history_file, shape)
    return history_of(read_rows(run.rows.lines(), shape, NEVER_LATER).records, shape)


def shape_of(config: RunConfig) -> RowShape:
    """The shape of the rows of such a run."""
    return RowShape(
        experts=config.model.experts,
        mechanisms=len(config.mechanisms),
        conscience=config.conscience.rule == "conscience",
        roster=config.roster.start if config.roster.rule == "open" else 0,
    )


class HistoryWriter:
    """Writes history.f8 anew from the rows so far, then appends a record for each new row.

    A new file takes the old one's name, because a page may have the old one mapped."""

    def __init__(self, path: Path, shape: RowShape, rows: Iterable[StepRecord]) -> None:
        sums = history_of(rows, shape).sums
        files.write_whole(path, np.ascontiguousarray(sums, dtype=NUMBER).tobytes())
        self.path, self.file = path, files.identity(path)
        self.last = np.array(sums[-1]) if len(sums) else np.zeros(sums.shape[1])

    def append(self, row: StepRecord) -> None:
        (self.last,) = as_sums([row], before=self.last)
        files.append(self.path, self.last.astype(NUMBER).tobytes(), self.file)


def _numbers(shape: RowShape) -> int:
    experts = shape.experts
    of_conscience = 1 + experts if shape.conscience else 0
    return len(FIXED) + 2 * experts * shape.mechanisms + of_conscience + (experts if shape.roster else 0)
