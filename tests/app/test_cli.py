"""The command line as a person uses it: real processes, exit codes, one line for a mistake."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from icm.cli.main import main
from icm.config import RunConfig
from icm.images.likeness import OF_CLOTHES, OF_DIGITS
from icm.jobs import launch, process
from icm.runs.errors import RunBusy
from icm.runs.run import Run
from icm.runs.store import RunStore
from icm.show import clothes, supervised
from tests.test_sets import write_fashion

PROJECT = Path(__file__).parents[2]


def icm(*words: str, root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "icm", *words]
    environment = {**os.environ, "ICM_DATA_ROOT": str(root), **variables}
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=120, env=environment)


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def long_run(store: RunStore, root: Path, tiny: RunConfig):
    """A run of more steps than anyone waits for, being trained by a process of its own."""
    config = replace(tiny, training=replace(tiny.training, steps=100_000))
    run = launch.create(store, "long", config, root, command="a test")
    launch.start(run, root)
    wait_until(lambda: len(run.rows.read()) > 0)
    yield run
    if run.trainer.is_alive():
        launch.stop(run, timeout=30.0)


def test_a_run_from_one_command_to_its_figures(store: RunStore, root: Path) -> None:
    trained = icm("train", "--preset", "tiny", "--run-id", "first", "--training.steps", "12", root=root)
    assert trained.returncode == 0, trained.stderr
    assert "run first: finished at step 12 of 12" in trained.stdout
    assert len(store.open("first").rows.read()) == 12
    assert store.open("first").config().source == "builtin"  # no MNIST under this root

    listed = json.loads(icm("runs", "--json", root=root).stdout)
    assert [(row["run"], row["state"], row["step"]) for row in listed] == [("first", "finished", 12)]

    measured = icm("evaluate", "first", "--images", "20", "--json", root=root)
    figures = json.loads(measured.stdout)
    assert (figures["run"], figures["step"], figures["source"]) == ("first", 12, "builtin")
    assert figures["mechanisms"] == ["right", "left", "contrast"]
    assert [pytest.approx(1, abs=1e-3)] * 3 == [sum(row) for row in figures["win_share"]]


OWN = """
from icm.images.mechanisms import MechanismKind
twist = MechanismKind("Upside down", "T", "share", 1.0, 0.6, 1.0, 0.1, lambda images, share, generator: images.flip(-2), None)
"""


def test_a_run_with_a_mechanism_of_ones_own_goes_on_where_its_file_is_named(
    store: RunStore, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    own = f"{tmp_path}/mine.py"
    short = ("--preset", "tiny", "--run-id", "twisted", "--training.steps", "3")
    trained = icm("train", *short, "--mechanisms", "right", "left", f"{own}:twist", root=root)
    assert trained.returncode == 0, trained.stderr
    assert store.open("twisted").config().mechanisms == ("right", "left", "mine.py:twist")

    measured = icm("evaluate", "twisted", "--images", "8", root=root)
    assert measured.returncode != 0
    assert "name its file: ICM_MECHANISMS=mine.py" in measured.stderr
    measured = icm("evaluate", "twisted", "--images", "8", root=root, ICM_MECHANISMS=own)
    assert measured.returncode == 0, measured.stderr
    assert "twist" in measured.stdout


def test_a_run_is_measured_elsewhere_and_at_an_earlier_step(
    trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", trained.id, "--on", "alphabets", "--images", "6", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    assert there["source"] == "alphabets"
    assert there["owner"] == there["digits"]["owner"]  # who owns what is found on the digits
    assert set(there["digits"]["accuracy"]) == {"original", "transformed", "restored"}
    assert "accuracy" not in there  # letters are no digits
    assert main(["evaluate", trained.id, "--on", "omniglot"]) == 1
    assert "python -m icm data omniglot" in capsys.readouterr().err
    assert main(["evaluate", trained.id, "--step", "0", "--images", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 0


def test_pictures_in_their_plain_look_are_measured_so_over_all_steps_and_counted(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        picture = Image.new("L", (64, 64), 255)
        picture.paste(0, (4, 4, 12, 20 + 12 * number))
        picture.save(tmp_path / "pictures" / f"{number}.png")
    words = ["evaluate", trained.id, "--on", str(tmp_path / "pictures"), "--look", "plain", "--images", "8"]
    assert main(words) == 0
    assert "step 6, 3 images of" in " ".join(capsys.readouterr().out.split())
    assert main([*words, "--over-steps", "8", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    last = said["over_steps"][-1]
    assert last["step"] == 6
    assert last["psnr_nothing"] == pytest.approx(np.mean(list(said["psnr_nothing"].values())), abs=0.01)


def test_chains_of_two_depths_stand_in_one_file(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, mechanisms = tmp_path / "chains.json", len(trained.config().mechanisms)
    words = ["chains", trained.id, "--images", "2", "--out", str(out)]
    assert main([*words, "--depth", "1"]) == 0
    assert f"{mechanisms} chains of 1, 2 digits each: " in capsys.readouterr().out
    assert main([*words, "--depth", "2", "--most", "3"]) == 0
    found = json.loads(out.read_text())
    assert (found["run"], found["step"], found["images"]) == (trained.id, 6, 2)
    assert {depth: len(chains) for depth, chains in found["chains"].items()} == {"1": mechanisms, "2": 3}
    assert main([*words, "--depth", "1", "--most", "1", "--images", "1001"]) == 0
    assert "1 chains of 1, 1000 digits each: " in capsys.readouterr().out  # there are no more
    again = json.loads(out.read_text())
    assert (again["images"], list(again["chains"])) == (
        1000,
        ["1"],
    )  # those of 2 digits are another measurement
    assert main([*words, "--depth", "9"]) == 2
    assert f"--depth is 9; use 1 to {mechanisms}, the mechanisms of the run" in capsys.readouterr().err


def test_clothes_are_measured_after_every_change_beside_the_digits(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shirt = np.zeros((28, 28), np.uint8)
    shirt[1:27, 6:22] = 120
    write_fashion(tmp_path, struct.pack(">4I", 0x803, 10_000, 28, 28) + shirt.tobytes() * 10_000)
    out = tmp_path / "of the" / "clothes.json"
    words = ["clothes", trained.id, "--data-root", str(tmp_path), "--images", "2", "--out", str(out)]
    assert main(words) == 0
    assert "only their outlines" in capsys.readouterr().out
    said = json.loads(out.read_text())
    assert (said["run"], said["step"], said["images"]) == (trained.id, 6, 2)
    assert [each["change"] for each in said["versions"]["builtin"]] == list(OF_DIGITS)
    assert [each["change"] for each in said["versions"]["fashion"]] == list(OF_CLOTHES)
    (shown,) = clothes.read(out.parent)
    assert shown.of("fashion", "as they are").ink == pytest.approx(26 * 16 / 32**2, abs=1e-3)
    assert main([*words[:-2], "--images", "0"]) == 2
    assert "--images is 0; use 1 or more" in capsys.readouterr().err


def test_networks_are_taught_with_pairs_and_what_is_done_is_kept(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "of the" / "expert.json"
    words = ["supervised", "--data-root", str(root), "--source", "builtin", "--steps", "3", "--batch", "4"]
    words += ["--images", "5", "--mechanisms", "contrast", "right=3", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "contrast: " in printed
    assert "right=3: " in printed
    (found,) = supervised.read(out.parent)
    assert list(found.psnr) == ["contrast", "right=3"]
    assert (found.steps, found.batch, found.images) == (3, 4, 5)
    again = found.command.removeprefix("python -m icm ").split()
    out.unlink()
    assert main([*again, "--data-root", str(root), "--out", str(out)]) == 0  # what it says makes it again
    assert supervised.read(out.parent) == [found]
    assert main([*words, "--mechanisms", "up", "twist"]) == 2
    assert "unknown mechanism 'twist'" in capsys.readouterr().err
    assert main([*words, "--steps", "0"]) == 2
    assert "--steps is 0; use 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["fly"], 2, "unknown command 'fly'; known: train, resume"),
        (["train", "--preset", "fast"], 2, "unknown preset 'fast'; known: tiny, quick, robust, paper"),
        (
            ["train", "--preset", "tiny", "--model.norm", "layer"],
            2,
            "invalid choice 'layer' for argument '--model.norm'",
        ),
        (["train", "--preset", "tiny", "--sed", "1"], 2, "--sed"),
        (["train", "--preset", "tiny", "--model.experts", "0"], 2, "model.experts is 0; use 1 to 100"),
        (
            ["train", "--preset", "tiny", "--mechanisms", "rot45"],
            2,
            "unknown mechanism 'rot45'; known: right, left",
        ),
        (
            ["train", "--preset", "tiny", "--mechanisms", "noise=7"],
            2,
            "strength of 'noise' is 7; use 0.01 to 1",
        ),
        (["train", "--preset", "tiny", "--run-id", "../x"], 2, "'../x' is no run id"),
        (["train", "--preset", "tiny", "--source", "mnist"], 1, "run `python -m icm data mnist`"),
        (["train", "--preset", "tiny", "--device", "cuda"], 1, "device 'cuda' is not available here"),
        (["resume", "nobody"], 1, "no run 'nobody' under"),
        (["evaluate", "nobody"], 1, "no run 'nobody' under"),
        (["stop"], 2, "required"),
        (["stop", "nobody", "--timeout", "nan"], 2, "--timeout is nan; use 0 or more seconds"),
        (["data", "imagenet"], 1, "unknown set 'imagenet'; known: mnist"),
        (
            ["study", "smoke", "--on", "spark"],
            2,
            "--on is 'spark'; use local, ray, or the address of a cluster",
        ),
        (["study", "rubost"], 2, "unknown study 'rubost'; known: smoke, robust"),
        (["study", "quick", "--only", "usps"], 2, "study quick has no variant 'usps'; known: mnist, builtin"),
    ],
)
def test_a_mistake_is_answered_by_one_line_and_its_code(
    store: RunStore,
    root: Path,
    words: list[str],
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "cuda" in words and torch.cuda.is_available():
        words, sentence = [*words[:-1], "mps"], "device 'mps' is not available here"
    for commands in ("training", "studies"):  # they would be caught in the tests' own process
        monkeypatch.setattr(f"icm.cli.{commands}.catch_signals", list)
    assert main(words) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not store.runs()


def test_a_mistake_ends_the_process_with_that_line_and_code(store: RunStore, root: Path) -> None:
    done = icm("train", "--preset", "tiny", "--mechanisms", "rot45", root=root)
    assert done.returncode == 2
    assert done.stderr.startswith("icm: unknown mechanism 'rot45'; known: right, left")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_utf8_is_told_the_mistake_too(root: Path) -> None:
    done = icm("train", "--preset", "tiny", "--sed", "1", root=root, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "--sed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_is_trained_once_at_a_time(long_run: Run, root: Path) -> None:
    again = icm("resume", "long", root=root)
    assert again.returncode == 3
    assert again.stderr == "icm: run long is already being trained\n"
    with pytest.raises(RunBusy):
        launch.start(long_run, root)


def test_stop_saves_and_resume_goes_on_from_there(long_run: Run, root: Path) -> None:
    stopped = icm("stop", "long", root=root)
    assert stopped.returncode == 0, stopped.stderr
    assert long_run.state() == "stopped"
    step = long_run.status().step
    assert len(long_run.rows.read()) == step

    launch.start(long_run, root)
    wait_until(lambda: len(long_run.rows.read()) > step)
    assert [row["step"] for row in long_run.rows.read()[: step + 1]] == list(range(1, step + 2))

    assert icm("stop", "long", root=root).returncode == 0
    nothing = icm("stop", "long", root=root)
    assert (nothing.returncode, nothing.stderr) == (1, "icm: run long is not being trained\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_stops(store: RunStore, root: Path, number: signal.Signals) -> None:
    words = ["train", "--preset", "tiny", "--run-id", "mine", "--training.steps", "100000"]
    environment = {**os.environ, "ICM_DATA_ROOT": str(root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "icm", *words], cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True
    )
    folder = store.root / "mine"
    wait_until(lambda: (folder / "metrics.jsonl").is_file())
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, "")
    run = store.open("mine")
    assert run.state() == "stopped"
    assert run.states.steps()


def test_a_killed_trainer_is_seen_to_have_crashed(long_run: Run, root: Path) -> None:
    trainer = process.children[-1]
    trainer.kill()
    trainer.wait()
    assert long_run.state() == "crashed"
    launch.start(long_run, root)
    assert long_run.trainer.is_alive()


def test_a_trainer_that_dies_leaves_its_reason_in_the_log(
    store: RunStore, tiny: RunConfig, root: Path
) -> None:
    run = launch.create(store, "broken", tiny, root, command="a test")
    (run.folder / "state" / "step_000001.safetensors").write_bytes(b"torn")
    launch.start(run, root)
    wait_until(lambda: not run.trainer.is_alive())
    assert run.state() == "crashed"
    assert "step_000001.safetensors cannot be read" in run.log_tail(1)
    assert "step_000001.safetensors cannot be read" in run.status().message


def test_twenty_starts_at_once_give_one_trainer(store: RunStore, root: Path, tiny: RunConfig) -> None:
    config = replace(tiny, training=replace(tiny.training, steps=100_000))
    run = launch.create(store, "crowd", config, root, command="a test")

    def attempt(_: int) -> bool:
        try:
            launch.start(run, root)
        except RunBusy:
            return False
        return True

    with ThreadPoolExecutor(20) as crowd:
        assert sum(crowd.map(attempt, range(20))) == 1
    launch.stop(run, timeout=60.0)


def test_a_run_that_says_rich_markup_of_itself_breaks_no_list(
    store: RunStore, tiny: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store.create("odd", tiny, {})
    config = run.folder / "config.json"
    config.write_text(config.read_text().replace('"tiny"', '"[/x]"'))
    store.create("sound", tiny, {})
    assert main(["runs", "--store", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert "[/x]" in out
    assert "sound" in out


@pytest.mark.parametrize("words", [["--images", "0"], ["--to", "film.webp"]])
def test_an_export_of_nothing_and_one_of_two_kinds_at_once_are_refused(
    store: RunStore, tiny: RunConfig, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store.create("one", tiny, {})
    out = ["--out", str(tmp_path / "out"), "--store", str(store.root)]
    assert main(["export", "one", *out, *words]) == 2
    assert capsys.readouterr().err.startswith(f"icm: {words[0]} ")


def test_speed_times_every_preset_and_keeps_it_for_the_page(store: RunStore, root: Path) -> None:
    store.write_durations({})
    timed = icm("speed", "--json", root=root)
    assert timed.returncode == 0, timed.stderr
    durations = json.loads(timed.stdout)
    assert 0 < durations["tiny"] < durations["quick"] < durations["paper"]
    assert store.durations() == durations


def test_the_command_lists_a_set_of_which_only_a_part_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "USPS").mkdir()
    (tmp_path / "USPS" / "usps.t.bz2").write_bytes(b"half")
    assert main(["data", "--data-root", str(tmp_path)]) == 0
    assert "incomplete, to be fetched again: python -m icm data usps" in capsys.readouterr().out
