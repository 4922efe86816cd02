"""Who trains a run: at most one trainer. Three files in the run's folder say who does, who is about to, and who is to stop:

lock         held by the trainer as long as it lives; the only test whether it is alive
start.lock   held by whoever waits for a new trainer process to take the lock, or deletes or extends the run
STOP         an empty file that asks the trainer to save and stop"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icm import files
from icm.runs.errors import RunBusy, StoreError

PASSING = 0.3  # seconds to wait for start.lock: a reader's look at it may be in the way for an instant
TAKING = 1.0  # seconds to wait for the lock


class TrainerSlot:
    """One run has one: `lock`, `start.lock` and `STOP` in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock, self._start_lock = f"{folder}/lock", f"{folder}/start.lock"  # text: tried again and again
        self._watched: dict[str, files.FileIdentity | None] = {}  # as of when this object took the lock

    def is_alive(self) -> bool:
        """Whether a trainer holds the lock."""
        return files.is_held(self._lock)

    def is_being_started(self) -> bool:
        """Whether somebody holds start.lock, which a launcher does until the new trainer holds the lock."""
        return files.is_held(self._start_lock)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock for as long as the block lasts; RunBusy when another has it, StoreError when the run was deleted."""
        with self._held("lock", TAKING, "trained"):
            self._watched = {name: self._identity(name) for name in ("", "lock", "config.json")}
            yield

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Holds start.lock for as long as the block lasts: nobody else starts a trainer process; RunBusy when another has it."""
        with self._held("start.lock", PASSING, "started"):
            yield

    @contextmanager
    def _held(self, name: str, timeout: float, done: str) -> Iterator[None]:
        try:
            with files.hold(self.folder / name, timeout):
                if not os.path.lexists(self.folder / "config.json"):
                    raise StoreError(
                        f"no run {self.folder.name!r} under {self.folder.parent}; it was deleted"
                    )
                yield
        except TimeoutError:
            raise RunBusy(f"run {self.folder.name} is already being {done}") from None

    def is_in_place(self) -> bool:
        """For the trainer that holds the lock: whether the folder is still the one that it locked."""
        return self._watched.get("") == self._identity("")

    def check_place(self) -> None:
        """For the trainer that holds the lock: StoreError when somebody removed or replaced its folder, lock or configuration.

        Without this a trainer would write into what somebody else has put there."""
        for name, before in self._watched.items():
            if self._identity(name) != before:
                raise StoreError(
                    f"{self.folder / name} was removed or replaced while the run was being trained; "
                    "put the folder back as it was and resume, or train a new run"
                )

    def _identity(self, name: str) -> files.FileIdentity | None:
        return files.identity(self.folder / name)

    def request_stop(self) -> None:
        """Asks the trainer to save and stop after its present step."""
        with files.on_disk(self.folder / "STOP", "written"):
            os.close(os.open(self.folder / "STOP", os.O_WRONLY | os.O_CREAT | files.NO_LINK, 0o666))

    def stop_requested(self) -> bool:
        return (self.folder / "STOP").exists()

    def clear_stop(self) -> None:
        with files.on_disk(self.folder / "STOP", "removed"):
            (self.folder / "STOP").unlink(missing_ok=True)
