"""An index of a store: it keeps in memory what a table of runs shows, and each look reads only the runs that have changed.

A look at an unchanged run costs two times, its folder's and its config.json's, and two locks. The folder's time changes with
all that a trainer or a page writes: the file is made in the folder or renamed into it, or a status.json that is follows
within a second. The time of config.json is compared because a person may edit that file in place."""

import os
import threading
import time
from dataclasses import dataclass, replace

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.runs.status import RunState, Status, state_of
from icm.runs.store import RunStore

COARSE = 20_000_000  # nanoseconds; file times of some kernels stand still for 4 or 10 milliseconds

Stamp = tuple[int, int, int, int]
"""Inode and time in nanoseconds of a run's folder and of its config.json."""


@dataclass(frozen=True)
class IndexedRun:
    """What a table shows of a run."""

    run: Run
    created: float  # seconds since 1970
    label: str
    trained: bool  # whether it has a snapshot
    config: RunConfig | None = None  # None for a run that cannot be read, as are the next two
    status: Status | None = None
    state: RunState | None = None
    last_step: int = 0
    one_to_one: int | None = None  # mechanisms with an expert of their own; None before the first row
    seconds: float = 0.0  # of competition


class RunIndex:
    """What is known of every run of a store. One index serves all pages of a server."""

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self._known: dict[str, tuple[Stamp, IndexedRun]] = {}
        self._looking = threading.Lock()

    def look(self) -> list[IndexedRun]:
        """Every run as it is now, newest first."""
        with self._looking:
            now: dict[str, tuple[Stamp, IndexedRun]] = {}
            for name, path in self.store.folders():
                if (stamp := _stamp(path)) is not None:
                    now[name] = stamp, self._look_at(name, stamp)
            self._known = now
            found = [run for _, run in now.values()]
        return sorted(found, key=lambda each: (each.created, each.run.id), reverse=True)

    def _look_at(self, name: str, stamp: Stamp) -> IndexedRun:
        before, found = self._known.get(name, (None, None))
        if found is None or before != stamp or _may_hide_a_change(stamp):
            found = _read(Run(self.store.root / name))
        if found.status is None:
            return found
        try:
            state = state_of(found.status, found.run.status, found.run.trainer)
        except ActionableError:  # damaged since it was read
            return replace(found, config=None, status=None, state=None)
        return found if state == found.state else replace(found, state=state)


def _stamp(folder: str) -> Stamp | None:
    """The folder's stamp; None when it holds no run."""
    try:
        itself, config = os.lstat(folder), os.lstat(f"{folder}/config.json")
    except OSError:
        return None
    return itself.st_ino, itself.st_mtime_ns, config.st_ino, config.st_mtime_ns


def _may_hide_a_change(stamp: Stamp) -> bool:
    """Whether the newest change is so young that another one, before or after the last look, may have the same time."""
    return abs(time.time_ns() - max(stamp[1], stamp[3])) < COARSE


def _read(run: Run) -> IndexedRun:
    """Reads all of the run but its state, which depends on the clock and the locks."""
    found = IndexedRun(run, run.created, run.label, trained=bool(run.snapshots.steps()))
    try:
        config, status = run.config(), run.status()
        history = run_history(run, config)
        return replace(
            found,
            config=config,
            status=status,
            last_step=history.last_step,
            one_to_one=history.one_to_one_count() if history.rows else None,
            seconds=history.seconds,
        )
    except ActionableError:
        return found
