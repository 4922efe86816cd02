"""Rows and states agree, whatever was lost or damaged, and a full disk costs no saved state."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from icm import files
from icm.config import RunConfig
from icm.files import FileError
from icm.runs.history import HistoryWriter, read_history
from icm.runs.records import RowShape, read_rows
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import content, icm, train

# Rows and states agree


def test_rows_are_on_disk_before_a_state_that_knows_them(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    flush, write = files.flush, files.write_arrays
    monkeypatch.setattr(files, "flush", lambda path: (calls.append(path.name), flush(path)))
    monkeypatch.setattr(
        files, "write_arrays", lambda path, of: (calls.append(path.parent.name), write(path, of))
    )
    train(run, root)
    saves = [index for index, name in enumerate(calls) if name == "state"]
    assert len(saves) == 4  # at the start, and every fourth step
    for index in saves:
        assert calls[index - 2 : index] == ["metrics.jsonl", "history.f8"]


def test_what_is_written_whole_or_flushed_is_asked_onto_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(file: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        sync(file)

    def replaced(path: Path, target: Path) -> Path:
        calls.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    files.write_whole(tmp_path / "whole", b"all of it")
    assert calls == ["file", "name", "folder"]
    files.flush(tmp_path / "whole")
    assert calls[3:] == ["file"]


def test_a_lost_history_is_made_again_from_the_rows(stopped: Run, root: Path) -> None:
    before = stopped.rows.history_file.read_bytes()
    for damage in (
        lambda: stopped.rows.history_file.unlink(),
        lambda: stopped.rows.history_file.write_bytes(before[:-50]),
    ):
        damage()
        assert train(stopped, root, stop_at=6) == []
        assert stopped.rows.history_file.read_bytes()[: len(before)] == before


def test_a_damaged_row_is_left_out_and_told(stopped: Run, root: Path) -> None:
    lines = stopped.rows.lines()
    stopped.rows.metrics_file.write_text("\n".join([*lines[:2], '{"step": 3, "wi', *lines[3:]]) + "\n")
    notices = train(stopped, root)
    assert stopped.state() == "finished"
    assert [row["step"] for row in stopped.rows.read()] == [1, 2, *range(4, 13)]
    assert any("line 3 of metrics.jsonl is left out" in notice for notice in notices)
    assert any("the rows of 1 of the 6 steps so far are lost" in notice for notice in notices)
    assert read_history(stopped.rows.history_file, RowShape(3, 3)).missing_images(batch=8) == 8


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("psnr", float("nan"), "its psnr is no number"),
        ("expert_loss", float("inf"), "its expert_loss is no number"),
        ("seconds", float("nan"), "its seconds is no number"),
        ("images", 9, "its wins do not add up to its images"),
        ("score", [["a"] * 3] * 3, "one of its scores is no number"),
        ("step", 5, "its step 5 is not between those of the rows around it"),
        ("step", 1_000_000, ""),  # beyond the state: a future that was given up
    ],
)
def test_a_row_that_cannot_be_so_is_left_out_and_the_sound_ones_stay(
    stopped: Run, root: Path, field: str, value: object, said: str
) -> None:
    lines = stopped.rows.lines()
    lines[2] = json.dumps({**json.loads(lines[2]), field: value})
    stopped.rows.replace(lines)
    notices = train(stopped, root)
    assert [row["step"] for row in stopped.rows.read()] == [1, 2, *range(4, 13)]
    assert not said or f"line 3 of metrics.jsonl is left out: {said}" in notices
    assert any("the rows of 1 of the 6 steps so far are lost" in notice for notice in notices)
    assert np.isfinite(read_history(stopped.rows.history_file, RowShape(3, 3)).all().psnr).all()


def test_what_a_person_is_told_is_printed_as_it_is(stopped: Run, root: Path) -> None:
    """The name of the array is one that rich would take for the end of a style."""
    state = stopped.states.read(6)
    files.write_arrays(
        stopped.folder / "state" / "step_000006.safetensors", {**state, "[/x]": state["window.steps"]}
    )
    done = icm("resume", "one", root=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[/x] belongs nowhere" in done.stdout
    assert stopped.state() == "finished"


def test_rows_that_do_not_reach_the_state_are_told(stopped: Run, root: Path) -> None:
    stopped.rows.replace(stopped.rows.lines()[:-2])  # a power cut that took the newest rows
    (notice,) = train(stopped, root)
    assert "the rows of 2 of the 6 steps so far are lost" in notice


def test_a_row_never_goes_into_another_run_that_has_just_taken_the_name(
    store: RunStore, stopped: Run, root: Path, short: RunConfig
) -> None:
    """Taken between the trainer's look at its folder and its row, which no look can tell."""
    other = store.create("other", short, {})
    train(other, root, stop_at=6)
    stopped.rows.replace(stopped.rows.lines())
    writer = HistoryWriter(stopped.rows.history_file, RowShape(3, 3), [])
    stopped.folder.rename(store.root / "moved")
    other.folder.rename(stopped.folder)
    before = content(stopped)
    (record,) = read_rows(stopped.rows.lines()[:1], RowShape(3, 3), until=1).records
    for append in (lambda: stopped.rows.append(record.to_json()), lambda: writer.append(record)):
        with pytest.raises(FileError, match=r"was removed or replaced while .*; put it back as it was"):
            append()
    assert content(stopped) == before


# A full disk


def test_a_state_that_cannot_be_written_ends_the_training_with_path_remedy_and_a_failed_run(
    store: RunStore, root: Path
) -> None:
    words = ["train", "--preset", "tiny", "--source", "builtin", "--run-id", "full"]
    done = icm(*words, root=root, limit=40_000)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "step_000000.safetensors cannot be written (File too large); allow larger files" in line
    run = store.open("full")
    assert run.status().phase == "failed"
    assert "cannot be written" in run.status().message
    assert not list(run.folder.rglob(".*"))


def test_what_killed_trainers_left_goes_with_the_resume(stopped: Run, root: Path) -> None:
    """Temporary files of this version and of the one before, which named them otherwise."""
    left = [
        stopped.folder / "state" / ".step_000006.safetensors.1234-5678.tmp",
        stopped.folder / "state" / ".step_000006.safetensors.1234",
        stopped.folder / ".status.json.1234",
    ]
    for path in left:
        path.write_bytes(b"half")
    train(stopped, root)
    assert not [path for path in left if path.exists()]


def test_a_disk_with_no_room_for_a_file_still_takes_why_the_run_failed(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files.write_whole

    def no_room(path: Path, written: bytes) -> None:
        if run.rows.metrics_file.exists() and len(run.rows.lines()) > 4:
            raise FileError(f"{path} cannot be written (No space left on device); free some space")
        whole(path, written)

    monkeypatch.setattr(files, "write_whole", no_room)
    with pytest.raises(FileError):
        train(run, root)
    assert (run.status().phase, run.state()) == ("failed", "crashed")
    assert "No space left" in run.status().message
    assert run.states.steps() == [0, 4]
    monkeypatch.undo()
    train(run, root)
    assert run.state() == "finished"
