"""One bad run, one bad file: every page opens without an exception, says what is wrong, and the other runs stay listed."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from icm.cli.main import main
from icm.jobs import trainer
from icm.presets import PRESETS
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.opened import box, show, with_a_drawing, words


def text(name: str, content: str | bytes) -> Callable[[Run], None]:
    """The file says this and nothing else."""

    def damage(run: Run) -> None:
        (run.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def fields(name: str, **changed: object) -> Callable[[Run], None]:
    """The JSON file says this of these fields."""

    def damage(run: Run) -> None:
        path = run.folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return damage


def folder(name: str) -> Callable[[Run], None]:
    """A folder lies where the file belongs."""

    def damage(run: Run) -> None:
        (run.folder / name).unlink(missing_ok=True)
        (run.folder / name).mkdir()

    return damage


def copied_snapshot(run: Run) -> None:
    snapshots = run.folder / "snapshots"
    shutil.copy(snapshots / "step_000006.safetensors", snapshots / "step_000006 (copy).safetensors")


def snapshot_of_other_networks(run: Run) -> None:
    path = run.folder / "snapshots" / "step_000006.safetensors"
    arrays = {name: values[..., :1] for name, values in load_file(path).items()}
    path.unlink()
    run.snapshots.save(6, arrays)


def cut_snapshot(run: Run) -> None:
    path = run.folder / "snapshots" / "step_000006.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def relabelled_snapshot(run: Run) -> None:
    path = run.folder / "snapshots" / "step_000006.safetensors"
    save_file({name: values.astype(np.int32) for name, values in load_file(path).items()}, path)


def history_of_no_numbers(run: Run) -> None:
    sums = np.fromfile(run.rows.history_file)
    run.rows.history_file.write_bytes(np.full_like(sums, math.nan).tobytes())


def history_with_a_hole(run: Run) -> None:
    """Damaged in the middle. The last record is sound, and no other is checked when the file is opened."""
    sums = np.fromfile(run.rows.history_file).reshape(6, -1)
    sums[:5, 6:] = 1e12
    run.rows.history_file.write_bytes(sums.tobytes())


DAMAGES: dict[str, Callable[[Run], None]] = {
    "config a list": text("config.json", "[]"),
    "config null": text("config.json", "null"),
    "config deep": text("config.json", "[" * 100_000),
    "mechanism unknown": fields("config.json", mechanisms=["right=6", "upside_down", "contrast"]),
    "mechanism named twice": fields("config.json", mechanisms=["right=6", "right=6", "contrast"]),
    "preset unknown": fields("config.json", preset="enormous"),
    "seed that no browser can show": fields("config.json", seed=2**63 - 1),
    "status a list": text("status.json", "[]"),
    "phase unknown": fields("status.json", phase="flying"),
    "step of another type": fields("status.json", step="many"),
    "environment null": text("environment.json", "null"),
    "engine unknown": fields(
        "environment.json",
        engine={"experts": ["a"], "dtype": None, "deterministic": "no"},
        device={},
        created=1e300,
    ),
    "label no UTF-8": text("label.txt", b"\xff\xfe\x00"),
    "label a folder": folder("label.txt"),
    "lock a folder": folder("lock"),
    "log a folder": folder("log.txt"),
    "history no numbers": history_of_no_numbers,
    "history with a hole": history_with_a_hole,
    "history a folder": folder("history.f8"),
    "snapshot copied": copied_snapshot,
    "snapshot of other networks": snapshot_of_other_networks,
    "snapshot cut": cut_snapshot,
    "snapshot relabelled": relabelled_snapshot,
    "card empty": text("card.json", "{}"),
    "card a list": text("card.json", "[]"),
}
UNREADABLE = {
    "config a list",
    "config null",
    "config deep",
    "status a list",
    "phase unknown",
    "step of another type",
    "history no numbers",
    "history a folder",
}


@pytest.fixture(scope="module")
def example(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, to be copied."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    config = replace(PRESETS["tiny"], source="builtin", training=replace(PRESETS["tiny"].training, steps=6))
    run = store.create("example", config, {})
    with run.trainer.locked():
        list(trainer.train(run, root))
    return run.folder


def put(example: Path, store: RunStore, run_id: str, created: float) -> Run:
    store.root.mkdir(exist_ok=True)
    run = Run(Path(shutil.copytree(example, store.root / run_id)))
    run.write_environment({**run.environment(), "created": created})
    return run


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_run_breaks_no_page(
    store: RunStore, example: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(example, store, "sound", created=1.0)
    bad = put(example, store, "bad", created=2.0)
    DAMAGES[damage](bad)
    opened = {
        "home": show("home.py"),
        "train": show("train.py", run="bad", like="bad"),
        "monitor": show("monitor.py", run="bad", numbers="true", panels="true"),
        "draw": with_a_drawing("draw.py", run="bad"),
        "compare": show("compare.py", run="bad"),
        "round": show("round.py", run="bad"),
        "versus": show("versus.py", left="bad", right="sound"),
    }
    for command in (["runs"], ["runs", "--json"]):
        assert main([*command, "--store", str(store.root)]) == 0
        assert "sound" in capsys.readouterr().out
    for page, app in opened.items():
        assert not app.exception, page
        if page != "home":
            picker = box(app, "Left" if page == "versus" else "Run")
            assert any("sound" in option for option in picker.options), page
    states = {row["run"]: row["state"] for row in opened["train"].dataframe[0].value.to_dict("records")}
    assert states["sound"] == "finished"
    assert list(states.values()).count("unreadable") == (damage in UNREADABLE)


@pytest.mark.parametrize("damage", ["mechanism unknown", "history no numbers", "snapshot cut", "card a list"])
def test_a_bad_run_is_told_on_guess_who_and_learn(store: RunStore, example: Path, damage: str) -> None:
    """What they show stands in fragments, in which an error has no words unless it is caught there."""
    put(example, store, "sound", created=1.0)
    DAMAGES[damage](put(example, store, "bad", created=2.0))
    for page in (show("guess.py", run="bad"), show("learn.py", run="bad", screen="4")):
        assert not page.exception
        assert any("sound" in option for option in box(page, "Run").options)


def test_damaged_digits_are_told_and_break_no_page(
    store: RunStore, example: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of MNIST's names and sizes with nothing in them; a run that learned from MNIST."""
    shutil.copytree(root / "builtin", tmp_path / "data" / "builtin")
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    sizes = {"images-idx3": (47_040_016, 7_840_016), "labels-idx1": (60_008, 10_008)}
    for kind, both in sizes.items():
        for part, size in zip(("train", "t10k"), both):
            with (raw / f"{part}-{kind}-ubyte").open("wb") as file:
                file.truncate(size)
    monkeypatch.setenv("ICM_DATA_ROOT", str(tmp_path / "data"))
    run = put(example, store, "a-run", created=1.0)
    fields("config.json", source="mnist")(run)
    told = []
    for page in ("home.py", "train.py", "monitor.py", "compare.py", "draw.py", "round.py"):
        app = show(page) if page != "draw.py" else with_a_drawing(page, run="a-run")
        assert not app.exception, page
        told += [page] if "MNIST/raw" in words(app) and app.error else []
    assert told, "nobody said what is wrong"
