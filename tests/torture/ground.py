"""What the trials stand on: a store of their own, a run of few steps, the unbroken run to compare with, and what a run holds.

How two runs are read and compared, file by file, is known here alone."""

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from icm import files
from icm.config import IdentityConfig, ModelConfig, RecordingConfig, RunConfig, TrainingConfig
from icm.presets import command_line, preset
from icm.runs.history import FIXED, read_history, shape_of
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.torture.forks import PROJECT, Child, Ended, Forks

SECONDS = FIXED.index("seconds")
UNBROKEN = "unbroken"
PASSING = ("lock", "start.lock", "log.txt")  # not compared: locks, and the log of a trainer that was launched


@dataclass(frozen=True)
class Ground:
    """A store of its own, the images, and a parent for its trainers."""

    folder: Path
    root: Path
    forks: Forks

    @property
    def store(self) -> RunStore:
        return RunStore(self.folder / "runs")

    def within(self, name: str) -> "Ground":
        """A ground inside this one, with an empty store and the same images and parent."""
        folder = self.folder / name
        (folder / "runs").mkdir(parents=True)
        return replace(self, folder=folder)

    def there(self, store: RunStore | None = None) -> tuple[str, ...]:
        """The words that tell a command where store and images are."""
        return ("--store", str((store or self.store).root), "--data-root", str(self.root))

    def train(self, run_id: str, config: RunConfig, store: RunStore | None = None) -> tuple[str, ...]:
        """The words that train a new run."""
        return (*words_of(config), "--run-id", run_id, *self.there(store))

    def resumed(self, run: Run, seconds: float = 120.0) -> Ended:
        return self.forks.icm("resume", run.id, *self.there(RunStore(run.folder.parent))).wait(seconds)


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """A ground in `folder`: the built-in digits are parsed, and the parent has imported what a trainer needs."""
    root = folder / "data"
    root.mkdir(parents=True, exist_ok=True)
    with Forks(environment(folder, root)) as forks:
        ended = forks.start("warm", str(root)).wait()
        assert ended.code == 0, ended.err
        forks.ask(do="load", modules=ended.out.split())
        yield Ground(folder, root, forks)


def environment(folder: Path, root: Path) -> dict[str, str]:
    """One thread for each process: they share few cores, and the number of threads decides the rounding."""
    return {
        "ICM_STORE": str(folder / "runs"),
        "ICM_DATA_ROOT": str(root),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(PROJECT),
    }


def command(*words: str) -> list[str]:
    """`python -m icm`, for real."""
    return [sys.executable, "-m", "icm", *words]


def little(steps: int = 18, state_every: int = 4) -> RunConfig:
    """A run of about a second, with two experts of the smallest size. The engine is fixed, so that bits can be compared."""
    return replace(
        preset("tiny"),
        source="builtin",
        device="cpu",
        arithmetic="exact",
        mechanisms=("right=6", "contrast"),
        model=ModelConfig(experts=2, filters=2, discriminator_filters=1, discriminator_hidden=8),
        identity=IdentityConfig(start="shared", steps=8, batch=2, target_error=1e-9),
        training=TrainingConfig(steps=steps, batch=2),
        recording=RecordingConfig(every=1, state_every=state_every),
    )


def words_of(config: RunConfig) -> list[str]:
    """`train` and its options."""
    return shlex.split(command_line(config))[3:]


def unbroken(place: Ground, config: RunConfig) -> Run:
    """A run of `config` that nobody disturbed, in the ground's store."""
    ended = place.forks.icm(*place.train(UNBROKEN, config)).wait()
    assert ended.code == 0, ended.err
    return place.store.open(UNBROKEN)


def wait_for(moment: str, folder: Path, child: Child, seconds: float = 60.0) -> None:
    """Waits until the run in `folder` is in the identity phase ("identity"), has so many rows ("row 9"), or `child` has ended."""
    rows = int(moment.removeprefix("row ")) if moment.startswith("row ") else 0
    path, wanted = (folder / "metrics.jsonl", "\n") if rows else (folder / "status.json", '"identity"')
    deadline = time.monotonic() + seconds
    while text(path).count(wanted) < max(rows, 1) and not child.ended():
        assert time.monotonic() < deadline, f"{folder} has not come to {moment}"
        time.sleep(0.001)


def wait_while(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while holds():
        assert time.monotonic() < deadline, "still so"
        time.sleep(0.02)


def text(path: Path) -> str:
    """What the file holds; empty where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def time_presets(store: Path, seconds: dict[str, float]) -> None:
    """As if the presets had been timed: else the Train page would start a process that times them."""
    RunStore(store).write_durations(seconds)


def made_long_ago(folder: Path) -> None:
    """As if the run in `folder` had been made in 1970."""
    path = folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": 1.0}))
    os.utime(folder / "config.json", (1, 1))


# What a run holds


def newest_state(folder: Path) -> Path | None:
    """The file of the newest state in a run's folder."""
    return max((folder / "state").glob("step_*.safetensors"), default=None, key=_step_of)


def newest_snapshot(folder: Path) -> Path | None:
    return max((folder / "snapshots").glob("step_*.safetensors"), default=None, key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step_"))


def read_state(path: Path) -> dict[str, np.ndarray]:
    """A state, read and checked against its digest as icm does it."""
    return Run(path.parents[1]).states.read(_step_of(path))


def read_snapshot(path: Path) -> dict[str, np.ndarray]:
    """A snapshot, read and checked against its digest as icm does it."""
    return Run(path.parents[1]).snapshots.read(_step_of(path))


def written(arrays: dict[str, np.ndarray]) -> bytes:
    """The file that icm writes for these arrays, with a digest that fits."""
    with tempfile.TemporaryDirectory() as folder:
        files.write_arrays(Path(folder) / "arrays", arrays)
        return (Path(folder) / "arrays").read_bytes()


def state_arrays(run: Run) -> dict[str, np.ndarray] | None:
    """The newest state, without what depends on the clock; None without a state."""
    path = newest_state(run.folder)
    return None if path is None else without_seconds(read_state(path))


def without_seconds(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values for name, values in arrays.items() if name != "window.seconds"}


def same_arrays(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> bool:
    """Whether both have the same names, types, shapes and bits."""
    return ours.keys() == theirs.keys() and all(
        (ours[name].dtype, ours[name].shape) == (theirs[name].dtype, theirs[name].shape)
        and ours[name].tobytes() == theirs[name].tobytes()
        for name in ours
    )


def same_snapshots(run: Run, other: Run) -> bool:
    """Whether both have snapshots of the same steps, with the same arrays."""
    steps = run.snapshots.steps()
    return steps == other.snapshots.steps() and all(
        same_arrays(run.snapshots.read(step), other.snapshots.read(step)) for step in steps
    )


def rows_of(run: Run) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in run.rows.read()]


def sums_of(run: Run) -> np.ndarray:
    config = run.config()
    sums = read_history(run.rows.history_file, shape_of(config)).sums
    return np.delete(np.array(sums), SECONDS, axis=1)


def files_of(run: Run) -> set[str]:
    """Names of all that lies in the folder, but for locks and log."""
    names = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*")}
    return names - set(PASSING)


def content(run: Run, name: str) -> bytes | None:
    """The bytes of one file in the folder; None where there is none."""
    path = run.folder / name
    return path.read_bytes() if path.is_file() else None


def strange_files(run: Run) -> list[str]:
    """Hidden files: what a save that was cut off leaves."""
    return sorted(name for name in files_of(run) if Path(name).name.startswith("."))


def strange_entries(store: RunStore) -> list[str]:
    """Hidden entries of the store's own folder: what a creation or a deletion that was cut off leaves."""
    known = (".durations.json", ".gitkeep", ".lock")
    return sorted(each for each in os.listdir(store.root) if each.startswith(".") and each not in known)


def differences(run: Run, other: Run) -> list[str]:
    """In what the two differ, in words; empty when they are the same run bit for bit."""
    ours, theirs = state_arrays(run), state_arrays(other)
    found = []
    if ours is None or theirs is None or not same_arrays(ours, theirs):
        found.append("the states")
    if not same_snapshots(run, other):
        found.append("the snapshots")
    if rows_of(run) != rows_of(other):
        found.append("the rows of metrics.jsonl")
    if not np.array_equal(sums_of(run), sums_of(other)):
        found.append("history.f8")
    return found
