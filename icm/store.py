"""Runs on disk: a folder a run, under one root. Files that others read are written whole, flushed, then renamed.

    config.json  environment.json  lock  status.json  metrics.jsonl  history.f8  log.txt  STOP  label.txt
    snapshots/step_000500.safetensors   networks only: what evaluation and the time slider read
    state/step_000500.safetensors       everything a resume needs; the newest two are kept

The lock, held by the trainer for its life, is the only test of alive. No torch here: arrays are numpy's."""

import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from icm import config as configuration
from icm.config import RunConfig
from icm.errors import ActionableError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")
STALLED_AFTER = 10.0  # seconds without a heartbeat
STATES_KEPT = 2
LABEL_LENGTH = 60
DURATIONS = ".durations.json"
SHIPPED = "pretrained"

Phase = Literal["preparing", "identity", "competing", "stopped", "finished", "failed"]
RunState = Literal["preparing", "running", "stalled", "stopped", "finished", "crashed"]


class StoreError(ActionableError):
    """A run that cannot be found, read or written; the message is one sentence."""


class RunIdError(StoreError):
    """Text that cannot be the name of a run."""


class RunBusy(StoreError):
    """The run is already being trained."""


@dataclass(frozen=True)
class Status:
    """What a trainer last said of itself."""

    phase: Phase
    step: int  # within the phase
    of: int
    message: str
    heartbeat: float  # seconds since 1970
    steps_per_second: float


def store_root() -> Path:
    """The folder of runs when none is named: `ICM_STORE`, else `checkpoints/` beside the package."""
    return Path(os.environ.get("ICM_STORE") or Path(__file__).parents[1] / "checkpoints")


class RunStore:
    """The folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def create(self, run_id: str, config: RunConfig, environment: dict[str, Any]) -> "Run":
        """A new run, not started; StoreError when the name is taken or is no run id."""
        run = self._run(run_id)
        try:
            run.folder.mkdir(parents=True)
        except FileExistsError:
            raise StoreError(f"run {run_id!r} exists already; choose another --run-id or resume it") from None
        except OSError as error:
            raise StoreError(f"run folder {run.folder} cannot be made: {error.strerror}") from error
        run.write_status("preparing", 0, config.training.steps, "created")
        _write_json(run.folder / "environment.json", environment)
        _write_json(run.folder / "config.json", configuration.to_json(config))
        return run

    def open(self, run_id: str) -> "Run":
        """The run of that name; StoreError lists what there is."""
        run = self._run(run_id)
        if not (run.folder / "config.json").is_file():
            known = ", ".join(each.id for each in self.runs()) or "none yet"
            raise StoreError(f"no run {run_id!r} under {self.root}; known: {known}")
        return run

    def runs(self) -> list["Run"]:
        """Every run, newest first."""
        if not self.root.is_dir():
            return []
        folders = [
            entry
            for entry in self.root.iterdir()
            if RUN_ID.fullmatch(entry.name) and (entry / "config.json").is_file()
        ]
        return [Run(folder) for folder in sorted(folders, key=_created, reverse=True)]

    def durations(self) -> dict[str, float] | None:
        """Seconds that a run of each preset takes at most, as timed here; None when nobody has timed it on this machine."""
        try:
            kept = json.loads((self.root / DURATIONS).read_text())
            return kept["seconds"] if kept["machine"] == _machine() else None
        except (OSError, ValueError, KeyError):
            return None

    def write_durations(self, seconds: dict[str, float]) -> None:
        _write_json(self.root / DURATIONS, {"machine": _machine(), "seconds": seconds})

    def _run(self, run_id: str) -> "Run":
        if not RUN_ID.fullmatch(run_id):
            raise RunIdError(
                f"{run_id!r} is no run id; use up to 61 of a-z, 0-9, _ and -, starting with a letter or digit"
            )
        folder = (self.root / run_id).resolve()
        if folder.parent != self.root:
            raise RunIdError(f"run {run_id!r} lies outside {self.root}; remove that link")
        return Run(folder)


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def history_file(self) -> Path:
        return self.folder / "history.f8"

    @property
    def created(self) -> float:
        """Seconds since 1970."""
        return _created(self.folder)

    # What the run is

    def config(self) -> RunConfig:
        try:
            return configuration.from_json(_read_json(self.folder / "config.json"))
        except configuration.ConfigError as error:
            raise StoreError(f"run {self.id}: {error}") from error

    def environment(self) -> dict[str, Any]:
        return _read_json(self.folder / "environment.json")

    def write_environment(self, environment: dict[str, Any]) -> None:
        _write_json(self.folder / "environment.json", environment)

    def card(self) -> dict[str, Any] | None:
        """What was measured when the run was made to ship; None for a run that was not."""
        return _read_json(self.folder / "card.json") if (self.folder / "card.json").is_file() else None

    def write_card(self, card: dict[str, Any]) -> None:
        _write_json(self.folder / "card.json", card)

    @property
    def label(self) -> str:
        """What a person calls the run; the run id when nobody has named it."""
        try:
            return (self.folder / "label.txt").read_text().strip() or self.id
        except OSError:
            return self.id

    def rename(self, label: str) -> None:
        """Sets the label, one line of at most `LABEL_LENGTH` characters; empty takes it away. The run id stays."""
        text = " ".join(label.split())
        if len(text) > LABEL_LENGTH:
            raise StoreError(f"the label has {len(text)} characters; use at most {LABEL_LENGTH}")
        write_whole(self.folder / "label.txt", text.encode())

    def extend(self, steps: int) -> None:
        """More steps of competition, from a run that nobody trains; a resume then goes on to there."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays as it is; train one like it")
        with self.locked():
            now = self.config()
            if steps <= now.training.steps:
                raise StoreError(
                    f"run {self.id} has {now.training.steps} steps already; {steps} are not more"
                )
            longer = replace(now, training=replace(now.training, steps=steps))
            created = self.created
            _write_json(self.folder / "config.json", configuration.to_json(longer))
            os.utime(self.folder / "config.json", (created, created))
            status = self.status()
            self.write_status("stopped", status.step, steps, "given more steps")

    def delete(self) -> None:
        """Removes the folder; StoreError for the run that ships with the project, RunBusy while it is being trained."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays")
        with self.locked():
            shutil.rmtree(self.folder)

    # How it is

    def write_status(
        self, phase: Phase, step: int, of: int, message: str = "", steps_per_second: float = 0.0
    ) -> None:
        status = Status(phase, step, of, message, time.time(), round(steps_per_second, 3))
        _write_json(self.folder / "status.json", asdict(status))

    def status(self) -> Status:
        row = _read_json(self.folder / "status.json")
        try:
            return Status(**row)
        except TypeError as error:
            raise StoreError(f"run {self.id}: status.json does not fit this version: {error}") from error

    def state(self) -> RunState:
        """What a person is told: the lock says whether the trainer lives, the heartbeat whether it moves."""
        alive, status = self.is_alive(), self.status()
        if alive and time.time() - status.heartbeat > STALLED_AFTER:
            return "stalled"
        if alive:
            return "preparing" if status.phase == "preparing" else "running"
        if status.phase == "finished" or status.phase == "stopped":
            return status.phase
        return "crashed"

    def is_alive(self) -> bool:
        """Whether a trainer holds the lock. Tried for a moment: another reader may hold it for an instant."""
        lock = FileLock(self.folder / "lock", timeout=0.02, poll_interval=0.005)
        try:
            with lock:
                return False
        except Timeout:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The trainer's lock, for as long as the block lasts; RunBusy when another trainer has it."""
        try:
            with FileLock(self.folder / "lock", timeout=1.0, poll_interval=0.01):
                yield
        except Timeout:
            raise RunBusy(f"run {self.id} is already being trained") from None

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Held while a trainer process is being started; RunBusy when somebody else is starting one."""
        try:
            with FileLock(self.folder / "start.lock", timeout=0):
                yield
        except Timeout:
            raise RunBusy(f"run {self.id} is already being started") from None

    def request_stop(self) -> None:
        (self.folder / "STOP").touch()

    def stop_requested(self) -> bool:
        return (self.folder / "STOP").exists()

    def clear_stop(self) -> None:
        (self.folder / "STOP").unlink(missing_ok=True)

    def log_tail(self, lines: int) -> str:
        """The last lines of what the trainer printed; empty when it printed nothing."""
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # Metrics

    def append_metrics(self, row: dict[str, Any]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole row; one that is still being written, or was cut off by a crash, is left out."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return []
        whole = path.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def truncate_metrics(self, step: int) -> None:
        """Keeps the whole rows up to `step`: what a resume from there would write again is dropped first."""
        rows = [row for row in self.metrics() if row["step"] <= step]
        text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        write_whole(self.folder / "metrics.jsonl", text.encode())

    # Networks

    def save_snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        _write_arrays(self.folder / "snapshots" / _step_name(step), arrays)

    def snapshot_steps(self) -> list[int]:
        return _steps(self.folder / "snapshots")

    def snapshot(self, step: int) -> dict[str, np.ndarray]:
        """The networks after `step` steps; StoreError lists the steps there are."""
        steps = self.snapshot_steps()
        if step not in steps:
            known = ", ".join(map(str, steps)) or "none yet"
            raise StoreError(f"run {self.id} has no snapshot of step {step}; known: {known}")
        return _read_arrays(self.folder / "snapshots" / _step_name(step))

    def save_state(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        folder = self.folder / "state"
        _write_arrays(folder / _step_name(step), arrays)
        for old in sorted(folder.glob("step_*.safetensors"), key=lambda path: path.stat().st_mtime_ns):
            if len(list(folder.glob("step_*.safetensors"))) > STATES_KEPT:
                old.unlink()

    def latest_state(self) -> dict[str, np.ndarray] | None:
        """The newest state that is whole, None when there is none at all; StoreError when all are damaged."""
        paths = sorted((self.folder / "state").glob("step_*.safetensors"), reverse=True)
        for path in paths:
            try:
                return _read_arrays(path)
            except StoreError:
                if path == paths[-1]:
                    raise
        return None


def _machine() -> str:
    return f"{platform.node()}, {platform.machine()}, {os.cpu_count()} cores"


def _created(folder: Path) -> float:
    return (folder / "config.json").stat().st_mtime


def _step_name(step: int) -> str:
    return f"step_{step:06d}.safetensors"


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step_")) for path in folder.glob("step_*.safetensors"))


def write_whole(path: Path, content: bytes) -> None:
    """Under a temporary name first, on disk before it takes its own: nobody sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"run {path.parent.name}: {path.name} cannot be read ({error})") from error


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    write_whole(path, save(arrays, metadata={"sha256": _digest(arrays)}))


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            expected = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read ({error}); delete it to go on from an older one") from error
    if _digest(arrays) != expected:
        raise StoreError(f"{path} is damaged: its digest does not fit; delete it to go on from an older one")
    return arrays
