"""Runs on disk: under one root, a folder for each run.

A trainer is alive while it holds the lock; there is no other test. In a store only `RunStore.create` makes a run's folder:
hidden at first, and renamed once it is complete. No torch here: arrays are numpy's."""

# What lies in a run's folder:
#
#    config.json  environment.json  lock  start.lock  status.json  metrics.jsonl  history.f8  log.txt  STOP  label.txt
#    card.json                           only in an exported run
#    measured.json                       only in a run of a study: what `icm evaluate` found at its end, and with which words
#    snapshots/step_000500.safetensors   networks only: what evaluation and the pages ask
#    film/000250.webp                    everyone's answers to a few fixed digits at that step, for the playhead
#    state/step_000500.safetensors       everything a resume needs; the newest two are kept

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icm import files
from icm.config import RunConfig
from icm.files import FileError, is_number
from icm.presets import PRESETS
from icm.runs.errors import RunBusy, RunIdError, StoreError
from icm.runs.run import GONE, SHIPPED, Run

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")
NEW = ".new-"  # a hidden folder: a run that is being made
DURATIONS = ".durations.json"

# What may lie in a folder that was given up before its run was complete; older versions left such folders.
HUSK = {"lock", "start.lock", "log.txt", "status.json", "environment.json", "STOP", "snapshots", "state"}


def store_root() -> Path:
    """The folder of runs when none is named: `ICM_STORE`, else `checkpoints/` beside the package."""
    return Path(os.environ.get("ICM_STORE") or files.PROJECT / "checkpoints")


def shipped() -> Run | None:
    """The trained run that comes with the project, wherever the store is."""
    run = Run(files.PROJECT / "checkpoints" / SHIPPED)
    return run if (run.folder / "config.json").is_file() else None


class RunStore:
    """The folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def make_root(self) -> None:
        """Makes the folder where it is missing."""
        with files.on_disk(self.root, "made"):
            self.root.mkdir(parents=True, exist_ok=True)

    def create(self, run_id: str, config: RunConfig, environment: dict[str, Any]) -> "Run":
        """A new run, not started; StoreError when the name is taken or is no run id."""
        run = self._run(run_id)
        self.make_root()
        with self._making():
            if os.path.lexists(run.folder) and not _is_husk(run.folder):
                raise StoreError(f"run {run_id!r} exists already; choose another --run-id or resume it")
            made = Run(self.root / f"{NEW}{run_id}")
            try:
                made.fill(config, environment)
                with files.on_disk(run.folder, "made"):
                    if run.folder.is_dir():
                        run.folder.rename(self.root / f"{GONE}{run_id}")
                    made.folder.rename(run.folder)
                    files.flush_folder(self.root)
            except BaseException:
                shutil.rmtree(made.folder, ignore_errors=True)
                raise
        return run

    def open(self, run_id: str) -> "Run":
        """The run of that name; StoreError, which lists the known runs, when there is none."""
        run = self._run(run_id)
        if not os.path.lexists(run.folder / "config.json"):
            known = ", ".join(each.id for each in self.runs()) or "none yet"
            raise StoreError(f"no run {run_id!r} under {self.root}; known: {known}")
        return run

    def folders(self) -> list[tuple[str, str]]:
        """Name and path of every folder that may hold a run, in no order. Links are left out: they may lead anywhere."""
        try:
            entries = list(os.scandir(self.root))
        except OSError:
            return []
        return [
            (entry.name, entry.path)
            for entry in entries
            if RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]

    def runs(self) -> list["Run"]:
        """Every run, newest first."""
        found = [
            Run(self.root / name)
            for name, path in self.folders()
            if os.path.lexists(os.path.join(path, "config.json"))
        ]
        return sorted(found, key=lambda run: (run.created, run.id), reverse=True)

    def durations(self) -> dict[str, float] | None:
        """The most seconds that a run of each preset takes; None unless every preset was timed on this machine."""
        try:
            kept = files.read_json(self.root / DURATIONS)
        except FileError:
            return None
        seconds = kept.get("seconds")
        if kept.get("machine") != _machine() or not isinstance(seconds, dict):
            return None
        if not all(is_number(seconds.get(name)) for name in PRESETS):
            return None
        return {name: float(seconds[name]) for name in PRESETS}

    def write_durations(self, seconds: dict[str, float]) -> None:
        self.make_root()
        files.write_json(self.root / DURATIONS, {"machine": _machine(), "seconds": seconds})

    def _run(self, run_id: str) -> "Run":
        if not RUN_ID.fullmatch(run_id):
            raise RunIdError(
                f"{run_id!r} is no run id; use up to 61 of a-z, 0-9, _ and -, starting with a letter or digit"
            )
        folder = self.root / run_id
        if folder.is_symlink():
            raise RunIdError(f"run {run_id!r} is a link out of {self.root}; remove that link")
        return Run(folder)

    @contextmanager
    def _making(self) -> Iterator[None]:
        """Lets one process at a time make runs, and removes first what an interrupted one left."""
        try:
            with files.hold(self.root / ".lock", timeout=10.0):
                for left in [*self.root.glob(f"{NEW}*"), *self.root.glob(f"{GONE}*")]:
                    shutil.rmtree(left, ignore_errors=True)
                yield
        except TimeoutError:
            raise RunBusy(f"another run is being made under {self.root}; try again") from None


def _machine() -> str:
    return f"{platform.node()}, {platform.machine()}, {os.cpu_count()} cores"


def _is_husk(folder: Path) -> bool:
    """Whether the folder holds only what a run has before it is complete (no configuration, rows or networks), and no trainer."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        paths = list(folder.rglob("*"))
    except FileNotFoundError:  # somebody deletes the run while we look
        return not os.path.lexists(folder)
    found = {path.relative_to(folder).as_posix() for path in paths if not files.is_temporary(path.name)}
    return found <= HUSK and not files.is_held(folder / "lock")
