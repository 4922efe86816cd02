"""Makes a run, and starts and stops its trainer: a process of its own, which outlives the page, the tab and the server."""

import contextlib
import os
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO

from icm import files
from icm.config import RunConfig
from icm.errors import ActionableError
from icm.images.digits import resolve_source
from icm.images.mechanisms import parse
from icm.jobs.process import begin
from icm.method.engine import choose_device
from icm.runs.errors import RunBusy, StoreError
from icm.runs.run import SHIPPED, Run
from icm.runs.store import RunStore

START_TIMEOUT = 30.0  # seconds until the trainer must hold its lock


def create(store: RunStore, run_id: str, config: RunConfig, root: Path, command: str) -> Run:
    """Makes a new run and does not start it. ConfigError, DataError, DeviceError or StoreError when it cannot be run here.

    Its config.json names the source and the device that `auto` stands for here."""
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
    """Starts a trainer process that begins or resumes `run`, and waits until it holds the lock.

    RunBusy when the run has a trainer or is being started, StoreError when the new one fails or takes over `START_TIMEOUT` s."""
    run.refuse_shipped()
    with run.trainer.starting():
        if run.trainer.is_alive():
            raise RunBusy(f"run {run.id} is already being trained")
        run.trainer.clear_stop()  # it was meant for a trainer that was killed; from now on a stop is meant for this one
        with log_of(run) as log:
            process = begin(["resume", run.id], run.folder.parent, root, log)
        deadline = time.monotonic() + START_TIMEOUT
        while not run.trainer.is_alive():
            if process.poll() is not None and process.returncode != 0:
                raise _not_started(run, f"could not be started: {run.log_tail(1)}")
            if process.returncode == 0:
                return  # done before we looked
            if time.monotonic() > deadline:
                process.terminate()
                raise _not_started(run, f"did not start within {START_TIMEOUT:g} s; see {run.log}")
            time.sleep(0.02)


def _not_started(run: Run, words: str) -> StoreError:
    """Returns the error to raise. A run that never began is also marked as failed: otherwise it would be shown as starting."""
    with contextlib.suppress(ActionableError), run.trainer.locked():
        if run.status().phase == "created":
            run.write_status("failed", 0, run.status().of, words)
    return StoreError(f"run {run.id} {words}")


def log_of(run: Run) -> IO[bytes]:
    """The run's log, open for a trainer that adds to it."""
    with files.on_disk(run.log, "opened"):
        return os.fdopen(
            os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | files.NO_LINK, 0o666), "ab"
        )


def stop(run: Run, timeout: float) -> None:
    """Asks the trainer to save and stop, and waits until it has. StoreError when there is none, or after `timeout` seconds."""
    if not run.trainer.is_alive():
        raise StoreError(f"run {run.id} is not being trained")
    run.trainer.request_stop()
    deadline = time.monotonic() + timeout
    while run.trainer.is_alive():
        if time.monotonic() > deadline:
            raise StoreError(f"run {run.id} has not stopped within {timeout:g} s; the request stands")
        time.sleep(0.05)
