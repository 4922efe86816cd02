"""A store and its runs: names, states, locks, rows, snapshots and labels, and what is refused."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from icm.config import RunConfig
from icm.files import PROJECT, FileError
from icm.runs.errors import RunBusy, RunIdError, StoreError
from icm.runs.run import Run
from icm.runs.status import STALLED_AFTER
from icm.runs.store import RunStore


@pytest.fixture
def run(store: RunStore, tiny: RunConfig) -> Run:
    return store.create("one", tiny, {"command": "none"})


@pytest.mark.parametrize(
    "run_id",
    ["../one", "..", "", "One", "a/b", "a\\b", "/etc", "-one", ".one", "a" * 62, "one\n", "a b", "ä"],
)
def test_a_run_id_cannot_leave_the_store(store: RunStore, tiny: RunConfig, run_id: str) -> None:
    with pytest.raises(RunIdError):
        store.create(run_id, tiny, {})
    with pytest.raises(RunIdError):
        store.open(run_id)


def test_a_link_out_of_the_store_is_no_run(store: RunStore, run: Run, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (store.root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(RunIdError, match="is a link out of"):
        store.open("link")


def test_a_name_is_taken_once(store: RunStore, run: Run, tiny: RunConfig) -> None:
    with pytest.raises(StoreError, match="'one' exists already"):
        store.create("one", tiny, {})


def test_an_unknown_run_is_refused_with_what_there_is(store: RunStore, run: Run) -> None:
    with pytest.raises(StoreError, match=r"no run 'two' under .*; known: one"):
        store.open("two")


def test_a_run_gives_back_what_was_written(store: RunStore, run: Run, tiny: RunConfig) -> None:
    assert store.open("one").config() == tiny
    assert store.open("one").environment()["command"] == "none"
    assert [each.id for each in store.runs()] == ["one"]


def test_states_follow_the_lock_and_the_heartbeat(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write_status("competing", 5, 60)
    assert run.state() == "crashed"  # nobody holds the lock
    with run.trainer.locked():
        assert run.state() == "running"
        run.write_status("preparing", 0, 60)
        assert run.state() == "preparing"
        later = time.time() + STALLED_AFTER + 1
        monkeypatch.setattr("icm.runs.status.time.time", lambda: later)
        assert run.state() == "stalled"
    for phase in ("stopped", "finished"):
        run.write_status(phase, 60, 60)
        assert run.state() == phase


def test_only_one_trainer_has_the_lock(run: Run) -> None:
    with run.trainer.locked(), pytest.raises(RunBusy, match="already being trained"), run.trainer.locked():
        pass
    assert not run.trainer.is_alive()


def test_looking_whether_a_run_lives_never_keeps_a_trainer_out(run: Run) -> None:
    done = threading.Event()
    watchers = [
        threading.Thread(target=lambda: [run.trainer.is_alive() for _ in iter(done.is_set, True)])
        for _ in range(4)
    ]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(20):
            with run.trainer.locked():
                pass
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


def test_a_row_that_is_being_written_is_not_read(run: Run) -> None:
    assert run.rows.read() == []
    run.rows.replace([])
    run.rows.append({"step": 1})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2')
    assert run.rows.read() == [{"step": 1}]


def test_rows_past_the_resumed_step_are_dropped(run: Run) -> None:
    run.rows.replace([])
    for step in (1, 2, 3):
        run.rows.append({"step": step})
    run.rows.replace(run.rows.lines()[:2])
    run.rows.append({"step": 3, "again": True})
    assert run.rows.read() == [{"step": 1}, {"step": 2}, {"step": 3, "again": True}]


def test_snapshots_come_back_and_an_unknown_step_lists_the_known(run: Run) -> None:
    arrays = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "clock": np.array([4, 5])}
    run.snapshots.save(50, arrays)
    run.snapshots.save(0, arrays)
    assert run.snapshots.steps() == [0, 50]
    found = run.snapshots.read(50)
    assert found.keys() == arrays.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, arrays[name], strict=True)
    with pytest.raises(StoreError, match="no snapshot of step 7; known: 0, 50"):
        run.snapshots.read(7)


def test_the_newest_two_states_are_kept(run: Run) -> None:
    assert run.states.steps() == []
    for step in (10, 20, 30):
        run.states.save(step, {"step": np.array([step])})
    assert sorted(path.name for path in (run.folder / "state").iterdir()) == [
        "step_000020.safetensors",
        "step_000030.safetensors",
    ]
    assert run.states.read(30)["step"] == 30


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_file_is_noticed(run: Run, damage: str) -> None:
    run.snapshots.save(1, {"weight": np.ones(100, dtype=np.float32)})
    path = run.folder / "snapshots" / "step_000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-40])
    with pytest.raises(
        FileError, match=r"(damaged|cannot be read).*; take another snapshot, or put back a copy"
    ):
        run.snapshots.read(1)


def test_an_unreadable_run_says_so_in_a_sentence(store: RunStore, run: Run) -> None:
    (run.folder / "config.json").write_text("{")
    with pytest.raises(FileError, match=r"one/config\.json cannot be read"):
        run.config()
    (run.folder / "config.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(StoreError, match="run one: config schema is 99"):
        run.config()


def test_the_source_knows_no_pickle() -> None:
    sources = (PROJECT / "icm").rglob("*.py")
    assert not [path for path in sources if "pickle" in path.read_text() or "torch.save" in path.read_text()]


def test_a_label_is_one_short_line_and_the_run_id_stays(run: Run) -> None:
    assert run.label == run.id
    run.rename("  two\nlines  ")
    assert (run.label, run.id) == ("two lines", "one")
    with pytest.raises(StoreError, match="61 characters"):
        run.rename("x" * 61)
    run.rename("")
    assert run.label == run.id


def test_more_steps_make_a_finished_run_one_to_resume(run: Run) -> None:
    steps = run.config().training.steps
    run.write_status("finished", steps, steps)
    created = run.created
    run.extend(steps + 5)
    assert run.created == pytest.approx(created, abs=1e-3)
    assert run.config().training.steps == steps + 5
    assert (run.state(), run.status().step, run.status().of) == ("stopped", steps, steps + 5)
    with pytest.raises(StoreError, match="are not more"):
        run.extend(steps + 5)


def test_a_run_that_is_being_trained_is_neither_deleted_nor_extended(run: Run) -> None:
    with FileLock(run.folder / "lock"):
        with pytest.raises(RunBusy):
            run.delete()
        with pytest.raises(RunBusy):
            run.extend(10_000)
    run.delete()
    assert not run.folder.exists()


def test_the_run_that_ships_with_the_project_stays(store: RunStore, tiny: RunConfig) -> None:
    shipped = store.create("pretrained", tiny, {})
    with pytest.raises(StoreError, match="ships with the project"):
        shipped.delete()
    with pytest.raises(StoreError, match="train one like it"):
        shipped.extend(10_000)
    assert shipped.folder.exists()
