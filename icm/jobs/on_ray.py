"""The runs of a study as tasks of Ray: on this machine, or on a cluster whose machines share the folders of project, store and images.

A task whose worker is lost is done again, by another worker. The run goes on from its newest state, as after any crash, or, where its
trainer has outlived the worker, just goes on. How a run is computed does not depend on who waits for it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from icm import files
from icm.errors import ActionableError
from icm.jobs.study import LOOK, Finding, Study, StudyError, Submit
from icm.runs.store import RunStore

MISSING = "Ray is not installed; install it with pip install -r requirements-ray.txt, or leave --on away"


@contextmanager
def tasks(study: Study, address: str, workers: int) -> Iterator[Submit]:
    """What settles a run of the study as a task. `address` is `ray` for `workers` processes here, or that of a cluster, ray://….

    When the study is to stop, a file in the store tells the tasks, wherever they are: their runs are saved and stopped."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its makers
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise StudyError(MISSING) from error
    where = (
        {"address": "local", "num_cpus": workers, "include_dashboard": False}
        if address == "ray"
        else {"address": address}
    )
    variables = {name: value for name, value in os.environ.items() if name.startswith("ICM_")}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    study.store.make_root()
    try:
        ray.init(
            **where,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {**variables, "PYTHONPATH": str(files.PROJECT)}},
        )
    except Exception as error:  # each of its reasons has a class of its own
        raise StudyError(f"Ray at {address!r} cannot be reached: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own ends this process before the runs are saved
    task = ray.remote(num_cpus=1, max_retries=-1)(settle)
    stop, ended = study.store.root / f".stop-{uuid4().hex}", threading.Event()
    watcher = threading.Thread(target=_pass_on, args=(study.is_stopping, stop, ended), daemon=True)
    watcher.start()

    places = str(study.store.root.resolve()), str(study.root.resolve()), str(stop.resolve())
    submitted: list[Future[Finding]] = []

    def submit(variant: str, seed: int) -> Future[Finding]:
        submitted.append(task.remote(study.name, variant, seed, *places).future())
        return submitted[-1]

    try:
        yield submit
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, ActionableError):
            raise
        raise StudyError(str(error.cause)) from error
    finally:
        study.over.set()
        wait(submitted)  # the tasks save and stop their runs
        ended.set()
        watcher.join()
        ray.shutdown()
        with suppress(OSError):
            stop.unlink()


def settle(name: str, variant: str, seed: int, store: str, root: str, stop: str) -> Finding:
    """On a worker: trains and measures a run, unless the file `stop` appears."""
    study = Study(name, [seed], RunStore(Path(store)), Path(root), [variant], Path(stop).exists)
    return study.settle(variant, seed)


def _pass_on(is_stopping: Callable[[], bool], stop: Path, ended: threading.Event) -> None:
    """Makes the file `stop` once the study is to stop."""
    while not ended.wait(LOOK):
        if is_stopping():
            stop.touch()
            return
