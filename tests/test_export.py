"""An exported run is small, in half precision, and carries a card of what was measured on it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from icm.files import FileError
from icm.jobs import export as shipping
from icm.runs.errors import StoreError
from icm.runs.history import run_history
from icm.runs.run import Run


def test_an_exported_run_has_its_rows_some_snapshots_in_half_precision_and_a_card(
    trained: Run, root: Path, tmp_path: Path
) -> None:
    card = shipping.export(trained, tmp_path / "out", root, (6,), images=8, seeds_tried="only this one")
    made = Run(tmp_path / "out")

    assert made.card() == card
    assert card["seeds_tried"] == "only this one"
    assert set(card["elsewhere"]) == {"alphabets"}  # nothing else is under the root
    assert trained.snapshots.steps() == [0, 6]  # both are measured, one is shipped
    assert [(row["step"], row["set"]) for row in card["over_steps"]] == [
        (step, name) for step in (0, 6) for name in ("builtin", "alphabets")
    ]
    assert made.config() == trained.config()
    assert made.rows.read() == trained.rows.read()
    assert made.rows.history_file.read_bytes() == trained.rows.history_file.read_bytes()
    assert made.snapshots.steps() == [6]
    whole, half = trained.snapshots.read(6), made.snapshots.read(6)
    for name, values in half.items():
        assert values.dtype == np.float16
        np.testing.assert_allclose(values, whole[name], rtol=1e-3, atol=1e-6)
    assert made.state() == "finished"
    # What ships says how to make it, and no folder of whoever made it.
    assert made.environment() == {**trained.environment(), "command": card["command"]}


def test_a_run_that_half_precision_would_spoil_is_not_exported(
    trained: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "HALVING_MAY_COST", -1.0)
    with pytest.raises(StoreError, match="half precision costs run a-run"):
        shipping.export(trained, tmp_path / "out", root, (6,), images=4, seeds_tried="")
    assert not (tmp_path / "out").exists()


def export(run: Run, root: Path, folder: Path, steps: tuple[int, ...] = (0, 6)) -> None:
    shipping.export(run, folder, root, steps, images=4, seeds_tried="")


def test_without_named_steps_the_usual_ones_that_the_run_has_and_its_newest_are_shipped(
    trained: Run, root: Path, tmp_path: Path
) -> None:
    export(trained, root, tmp_path / "out", steps=())
    made = Run(tmp_path / "out")
    assert made.snapshots.steps() == [0, 6]
    assert (made.card() or {})["step"] == 6
    with pytest.raises(StoreError, match="run a-run has no snapshot of step 100; known: 0, 6"):
        export(trained, root, tmp_path / "other", steps=(6, 100))


def test_a_run_that_is_being_trained_is_not_exported(trained: Run, root: Path, tmp_path: Path) -> None:
    with trained.trainer.locked(), pytest.raises(StoreError, match="run a-run is being trained; stop it, or"):
        export(trained, root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_sums_somebody_deleted_is_exported_with_its_rows(
    trained: Run, root: Path, tmp_path: Path
) -> None:
    whole = run_history(trained, trained.config())
    trained.rows.history_file.unlink()
    export(trained, root, tmp_path / "out")
    made = Run(tmp_path / "out")
    np.testing.assert_array_equal(run_history(made, made.config()).sums, whole.sums)


def test_a_link_in_place_of_a_file_is_not_exported(trained: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    trained.rows.metrics_file.unlink()
    trained.rows.metrics_file.symlink_to(tmp_path / "secret")
    with pytest.raises(
        FileError, match=r"metrics\.jsonl cannot be read .*; a link lies where a file belongs"
    ):
        export(trained, root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "place", ["the store", "in the store", "above the store", "another store", "a folder in use"]
)
def test_an_export_deletes_nothing_that_is_no_earlier_export(
    trained: Run, root: Path, tmp_path: Path, place: str
) -> None:
    store = trained.folder.parent
    other = shutil.copytree(store, tmp_path / "others" / "runs")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    folder, sentence = {
        "the store": (store, "a store of runs"),
        "in the store": (store / "another", "a store of runs"),
        "above the store": (store.parent, "contains a store of runs"),
        "another store": (other, "a store of runs"),
        "a folder in use": (tmp_path / "notes", "not empty and no earlier export"),
    }[place]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=sentence):
        export(trained, root, folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_that_fails_leaves_the_earlier_one(
    trained: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(trained, root, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise FileError("the disk is full; free some space")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_card", full)
        with pytest.raises(FileError):
            export(trained, root, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before

    rename = Path.rename

    def cut_off(path: Path, target: Path) -> Path:
        if path.name.endswith(".tmp"):
            raise KeyboardInterrupt  # between the two renames
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            export(trained, root, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before

    export(trained, root, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]
    assert Run(tmp_path / "out").card() is not None


def test_what_came_into_the_folder_while_the_export_measured_stays(
    trained: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Run.write_card

    def somebody_works_there(made: Run, card: dict) -> None:
        write(made, card)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("years of work")

    monkeypatch.setattr(Run, "write_card", somebody_works_there)
    with pytest.raises(StoreError, match="not empty and no earlier export"):
        export(trained, root, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob(".out*"))
