"""The index of runs is correct after every change, and cheap where nothing changed."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from icm.config import RunConfig
from icm.runs import index
from icm.runs.index import RunIndex
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import train


def test_an_index_shows_what_each_run_says_of_itself(store: RunStore, run: Run, root: Path) -> None:
    train(run, root)
    run.rename("mine")
    (found,) = RunIndex(store).look()
    assert (found.run.id, found.label, found.state, found.last_step) == ("one", "mine", "finished", 12)
    assert found.config == run.config()
    assert found.trained
    assert found.seconds > 0
    assert found.created == run.created


def test_every_change_is_seen_at_the_next_look(store: RunStore, short: RunConfig, root: Path) -> None:
    runs = RunIndex(store)
    assert runs.look() == []
    run = store.create("one", short, {})
    (found,) = runs.look()
    assert (found.state, found.trained, found.one_to_one) == ("starting", False, None)
    train(run, root, stop_at=6)
    (found,) = runs.look()
    assert (found.state, found.last_step, found.trained) == ("stopped", 6, True)
    with run.trainer.starting():
        assert runs.look()[0].state == "starting"
    with run.trainer.locked():
        run.write_status("competing", 7, 12)
        assert runs.look()[0].state == "running"
    assert runs.look()[0].state == "crashed"
    run.rename("mine")
    assert runs.look()[0].label == "mine"
    store.create("two", replace(short, seed=3), {})
    assert [each.run.id for each in runs.look()] == ["two", "one"]  # newest first
    store.open("two").delete()
    assert [each.run.id for each in runs.look()] == ["one"]


def test_a_configuration_edited_in_its_place_is_seen(store: RunStore, run: Run) -> None:
    runs = RunIndex(store)
    assert runs.look()[0].config == run.config()
    path = run.folder / "config.json"
    text = path.read_text()
    path.write_text(json.dumps({**json.loads(text), "seed": 7}))
    assert runs.look()[0].config == replace(run.config(), seed=7)
    path.write_text("[]")
    assert runs.look()[0].config is None
    path.write_text(text)
    assert runs.look()[0].config == run.config()


def test_a_run_that_stalls_is_seen_though_no_file_changes(
    store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = RunIndex(store)
    with run.trainer.locked():
        run.write_status("competing", 7, 12)
        assert runs.look()[0].state == "running"
        later = time.time() + 60
        monkeypatch.setattr("icm.runs.status.time.time", lambda: later)
        assert runs.look()[0].state == "stalled"


def test_a_look_reads_the_files_of_those_runs_alone_that_changed(
    store: RunStore, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, root)
    for number in range(20):
        shutil.copytree(run.folder, store.root / f"copy-{number}")
    runs = RunIndex(store)
    runs.look()
    read: list[str] = []
    real = index._read
    monkeypatch.setattr(index, "_read", lambda each: read.append(each.id) or real(each))
    assert len(runs.look()) == 21
    assert read == []
    store.open("copy-7").rename("changed")
    assert len(runs.look()) == 21
    assert read == ["copy-7"]


def test_links_are_not_listed(store: RunStore, run: Run, tmp_path: Path) -> None:
    outside = Path(shutil.copytree(run.folder, tmp_path / "outside"))
    os.symlink(outside, store.root / "linked")
    assert [each.run.id for each in RunIndex(store).look()] == ["one"]
