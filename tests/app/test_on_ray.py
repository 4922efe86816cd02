"""A study on Ray, on this machine: a worker and its trainer are killed in the middle, nothing is lost, and the result is as without."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from icm.errors import ActionableError
from icm.files import PROJECT
from icm.jobs import on_ray
from icm.jobs.study import Study, StudyError
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.test_study import words


def result_of(folder: Path) -> dict[str, Any]:
    """The file of results without how long each run took."""
    result = json.loads((folder / "smoke.json").read_text())
    for run in result["variants"]["tiny"]["runs"]:
        del run["seconds"]
    return result


def kill_worker_of(run: Run) -> None:
    """Kills the trainer of the run and the worker that waits for it, as a machine that loses its power would."""
    # Other tests train runs of the same name elsewhere, at the same time.
    words = f"icm resume {run.id} --store {run.folder.parent} "
    (trainer,) = (
        each for each in psutil.process_iter(["cmdline"]) if words in " ".join(each.info["cmdline"] or [])
    )
    worker = trainer.parent()
    assert worker is not None
    assert "ray::" in " ".join(worker.cmdline())
    worker.kill()
    trainer.kill()


def test_a_lost_worker_loses_nothing_and_the_result_is_the_same_as_without_ray(
    store: RunStore, root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folders = {on: tmp_path / on for on in ("local", "ray")}
    here = RunStore(tmp_path / "here")
    subprocess.run(words(here, root, folders["local"], "0:2"), cwd=PROJECT, check=True)

    study = subprocess.Popen(words(store, root, folders["ray"], "0:2", "ray"), cwd=PROJECT, text=True)
    while not (training := [run for run in store.runs() if run.states.steps() and run.trainer.is_alive()]):
        assert study.poll() is None
        time.sleep(0.02)
    kill_worker_of(training[0])
    assert study.wait(timeout=180) == 0
    assert result_of(folders["ray"]) == result_of(folders["local"])
    assert [path.name for path in store.root.iterdir() if path.name.startswith(".stop")] == []


def test_where_ray_is_not_installed_it_is_said_how(
    store: RunStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(on_ray, "import_module", missing)
    with (
        pytest.raises(
            StudyError, match=r"Ray is not installed; install it with pip install -r requirements-ray\.txt"
        ),
        on_ray.tasks(Study("smoke", [1], store, root), "ray", workers=1),
    ):
        pass


class TaskError(Exception):
    """As Ray's own, it has the error that a task ended with."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"a traceback, then {cause}")
        self.cause = cause


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a Ray was begun with that starts nothing. As the real one it takes SIGTERM for itself."""
    words: dict[str, Any] = {}

    def init(**given: Any) -> None:
        words.update(given)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    ray = SimpleNamespace(
        init=init,
        shutdown=lambda: None,
        remote=lambda **_: lambda task: task,
        exceptions=SimpleNamespace(RayTaskError=TaskError),
    )
    monkeypatch.setattr(on_ray, "import_module", lambda _: ray)
    return words


def test_a_study_in_a_new_store_is_stopped_by_its_file_and_by_the_signals_that_it_caught(
    root: Path, tmp_path: Path, begun: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICM_MECHANISMS", "mine.py")
    store, before = RunStore(tmp_path / "new"), signal.getsignal(signal.SIGTERM)
    with on_ray.tasks(Study("smoke", [1], store, root, asked_to_stop=lambda: True), "ray", workers=1):
        assert signal.getsignal(signal.SIGTERM) == before
        assert begun["runtime_env"]["env_vars"]["ICM_MECHANISMS"] == "mine.py"
        deadline = time.monotonic() + 10
        while not [name for name in os.listdir(store.root) if name.startswith(".stop")]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert os.listdir(store.root) == []


def test_a_mistake_of_ours_in_a_task_keeps_its_traceback(
    store: RunStore, root: Path, begun: dict[str, Any]
) -> None:
    for cause, kind, said in (
        (ActionableError("the disk is full"), StudyError, "^the disk is full$"),
        (TypeError("ours"), TaskError, "a traceback, then ours"),
    ):
        with (
            pytest.raises(kind, match=said),
            on_ray.tasks(Study("smoke", [1], store, root), "ray", workers=1),
        ):
            raise TaskError(cause)
