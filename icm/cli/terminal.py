"""What a person sees of a training in the terminal: a bar, or a line every five seconds where there is no terminal."""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from icm.config import RunConfig
from icm.runs.history import IMAGES_IN_VIEW, history_of, shape_of
from icm.runs.run import Run

if TYPE_CHECKING:
    from icm.jobs.session import Progress as RunProgress  # it imports torch, which takes seconds


LOG_EVERY = 5.0  # seconds between two lines

# Sent when a terminal is closed; Windows has no such signal.
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


class Unfailing:
    """A stream to print to that drops what cannot be printed: a closed terminal or a full log must not end a training."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        with suppress(ValueError):
            return self.stream is not None and self.stream.isatty()
        return False

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        if self.stream is None:
            raise OSError("nothing to print to")
        return self.stream.fileno()

    def _try(self, use: Callable[[TextIO], object]) -> None:
        if self.stream is None:
            return
        try:
            use(self.stream)
        except (OSError, ValueError):
            silence(self.stream)
            self.stream = None


def silence(stream: TextIO) -> None:
    """From now on what is written to this stream goes nowhere, also what Python flushes when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def catch_signals() -> list[int]:
    """From now on Ctrl-C, SIGTERM and a closed terminal do not end the process: each is added to the list that is returned.

    Called before a run is made: otherwise a signal right after that would leave a run that never saved anything."""
    signals: list[int] = []
    stopping = [signal.SIGINT, signal.SIGTERM]
    if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN:  # nohup ignores it, and so do we
        stopping.append(HANGUP)
    for number in stopping:
        signal.signal(number, lambda number, _: signals.append(number))
    return signals


def follow(run: Run, root: Path, signals: list[int]) -> int:
    """Trains `run`, whose lock we hold, and shows how it goes; a signal that was caught saves and stops."""
    from icm.jobs import trainer

    console = Console(file=Unfailing(sys.stdout), markup=False)  # pyright: ignore[reportArgumentType]
    show = _show_bar if console.is_terminal else _show_lines
    show(console, run, trainer.train(run, root, lambda: bool(signals) or run.trainer.stop_requested()))
    last = run.status()
    console.print(f"run {run.id}: {last.phase} at step {last.step} of {last.of}")
    return 0


class OneToOne:
    """The count that a person waits for: mechanisms with an expert of their own, over the newest images."""

    def __init__(self, config: RunConfig) -> None:
        self.shape = shape_of(config)
        # Enough also where every step has a row, as at first.
        self.records = deque(maxlen=1 + IMAGES_IN_VIEW // config.training.batch)

    def __str__(self) -> str:
        if not self.records:
            return ""
        count = history_of(self.records, self.shape).one_to_one_count()
        return f"{count} of {self.shape.mechanisms} one-to-one"


def _show_bar(console: Console, run: Run, events: "Iterator[RunProgress]") -> None:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(separator=" of "),  # there is no number yet while the images are read
        TextColumn("{task.fields[speed]:.1f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[count]}"),
    )
    console.print(f"run {run.id}; Ctrl-C saves and stops")
    count = OneToOne(run.config())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("preparing", total=None, speed=0.0, count="")
        for event in events:
            if event.notice:
                console.print(event.notice)
            if event.record:
                count.records.append(event.record)
            if bar.tasks[0].description != event.phase and event.phase in ("identity", "competing"):
                bar.reset(task, total=event.of, completed=event.step, description=event.phase)
            bar.update(task, completed=event.step, speed=event.steps_per_second, count=str(count))


def _show_lines(console: Console, run: Run, events: "Iterator[RunProgress]") -> None:
    count, shown = OneToOne(run.config()), 0.0
    for event in events:
        if event.notice:
            console.print(event.notice, soft_wrap=True)
        if event.record:
            count.records.append(event.record)
        if time.monotonic() - shown >= LOG_EVERY:
            shown = time.monotonic()
            speed = event.steps_per_second
            left = f", about {(event.of - event.step) / speed:.0f} s left" if speed else ""
            counted = f", {count}" if count.records else ""
            console.print(
                f"{event.phase} {event.step} of {event.of}, {speed:.2f} steps/s{left}{counted}",
                soft_wrap=True,
            )
