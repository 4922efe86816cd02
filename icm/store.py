"""Runs on disk: a folder a run, under one root. What is written where, and who may write it, is said here and nowhere else.

    config.json  environment.json  lock  start.lock  status.json  metrics.jsonl  history.f8  log.txt  STOP  label.txt
    snapshots/step_000500.safetensors   networks only: what evaluation and the time slider read
    state/step_000500.safetensors       everything a resume needs; the newest two are kept

The lock, held by the trainer for its life, is the only test of alive. Only `RunStore.create` makes a run's folder: hidden
first, renamed when it is complete. No torch here: arrays are numpy's."""

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

import numpy as np

from icm import config as configuration
from icm import files
from icm.config import RunConfig
from icm.errors import ActionableError
from icm.files import FileError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")
STALLED_AFTER = 10.0  # seconds without a heartbeat
STARTING_FOR = 30.0  # seconds that a new run may take until its trainer holds the lock
PASSING = 0.3  # seconds that a reader's look at a lock may be in the way
STATES_KEPT = 2
LABEL_LENGTH = 60
LARGEST = 2**53  # beyond it a number in a file is nothing that we wrote
DURATIONS = ".durations.json"
SHIPPED = "pretrained"
NEW, GONE = ".new-", ".gone-"  # hidden folders: a run that is being made, a run that is being deleted

# What may lie in a folder that was given up before its run was complete; older versions left such folders.
HUSK = {"lock", "start.lock", "log.txt", "status.json", "environment.json", "STOP", "snapshots", "state"}

# What pages read from the card of a run that ships.
CARD = {
    "command": str,
    "seeds_tried": str,
    "date": str,
    "threads": int,
    "over_steps_images": int,
    "over_steps": list,
}

STATUS_ANEW = "resume the run, which writes it anew"
START_ANEW = "what it has so far can still be looked at; train another run like it to go on"

Phase = Literal["created", "preparing", "identity", "competing", "stopped", "finished", "failed"]
RunState = Literal["starting", "preparing", "running", "stalled", "stopped", "finished", "crashed"]


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
        with files.on_disk(self.root, "made"):
            self.root.mkdir(parents=True, exist_ok=True)
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
        """The run of that name; StoreError lists what there is."""
        run = self._run(run_id)
        if not os.path.lexists(run.folder / "config.json"):
            known = ", ".join(each.id for each in self.runs()) or "none yet"
            raise StoreError(f"no run {run_id!r} under {self.root}; known: {known}")
        return run

    def runs(self) -> list["Run"]:
        """Every run, newest first. Links are left out: they may lead anywhere."""
        try:
            entries = list(os.scandir(self.root))
        except OSError:
            return []
        found = [
            Run(self.root / entry.name)
            for entry in entries
            if RUN_ID.fullmatch(entry.name)
            and entry.is_dir(follow_symlinks=False)
            and os.path.lexists(os.path.join(entry.path, "config.json"))
        ]
        return sorted(found, key=lambda run: (run.created, run.id), reverse=True)

    def durations(self) -> dict[str, float] | None:
        """Seconds that a run of each preset takes at most, as timed here; None when not each was timed on this machine."""
        try:
            kept = files.read_json(self.root / DURATIONS)
        except FileError:
            return None
        seconds = kept.get("seconds")
        if kept.get("machine") != _machine() or not isinstance(seconds, dict):
            return None
        if not all(_is_number(seconds.get(name)) for name in configuration.PRESETS):
            return None
        return {name: float(seconds[name]) for name in configuration.PRESETS}

    def write_durations(self, seconds: dict[str, float]) -> None:
        with files.on_disk(self.root, "made"):
            self.root.mkdir(parents=True, exist_ok=True)
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
        """One process at a time makes runs; what an interrupted one left is removed by the next."""
        try:
            with files.hold(self.root / ".lock", timeout=10.0):
                for left in [*self.root.glob(f"{NEW}*"), *self.root.glob(f"{GONE}*")]:
                    shutil.rmtree(left, ignore_errors=True)
                yield
        except TimeoutError:
            raise RunBusy(f"another run is being made under {self.root}; try again") from None


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._watched: dict[str, files.Held | None] = {}  # while this object holds the lock

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
    def metrics_file(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def created(self) -> float:
        """Seconds since 1970, as written down when the run was made; older runs have only the time of their config.json."""
        with suppress(FileError):
            written = files.read_json(self.folder / "environment.json").get("created")
            if _is_number(written):
                return float(written)
        with suppress(OSError):
            return (self.folder / "config.json").stat(follow_symlinks=False).st_mtime
        return 0.0

    def fill(self, config: RunConfig, environment: dict[str, Any]) -> None:
        """Makes the folder of a new run with all that belongs in it; for `RunStore.create`."""
        with files.on_disk(self.folder, "made"):
            for folder in (self.folder, self.folder / "snapshots", self.folder / "state"):
                folder.mkdir()
            (self.folder / "lock").touch()
        self.write_status("created", 0, config.training.steps, "created")
        files.write_json(self.folder / "environment.json", {"created": time.time(), **environment})
        files.write_json(self.folder / "config.json", configuration.to_json(config))

    # What the run is

    def config(self) -> RunConfig:
        try:
            return configuration.from_json(files.read_json(self.folder / "config.json"))
        except configuration.ConfigError as error:
            raise StoreError(f"run {self.id}: {error}") from error

    def environment(self) -> dict[str, Any]:
        return files.read_json(self.folder / "environment.json")

    def write_environment(self, environment: dict[str, Any]) -> None:
        files.write_json(self.folder / "environment.json", environment)

    def card(self) -> dict[str, Any] | None:
        """What was measured when the run was made to ship; None for a run that was not."""
        if not os.path.lexists(self.folder / "card.json"):
            return None
        card = files.read_json(self.folder / "card.json")
        for name, kind in CARD.items():
            if not isinstance(card.get(name), kind):
                raise StoreError(f"run {self.id}: card.json does not say {name!r}; export the run anew")
        numbers = ("step", "psnr_owner", "psnr_nothing", "routing_accuracy")
        for row in card["over_steps"]:
            if not isinstance(row, dict) or not all(_is_number(row.get(name)) for name in numbers):
                raise StoreError(f"run {self.id}: card.json has a row that is none; export the run anew")
        return card

    def write_card(self, card: dict[str, Any]) -> None:
        files.write_json(self.folder / "card.json", card)

    @property
    def label(self) -> str:
        """What a person calls the run; the run id when nobody has named it."""
        try:
            text = files.read_bytes(self.folder / "label.txt", most=4 * LABEL_LENGTH).decode(errors="replace")
        except OSError:
            return self.id
        return _one_line(text)[:LABEL_LENGTH] or self.id

    def rename(self, label: str) -> None:
        """Sets the label, one line of at most `LABEL_LENGTH` characters; empty takes it away. The run id stays."""
        self.refuse_shipped()
        text = _one_line(label)
        if len(text) > LABEL_LENGTH:
            raise StoreError(f"the label has {len(text)} characters; use at most {LABEL_LENGTH}")
        files.write_whole(self.folder / "label.txt", text.encode())

    def extend(self, steps: int) -> None:
        """More steps of competition, from a run that nobody trains; a resume then goes on to there."""
        self.refuse_shipped()
        self.refuse_stateless()
        with self.starting(), self.locked():
            now = self.config()
            if steps <= now.training.steps:
                raise StoreError(
                    f"run {self.id} has {now.training.steps} steps already; {steps} are not more"
                )
            longer = replace(now, training=replace(now.training, steps=steps))
            environment = self.environment()
            if "created" not in environment:  # before config.json gets a new time
                self.write_environment({"created": self.created, **environment})
            files.write_json(self.folder / "config.json", configuration.to_json(longer))
            status = self.status()
            self.write_status("stopped", status.step, steps, "given more steps")

    def delete(self) -> None:
        """Removes the folder; StoreError for the run that ships with the project, RunBusy while it is being trained.

        It loses its name first: nobody finds half of it, and whoever waits for its lock finds out."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays")
        gone = self.folder.with_name(f"{GONE}{self.id}-{os.getpid()}-{time.time_ns()}")
        with self.starting(), self.locked(), files.on_disk(self.folder, "deleted"):
            self.folder.rename(gone)
            files.flush_folder(gone.parent)
        shutil.rmtree(gone, ignore_errors=True)
        if gone.exists():
            raise StoreError(
                f"run {self.id} is deleted, but not all of {gone} can be removed; remove it by hand"
            )

    def refuse_shipped(self) -> None:
        """StoreError for the run that ships with the project: it stays as it is."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays as it is; train one like it")

    def refuse_stateless(self) -> None:
        """StoreError for a run that has come further than its start and kept no state: going on would overwrite what it has."""
        if self.state_steps():
            return
        written = self.history_file.is_file() and self.history_file.stat().st_size > 0
        if written or self.metric_lines() or self.snapshot_steps():
            raise StoreError(
                f"run {self.id} has rows or snapshots but no state to go on from, and going on from nothing "
                f"would overwrite them; {START_ANEW}"
            )

    # How it is

    def write_status(
        self, phase: Phase, step: int, of: int, message: str = "", steps_per_second: float = 0.0
    ) -> None:
        status = Status(phase, step, of, message, time.time(), round(steps_per_second, 3))
        path = self.folder / "status.json"
        try:
            files.write_json(path, asdict(status))
        except FileError:
            if phase != "failed":
                raise
            files.overwrite(path, json.dumps(asdict(status)).encode())  # a full disk has room for this

    def status(self) -> Status:
        row = files.read_json(self.folder / "status.json", remedy=STATUS_ANEW)
        names = [each.name for each in fields(Status)]
        fits = (
            sorted(row) == sorted(names)
            and row["phase"] in get_args(Phase)
            and isinstance(row["message"], str)
            and all(type(row[name]) is int and 0 <= row[name] <= LARGEST for name in ("step", "of"))
            and all(_is_number(row[name]) for name in ("heartbeat", "steps_per_second"))
        )
        if not fits:
            raise StoreError(f"run {self.id}: status.json does not fit this version; {STATUS_ANEW}")
        return Status(**row)

    def state(self) -> RunState:
        """What a person is told: the lock says whether the trainer lives, the heartbeat whether it moves.

        A heartbeat from the future was written before somebody set the clock back, and says nothing of now."""
        status = self.status()
        starting = self.is_being_started()  # asked before the lock: a launcher lets go once that is held
        if self.is_alive():
            if abs(time.time() - status.heartbeat) > STALLED_AFTER:
                return "stalled"
            return "preparing" if status.phase in ("created", "preparing") else "running"
        if starting:
            return "starting"
        if status.phase == "created":
            return "starting" if abs(time.time() - status.heartbeat) < STARTING_FOR else "stopped"
        if status.phase == "finished" or status.phase == "stopped":
            return status.phase
        # A trainer that ended between our two looks has said so meanwhile.
        latest = self.status()
        return self.state() if latest != status else "crashed"

    def is_alive(self) -> bool:
        """Whether a trainer holds the lock."""
        return files.is_held(self.folder / "lock")

    def is_being_started(self) -> bool:
        """Whether somebody waits for a trainer process to take the lock."""
        return files.is_held(self.folder / "start.lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The trainer's lock, for as long as the block lasts; RunBusy when another trainer has it."""
        with self._held("lock", 1.0, "trained"):
            self._watched = {name: self._identity(name) for name in ("", "lock", "config.json")}
            yield

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Held while a trainer process is being started; RunBusy when somebody else is starting one."""
        with self._held("start.lock", PASSING, "started"):
            yield

    @contextmanager
    def _held(self, name: str, timeout: float, done: str) -> Iterator[None]:
        try:
            with files.hold(self.folder / name, timeout):
                if not os.path.lexists(self.folder / "config.json"):
                    raise StoreError(f"no run {self.id!r} under {self.folder.parent}; it was deleted")
                yield
        except TimeoutError:
            raise RunBusy(f"run {self.id} is already being {done}") from None

    def is_in_place(self) -> bool:
        """For the trainer that holds the lock: whether the folder is still the one that it locked."""
        return self._watched.get("") == self._identity("")

    def check_place(self) -> None:
        """For the trainer that holds the lock: StoreError when its folder, lock or configuration is no longer the one that
        it began with, so that it never writes into what somebody else has put there."""
        for name, before in self._watched.items():
            if self._identity(name) != before:
                raise StoreError(
                    f"{self.folder / name} was removed or replaced while the run was being trained; "
                    "put the folder back as it was and resume, or train a new run"
                )

    def _identity(self, name: str) -> files.Held | None:
        return files.identity(self.folder / name)

    def request_stop(self) -> None:
        with files.on_disk(self.folder / "STOP", "written"):
            os.close(os.open(self.folder / "STOP", os.O_WRONLY | os.O_CREAT | files.NO_LINK, 0o666))

    def stop_requested(self) -> bool:
        return (self.folder / "STOP").exists()

    def clear_stop(self) -> None:
        with files.on_disk(self.folder / "STOP", "removed"):
            (self.folder / "STOP").unlink(missing_ok=True)

    def log_tail(self, lines: int) -> str:
        """The last lines of what the trainer printed; empty when it printed nothing."""
        try:
            text = files.read_bytes(self.log, first=-400 * lines).decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    # Metrics

    def metric_lines(self) -> list[str]:
        """Every whole line; one that is still being written, or was cut off by a crash, is left out."""
        if not os.path.lexists(self.metrics_file):
            return []
        with files.on_disk(self.metrics_file, "read"):
            text = files.read_bytes(self.metrics_file).decode(errors="replace")
        return text.split("\n")[:-1]

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of those lines; FileError when one is damaged."""
        try:
            return [json.loads(line) for line in self.metric_lines()]
        except ValueError as error:
            raise FileError(
                f"{self.metrics_file} is damaged ({error}); a resume leaves the damaged rows out"
            ) from error

    def write_metrics(self, lines: list[str]) -> None:
        """These lines and no others, what a resume begins with."""
        files.write_whole(self.metrics_file, "".join(f"{line}\n" for line in lines).encode())

    def append_metrics(self, row: dict[str, Any]) -> None:
        files.append(self.metrics_file, (json.dumps(row, separators=(",", ":")) + "\n").encode())

    def flush_rows(self) -> None:
        """What was appended to the rows survives a power cut: before a state that goes beyond them is saved."""
        for path in (self.metrics_file, self.history_file):
            files.flush(path)

    # Networks

    def prepare_folders(self) -> None:
        """For the trainer that holds the lock: no left-overs of a killed one, and the folders that older runs lack."""
        for name in ("snapshots", "state"):
            with files.on_disk(self.folder / name, "made"):
                if (self.folder / name).is_symlink():
                    raise OSError(errno.ELOOP, "it is a link")
                (self.folder / name).mkdir(exist_ok=True)
        for folder in (self.folder, self.folder / "snapshots", self.folder / "state"):
            files.sweep(folder)

    def save_snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        files.write_arrays(self.folder / "snapshots" / _step_name(step), arrays)

    def snapshot_steps(self) -> list[int]:
        return _steps(self.folder / "snapshots")

    def snapshot(self, step: int) -> dict[str, np.ndarray]:
        """The networks after `step` steps; StoreError lists the steps there are."""
        return files.read_arrays(self._snapshot_file(step))

    def snapshot_digest(self, step: int) -> str:
        """Tells the content of one snapshot from another's, of a run that was made again too."""
        return files.digest_of(self._snapshot_file(step))

    def _snapshot_file(self, step: int) -> Path:
        steps = self.snapshot_steps()
        if step not in steps:
            known = ", ".join(map(str, steps)) or "none yet"
            raise StoreError(f"run {self.id} has no snapshot of step {step}; known: {known}")
        return self.folder / "snapshots" / _step_name(step)

    def save_state(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Afterwards the newest states are this one and the ones before it. Later ones are from a future that was given up."""
        files.write_arrays(self.folder / "state" / _step_name(step), arrays)
        self._remove_states([each for each in self.state_steps() if each > step])
        self.prune_states(step)

    def prune_states(self, step: int) -> None:
        """Of the states up to that step leaves the newest, as many as are kept."""
        self._remove_states([each for each in self.state_steps() if each <= step][:-STATES_KEPT])

    def _remove_states(self, steps: list[int]) -> None:
        for step in steps:
            path = self.folder / "state" / _step_name(step)
            with files.on_disk(path, "removed"):
                path.unlink(missing_ok=True)

    def state_steps(self) -> list[int]:
        return _steps(self.folder / "state")

    def saved_state(self, step: int) -> dict[str, np.ndarray]:
        """The state of that step; FileError when it is damaged."""
        return files.read_arrays(self.folder / "state" / _step_name(step))


def _machine() -> str:
    return f"{platform.node()}, {platform.machine()}, {os.cpu_count()} cores"


def _is_number(value: object) -> TypeGuard[float]:
    """A finite number, and none so large that arithmetic with it fails."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST  # pyright: ignore[reportOperatorIssue]


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _is_husk(folder: Path) -> bool:
    """Whether the folder holds nothing but what a run has before it is complete: no configuration, no rows, no networks."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not files.is_temporary(path.name)
    }
    return found <= HUSK and not files.is_held(folder / "lock")


def _step_name(step: int) -> str:
    return f"step_{step:06d}.safetensors"


def _steps(folder: Path) -> list[int]:
    """The steps of the files that are named as we name them, in order. Links are left out, as in the store."""
    if folder.is_symlink():
        return []
    found = [re.fullmatch(r"step_(\d{6,18})\.safetensors", path.name) for path in folder.glob("step_*")]
    steps = sorted({int(match[1]) for match in found if match})
    files_there = ((step, folder / _step_name(step)) for step in steps)
    return [step for step, path in files_there if path.is_file() and not path.is_symlink()]
