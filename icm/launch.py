"""Makes a run, and starts and stops it as a process of its own, which outlives the page, the tab and the server."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

import psutil
import torch

from icm import files
from icm.config import RunConfig
from icm.data import resolve_source
from icm.errors import ActionableError
from icm.mechanisms import parse
from icm.models import choose_device
from icm.store import SHIPPED, Run, RunBusy, RunStore, StoreError, store_root

START_TIMEOUT = 30.0  # seconds until the trainer must hold its lock
PROJECT = Path(__file__).parents[1]

_children: list[subprocess.Popen[bytes]] = []


def create(store: RunStore, run_id: str, config: RunConfig, root: Path, command: str) -> Run:
    """A new run, not started, after a look at its words; ConfigError, DataError, StoreError or DeviceError.

    What `auto` means here, for source and device, is settled and written down."""
    if run_id == SHIPPED:
        raise StoreError(
            f"{run_id} is the name of the run that ships with the project; choose another --run-id"
        )
    parse(config.mechanisms)
    device, source = choose_device(config.device).type, resolve_source(config.source, root)
    config = replace(config, source=source, device=device)
    return store.create(run_id, config, {"command": command})


def new_run_id(config: RunConfig) -> str:
    """Preset, seed and time to the millisecond: two runs that are started one after the other differ."""
    now = datetime.now()
    return f"{config.preset}-s{config.seed}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


def start(run: Run, root: Path) -> None:
    """A trainer process for `run`, begun or resumed; RunBusy when there is one, StoreError when it dies at once."""
    run.refuse_shipped()
    with run.starting():
        if run.is_alive():
            raise RunBusy(f"run {run.id} is already being trained")
        run.clear_stop()  # of a trainer that was killed; whoever asks from now on means this one
        with _log_of(run) as log:
            process = _begin(["resume", run.id], run.folder.parent, root, log)
        deadline = time.monotonic() + START_TIMEOUT
        while not run.is_alive():
            if process.poll() is not None and process.returncode != 0:
                raise _not_started(run, f"could not be started: {run.log_tail(1)}")
            if process.returncode == 0:
                return  # done before we looked
            if time.monotonic() > deadline:
                process.terminate()
                raise _not_started(run, f"did not start within {START_TIMEOUT:g} s; see {run.log}")
            time.sleep(0.02)


def _not_started(run: Run, words: str) -> StoreError:
    """The error to raise; a run that was never begun says so too, instead of being on its way."""
    with contextlib.suppress(ActionableError), run.locked():
        if run.status().phase == "created":
            run.write_status("failed", 0, run.status().of, words)
    return StoreError(f"run {run.id} {words}")


def _log_of(run: Run) -> IO[bytes]:
    with files.on_disk(run.log, "opened"):
        return os.fdopen(
            os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | files.NO_LINK, 0o666), "ab"
        )


def _begin(words: list[str], store: Path, root: Path, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """A command of this package as a process that outlives us."""
    reap()
    process = subprocess.Popen(
        [sys.executable, "-m", "icm", *words, "--store", str(store), "--data-root", str(root.resolve())],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    _children.append(process)
    return process


def devices() -> dict[str, str]:
    """Devices that can train here, and for each its name and free memory in words. Takes no memory on a GPU."""
    free = psutil.virtual_memory().available / 1e9
    found = {"cpu": f"cpu · {os.cpu_count()} cores, {free:.0f} GB free"}
    if torch.cuda.is_available():
        found["cuda"] = f"cuda · {_graphics_card()}"
    if torch.backends.mps.is_available():
        found["mps"] = "mps · Apple GPU"
    return found


def _graphics_card() -> str:
    """Asked of the driver's own tool: torch would open the card, and only the trainer should."""
    query = ["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
        name, free = done.stdout.splitlines()[0].rsplit(",", 1)
        return f"{name.strip()}, {float(free) / 1000:.0f} GB free"
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return torch.cuda.get_device_name()


@dataclass(frozen=True)
class Job:
    """A command of this package in a process of its own, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it ended by itself without doing its work; one that was cancelled has not failed."""
        return (self.process.poll() or 0) > 0

    def cancel(self) -> None:
        self.process.terminate()

    def last_words(self) -> str:
        """The last line it printed; empty when it printed nothing."""
        try:
            lines = self.log.read_text(errors="replace").split("\n")
        except OSError:  # somebody tidied up
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return said[-1].removeprefix("icm: ") if said else ""


def _start_job(words: list[str], store: Path, root: Path) -> Job:
    with files.on_disk(Path(tempfile.tempdir or "the folder for temporary files"), "written"):
        log = Path(tempfile.mkdtemp()) / "log.txt"
        output = log.open("wb")
    with output:
        return Job(_begin(words, store, root, output), log)


def start_timing(store: RunStore, root: Path) -> Job:
    """Times the presets in a process of its own; `store.durations()` has the result some ten seconds later."""
    return _start_job(["speed"], store.root, root)


@dataclass(frozen=True)
class Fetch(Job):
    """A set of images on its way here."""

    root: Path
    begun_with: int  # bytes under the root

    def megabytes(self) -> float:
        """Fetched so far."""
        return max(_bytes_under(self.root) - self.begun_with, 0) / 1e6


def start_fetch(name: str, root: Path) -> Fetch:
    """Fetches a set into `root` in a process of its own."""
    before = _bytes_under(root)
    job = _start_job(["data", name], store_root(), root)
    return Fetch(job.process, job.log, root, before)


def _bytes_under(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):  # a partial file may be renamed while we look
            total += path.stat().st_size
    return total


def stop(run: Run, timeout: float) -> None:
    """Asks the trainer to save and stop, and waits; StoreError when there is none, or it takes longer than `timeout` s."""
    if not run.is_alive():
        raise StoreError(f"run {run.id} is not being trained")
    run.request_stop()
    deadline = time.monotonic() + timeout
    while run.is_alive():
        if time.monotonic() > deadline:
            raise StoreError(f"run {run.id} has not stopped within {timeout:g} s; the request stands")
        time.sleep(0.05)


def reap() -> None:
    """Lets go of trainers that have ended, so that none stays behind as a zombie."""
    _children[:] = [child for child in _children if child.poll() is None]
