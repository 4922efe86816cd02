"""Processes that a page starts: a fetch can be stopped and its last words reach the page, a trainer's mistake reaches its log."""

import errno
import os
import tempfile
import time
from pathlib import Path

import pytest

from icm.config import RunConfig
from icm.files import PROJECT, FileError
from icm.jobs import launch, pace, process
from icm.jobs.fetch import Fetch, _bytes_under, start_fetch
from icm.runs.store import RunStore


def ended(fetch: Fetch) -> Fetch:
    deadline = time.monotonic() + 60
    while fetch.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return fetch


def test_a_fetch_that_fails_says_why(store: RunStore, tmp_path: Path) -> None:
    fetch = ended(start_fetch("nowhere", tmp_path))
    assert fetch.failed
    assert fetch.last_words().startswith("unknown set 'nowhere'; known: mnist, omniglot, fashion, usps")


def test_a_fetch_that_is_cancelled_has_not_failed(store: RunStore, tmp_path: Path) -> None:
    fetch = start_fetch("omniglot", tmp_path)
    fetch.cancel()
    assert not ended(fetch).failed


def test_what_has_come_so_far_is_counted_from_the_start(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(bytes(3_000_000))
    fetch = start_fetch("nowhere", tmp_path)
    assert fetch.megabytes() == 0
    (tmp_path / "part").write_bytes(bytes(2_500_000))
    assert fetch.megabytes() == 2.5
    ended(fetch)


def test_where_no_log_can_be_written_that_is_said_in_a_sentence(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(FileError, match=r"cannot be written \(No space left on device\); free some space"):
        pace.start_timing(store, tmp_path)


def test_a_job_leaves_nothing_in_the_folder_for_temporary_files(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    fetch = start_fetch("nowhere", tmp_path)
    assert fetch.last_words() == ""
    assert ended(fetch).last_words().startswith("unknown set 'nowhere'")
    assert not list((tmp_path / "temporary").iterdir())


def test_a_folder_that_goes_while_its_files_are_counted_is_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").write_bytes(bytes(1000))
    (tmp_path / "part").mkdir()
    scan = os.scandir

    def scanned_late(path: str) -> object:
        if os.path.basename(path) == "part":
            os.rmdir(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scanned_late)
    assert _bytes_under(tmp_path) == 1000


def test_a_mistake_of_ours_keeps_its_traceback_in_the_log(
    store: RunStore, root: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer is a real process, in which one function has a mistake."""
    (tmp_path / "sitecustomize.py").write_text(
        "import icm.jobs.trainer\n"
        "def mistake(*_): raise TypeError('a mistake of ours')\n"
        "icm.jobs.trainer.judge = mistake\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PROJECT)]))
    run = launch.create(store, "one", tiny, root, command="a test")
    launch.start(run, root)
    assert process.children[-1].wait(timeout=60) == 1
    text = run.log_tail(100)
    assert "Traceback" in text
    assert text.endswith("TypeError: a mistake of ours")
    assert (run.status().phase, run.status().message) == ("failed", "a mistake of ours")
