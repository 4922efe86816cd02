"""A study on Ray, on this machine: a worker and its trainer are killed in the middle, nothing is lost, and the result is as without."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

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
    status = f"resume {run.id}"
    (trainer,) = (
        each for each in psutil.process_iter(["cmdline"]) if status in " ".join(each.info["cmdline"] or [])
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
    deadline = time.monotonic() + 120
    while not (training := [run for run in store.runs() if run.states.steps() and run.trainer.is_alive()]):
        assert time.monotonic() < deadline
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
