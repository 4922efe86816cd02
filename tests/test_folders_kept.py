"""Only `create` makes a run's folder, a deletion leaves no husk, and nothing is written through a link."""

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.jobs import trainer
from icm.runs.errors import RunBusy, StoreError
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import content, train

# Only create makes a run's folder


@pytest.mark.parametrize("fate", ["deleted", "moved", "replaced"])
def test_a_trainer_whose_folder_is_gone_stops_and_writes_nowhere(
    store: RunStore, run: Run, root: Path, short: RunConfig, tmp_path: Path, fate: str
) -> None:
    with run.trainer.locked():
        events = trainer.train(run, root)
        while (event := next(events)) and (event.phase, event.step) != ("competing", 5):
            pass
        run.folder.rename(tmp_path / "elsewhere")
        if fate == "deleted":
            shutil.rmtree(tmp_path / "elsewhere")
        if fate == "replaced":
            store.create("one", short, {"command": "another"})
        before = content(run)
        with pytest.raises(ActionableError, match=r"removed or replaced|removed or moved away"):
            list(events)
    if fate == "replaced":
        assert content(run) == before
    else:
        assert not run.folder.exists()


def test_a_look_at_a_deleted_run_makes_nothing(store: RunStore, run: Run) -> None:
    run.delete()
    assert not run.trainer.is_alive()
    for act in (
        run.status,
        run.trainer.request_stop,
        lambda: run.trainer.locked().__enter__(),
        lambda: run.rename("x"),
    ):
        with pytest.raises(ActionableError):
            act()
    assert not run.folder.exists()


def test_a_folder_that_goes_while_it_is_looked_at_has_no_steps(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def scanned_late(path: Path) -> object:
        os.rmdir(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scanned_late)
    assert run.snapshots.steps() == []


def test_a_trainer_leaves_the_label_that_a_page_is_writing(run: Run) -> None:
    label, status = run.folder / ".label.txt.1-2.tmp", run.folder / ".status.json.1-2.tmp"
    label.touch()
    status.touch()
    run.prepare_folders()
    assert (label.exists(), status.exists()) == (True, False)


# No husks


def test_a_name_whose_making_was_interrupted_can_be_made(
    store: RunStore, short: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker is killed while it writes the first files, so nothing is cleaned up."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(Run, "write_status", killed)
        with pytest.raises(KeyboardInterrupt):
            store.create("two", short, {})
    assert not store.runs()
    store.create("two", short, {})
    assert [each.name for each in store.root.iterdir() if each.name not in (".lock", ".durations.json")] == [
        "two"
    ]


def test_a_husk_of_an_older_version_gives_its_name_back(store: RunStore, short: RunConfig) -> None:
    (store.root / "two").mkdir()
    (store.root / "two" / "start.lock").touch()
    (store.root / "two" / ".status.json.1234").touch()
    store.create("two", short, {})
    (store.root / "reader").mkdir()
    (store.root / "reader" / "card.json").write_text("{}")
    with pytest.raises(StoreError, match="'reader' exists already"):
        store.create("reader", short, {})


def test_a_deleted_run_has_no_name_before_it_has_no_content(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run.delete()
    assert not run.folder.exists()


def test_a_run_that_is_deleted_while_somebody_wants_its_name_gives_it_free(
    store: RunStore, run: Run, short: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_meanwhile(folder: Path, _: str) -> None:
        shutil.rmtree(folder)
        raise FileNotFoundError(folder / "snapshots")

    monkeypatch.setattr(Path, "rglob", deleted_meanwhile)
    again = store.create(run.id, replace(short, seed=5), {})
    assert again.config().seed == 5


def test_what_a_deletion_cannot_remove_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(StoreError, match=r"run one is deleted, but not all of .*\.gone-one.* can be removed"):
        run.delete()


def test_a_run_that_is_being_started_is_neither_deleted_nor_lengthened(run: Run) -> None:
    with run.trainer.starting():
        for act in (run.delete, lambda: run.extend(99)):
            with pytest.raises(RunBusy, match="already being started"):
                act()


# Links, and what else is no file


def test_a_link_inside_a_run_is_neither_read_nor_written_through(
    stopped: Run, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    for name in ("state", "snapshots"):
        shutil.move(stopped.folder / name, outside / name)
        (stopped.folder / name).symlink_to(outside / name)
    (outside / "state" / ".keep.tmp").touch()
    (outside / "secret").write_text("a secret")
    for name in ("label.txt", "log.txt"):
        (stopped.folder / name).symlink_to(outside / "secret")
    before = content(Run(outside))
    assert (stopped.states.steps(), stopped.snapshots.steps()) == ([], [])
    assert (stopped.label, stopped.log_tail(5)) == ("one", "")
    with pytest.raises(ActionableError, match=r"(state|snapshots) cannot be made .*a link lies where"):
        train(stopped, root)
    assert content(Run(outside)) == before


@pytest.mark.parametrize(
    "name",
    [
        "config.json", "status.json", "label.txt", "log.txt", "metrics.jsonl", "history.f8", "lock", "start.lock",
    ],
)  # fmt: skip
def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(store: RunStore, run: Run, name: str) -> None:
    run.rows.replace([])
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    for look in (
        run.config,
        run.status,
        lambda: run.label,
        lambda: run.log_tail(3),
        run.rows.read,
        run.trainer.is_alive,
        run.trainer.is_being_started,
        lambda: run_history(run, run.config()),
        store.runs,
    ):
        with contextlib.suppress(ActionableError):
            look()


def test_a_link_in_the_store_is_neither_listed_nor_touched(store: RunStore, run: Run, tmp_path: Path) -> None:
    outside = shutil.copytree(run.folder, tmp_path / "outside")
    (store.root / "link").symlink_to(outside)
    before = content(Run(outside))
    assert [each.id for each in store.runs()] == ["one"]
    with pytest.raises(StoreError, match="is a link"):
        store.open("link")
    (run.folder / "STOP").symlink_to(tmp_path / "outside" / "new")
    with pytest.raises(ActionableError, match="link"):
        run.trainer.request_stop()
    assert content(Run(outside)) == before
