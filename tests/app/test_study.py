"""A study trains and measures its runs in real processes, goes on where it was interrupted, and sums up what it found."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icm.cli import studies as command
from icm.cli.words import UsageError
from icm.files import PROJECT, FileError
from icm.jobs import process
from icm.jobs.studies import UnknownStudy, studies
from icm.jobs.study import (
    Finding,
    Study,
    StudyError,
    config_hash,
    on_lines,
    seconds_left,
    summary,
    threads,
    write_results,
)
from icm.presets import preset
from icm.runs.run import Run
from icm.runs.store import RUN_ID, RunStore


def words(store: RunStore, root: Path, out: Path, seeds: str, on: str = "local") -> list[str]:
    places = ["--store", str(store.root), "--data-root", str(root), "--out", str(out)]
    how = ["--seeds", seeds, "--workers", "2", "--on", on]
    return [sys.executable, "-m", "icm", "study", "smoke", *how, *places]


def settle_all(study: Study) -> None:
    with threads(study, workers=1) as submit:
        list(study.run(submit, workers=1))


@pytest.mark.parametrize("on", ["local", "ray"])
def test_a_study_that_was_interrupted_goes_on_and_sums_up_every_seed(
    store: RunStore, root: Path, tmp_path: Path, on: str
) -> None:
    if on == "ray":
        pytest.importorskip("ray")
    study = subprocess.Popen(
        words(store, root, tmp_path, "0:3", on), cwd=PROJECT, stderr=subprocess.PIPE, text=True
    )
    while not any(run.rows.lines() for run in store.runs()):
        assert study.poll() is None
        time.sleep(0.05)
    os.kill(
        study.pid, signal.SIGTERM if on == "ray" else signal.SIGINT
    )  # Ray has a handler for it, which ours replaces
    _, told = study.communicate(timeout=120)
    assert (study.returncode, told.splitlines()[-1]) == (
        1,
        "icm: the study was interrupted; the same command goes on with it",
    )
    assert not any(run.trainer.is_alive() for run in store.runs())
    assert not (tmp_path / "smoke.json").exists()
    began = {run.id: run.created for run in store.runs()}

    done = subprocess.run(
        words(store, root, tmp_path, "0:3", on), cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("one-to-one, from") == 3
    assert {run.id: run.created for run in store.runs()}.items() >= began.items()
    assert {run.state() for run in store.runs()} == {"finished"}
    result = json.loads((tmp_path / "smoke.json").read_text())
    tiny = result["variants"]["tiny"]
    assert [each["seed"] for each in tiny["runs"]] == [0, 1, 2]
    assert tiny["summary"]["runs"] == 3
    assert {each["threads"] for each in tiny["runs"]} == {1}
    for each in tiny["runs"]:
        assert each["curves"].keys() == {"builtin", "alphabets"}
        steps = store.open(each["run"]).snapshots.steps()
        assert {curve["step"] == steps for curve in map(dict, each["curves"].values())} == {True}
        assert len(each["curves"]["builtin"]["read_restored"]) == len(steps)
        np.testing.assert_allclose(np.sum([each["won"], each["won_first"]], axis=2), 1, atol=0.01)
        assert {name: len(counts) for name, counts in each["diagnosed"].items()} == {
            "idle": 3,
            "overloaded": 3,
            "duplicates": 3,
        }

    # What is finished is neither run nor measured again.
    before = {path: path.stat().st_mtime_ns for path in store.root.glob("smoke-*/*.json*")}
    subprocess.run(
        words(store, root, tmp_path, "0:3", on), cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert {path: path.stat().st_mtime_ns for path in store.root.glob("smoke-*/*.json*")} == before


def test_a_run_of_that_name_with_other_settings_is_not_taken_for_one_of_the_study(
    store: RunStore, root: Path
) -> None:
    config = replace(preset("tiny"), source="builtin", device="cpu")
    store.create("smoke-tiny-s5", replace(config, seed=5, mechanisms=("right=3",)), {})
    with pytest.raises(
        StudyError, match=r"run smoke-tiny-s5 .* has other settings .* choose another --store"
    ):
        settle_all(Study("smoke", [5], store, root))
    assert config_hash(replace(config, seed=1)) == config_hash(replace(config, seed=2, device="auto"))


@pytest.mark.parametrize(
    ("fate", "said"),
    [
        ("stopped", "run smoke-tiny-s4 was stopped by somebody; the same command goes on"),
        (
            "crashed",
            r"run smoke-tiny-s4: its process was ended by signal 9 \(Killed\); the same command goes",
        ),
    ],
)
def test_a_run_that_somebody_stops_or_kills_ends_the_study_and_not_with_a_finding(
    store: RunStore, root: Path, monkeypatch: pytest.MonkeyPatch, fate: str, said: str
) -> None:
    study = Study("smoke", [4], store, root)
    train = study._train

    def ended_at_once(run: Run) -> None:
        end = run.trainer.request_stop if fate == "stopped" else lambda: process.children[-1].kill()
        threading.Timer(0.0, lambda: wait_and(end, run)).start()
        train(run)

    monkeypatch.setattr(study, "_train", ended_at_once)
    with pytest.raises(StudyError, match=said):
        settle_all(study)
    (run,) = store.runs()
    assert run.state() == fate
    assert not (run.folder / "measured.json").exists()
    assert run.log.exists()


def wait_and(end: Callable[[], None], run: Run) -> None:
    while not (run.trainer.is_alive() and run.rows.lines()):
        time.sleep(0.01)
    end()


def test_a_run_that_was_measured_otherwise_is_measured_again(
    store: RunStore, root: Path, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning on standard error is no part of what is found."""
    (tmp_path / "sitecustomize.py").write_text("import sys; print('a warning', file=sys.stderr)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PROJECT)]))
    measured = store.root / "smoke-tiny-s0" / "measured.json"
    finished.folder.rename(measured.parent)
    study = Study("smoke", [0], store, root)
    measured.write_text(
        '{"routing_accuracy": 0.5}'
    )  # of an earlier version, which did not say how it was asked
    assert study._finished() == 0

    found = study.settle("tiny", 0)
    assert found.curves is not None
    assert found.curves.keys() == {"builtin", "alphabets"}
    assert study._finished() == 1
    said = json.loads(measured.read_text())
    measured.write_text(json.dumps({**said, "asked": [*said["asked"][:-1], "8"]}))
    assert study._finished() == 0
    measured.write_text("{")
    with pytest.raises(
        FileError, match=r"measured\.json .*; delete it, and the same command measures the run"
    ):
        study.settle("tiny", 0)


def test_images_that_a_study_lacks_are_told_with_a_remedy_that_it_has(store: RunStore, root: Path) -> None:
    with pytest.raises(StudyError, match=r"study robust: no mnist under .*; run `python -m icm data mnist`$"):
        settle_all(Study("robust", [0], store, root))
    assert not store.runs()


def test_an_unknown_study_is_told_the_known_ones(store: RunStore, root: Path) -> None:
    with pytest.raises(UnknownStudy, match="unknown study 'rubost'; known: smoke, robust"):
        Study("rubost", [1], store, root)
    with pytest.raises(UnknownStudy, match="study quick has no variant 'usps'; known: mnist, builtin"):
        Study("quick", [1], store, root, only=["usps"])
    assert [variant for variant, _ in Study("quick", [1, 2], store, root, only=["mnist"]).plan] == [
        "mnist"
    ] * 2


def test_every_run_of_every_study_has_a_name_that_the_store_takes(store: RunStore) -> None:
    for name in studies():
        for variant, seed in Study(name, [2**31], store, store.root).plan:
            assert RUN_ID.fullmatch(f"{name}-{variant}-s{seed}"), (name, variant)


@pytest.mark.parametrize(
    ("said", "seeds"), [("0:3", [0, 1, 2]), ("7", [7]), ("3,7,11", [3, 7, 11]), ("100:102", [100, 101])]
)
def test_seeds_are_a_range_or_a_list(said: str, seeds: list[int]) -> None:
    assert command.seeds_of(said) == seeds


@pytest.mark.parametrize("said", ["", "3:3", "a:b", "1,1", "-1,2", "1;2"])
def test_seeds_that_are_none_are_told(said: str) -> None:
    with pytest.raises(UsageError, match=r"--seeds is .*; use a range such as 0:20"):
        command.seeds_of(said)


@pytest.mark.parametrize("said", ["0:9999999999", "0:1" + 30 * "0"])
def test_more_seeds_than_anybody_can_wait_for_are_refused_at_once(said: str) -> None:
    with pytest.raises(UsageError, match=f"--seeds is '{said}'; use at most 10,000 seeds"):
        command.seeds_of(said)


def found_in(seed: int) -> Finding:
    run = f"smoke-tiny-s{seed}"
    return Finding("tiny", run, seed, True, 100, 0.9, 20.0, 10.0, 1, 0, "2026-11-26", "two cores", "float32")


def test_a_study_on_another_machine_adds_its_seeds_to_the_same_file(tmp_path: Path) -> None:
    write_results("smoke", [found_in(0), found_in(1)], tmp_path)
    again = replace(found_in(1), psnr=22.0)
    tiny = write_results("smoke", [again, found_in(2)], tmp_path)["variants"]["tiny"]
    assert [(each["seed"], each["psnr"]) for each in tiny["runs"]] == [(0, 20.0), (1, 22.0), (2, 20.0)]
    assert tiny["summary"]["runs"] == 3

    # Runs with other settings are none of this study's.
    file = tmp_path / "smoke.json"
    file.write_text(file.read_text().replace(tiny["config_hash"], "0" * 12))
    other = write_results("smoke", [found_in(2)], tmp_path)["variants"]["tiny"]
    assert [each["seed"] for each in other["runs"]] == [2]

    file.write_text('{"variants": {"tiny": 3}}')
    with pytest.raises(StudyError, match=r"smoke.json holds no results of a study .*; move it away"):
        write_results("smoke", [found_in(0)], tmp_path)


def test_studies_that_end_at_the_same_time_all_add_their_seeds(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: write_results("smoke", [found_in(seed)], tmp_path), range(4)))
    runs = json.loads((tmp_path / "smoke.json").read_text())["variants"]["tiny"]["runs"]
    assert [each["seed"] for each in runs] == [0, 1, 2, 3]


def test_results_have_each_list_of_numbers_on_one_line() -> None:
    result = {"runs": [{"won": [[0.5, -1e-05], [1, 2]], "words": ["a", "b"], "none": []}]}
    said = on_lines(result)
    assert json.loads(said) == result
    assert "[0.5, -1e-05]" in said
    assert "[1, 2]" in said


def test_a_summary_counts_a_run_that_never_got_there_as_infinitely_late() -> None:
    found = [
        replace(found_in(seed), one_to_one=one, first_step=first, psnr=psnr, surplus=seed)
        for seed, (one, first, psnr) in enumerate([(True, 100, 20.0), (True, 200, 21.0), (False, None, 19.0)])
    ]
    said = summary(found)
    assert (said["one_to_one"], said["runs"], said["first_step_median"]) == (2, 3, 200.0)
    assert said["one_to_one_without_surplus"] == 1
    assert said["first_step_median_interval"] is None
    assert said["one_to_one_interval"] == [0.208, 0.939]  # Wilson's for 2 of 3
    assert (said["psnr_mean"], said["psnr_least"]) == (20.0, 19.0)
    low, high = said["psnr_mean_interval"]
    assert 19.0 <= low < 20.0 < high <= 21.0
    assert summary(found[1:] * 3)["first_step_median"] is None


def test_the_time_left_counts_rounds_of_as_many_runs_as_there_are_workers() -> None:
    assert seconds_left(elapsed=600.0, ended=0, remaining=20, workers=2) is None
    assert seconds_left(elapsed=600.0, ended=1, remaining=19, workers=2) == 10 * 600
    assert seconds_left(elapsed=600.0, ended=2, remaining=18, workers=2) == 9 * 600
    assert seconds_left(elapsed=1800.0, ended=5, remaining=0, workers=2) == 0
