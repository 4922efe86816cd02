"""A run survives what happens to it: a full disk, a folder that vanishes, a lost file, a clock set back, a signal."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icm import files, launch
from icm import run as running
from icm.config import RunConfig
from icm.errors import ActionableError
from icm.files import FileError
from icm.history import read_history
from icm.models import DeviceError
from icm.store import Run, RunBusy, RunStore, StoreError
from tests.torture.disks import give_up_rights

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def config(tiny: RunConfig) -> RunConfig:
    """Twelve short steps of competition, a row each, a state every fourth."""
    return replace(
        tiny,
        source="builtin",
        identity=replace(tiny.identity, steps=3),
        training=replace(tiny.training, steps=12),
        recording=replace(tiny.recording, every=1, state_every=4),
    )


@pytest.fixture
def run(store: RunStore, config: RunConfig) -> Run:
    return store.create("one", config, {"command": "a test"})


def train(run: Run, root: Path, stop_at: int | None = None) -> list[str]:
    """To the end, or to a stop after that step of competition; returns what a person was told."""
    notices = []
    with run.locked():
        for event in running.train(run, root):
            notices += [event.notice] if event.notice else []
            if (event.phase, event.step) == ("competing", stop_at):
                run.request_stop()
    return notices


def content(run: Run) -> dict[str, bytes]:
    return {
        path.relative_to(run.folder).as_posix(): path.read_bytes()
        for path in run.folder.rglob("*")
        if path.is_file()
    }


# Item 5: nothing starts over what is there


@pytest.mark.parametrize("left", ["metrics.jsonl", "snapshots"])
def test_a_run_whose_states_are_gone_is_refused_and_keeps_what_it_has(
    run: Run, root: Path, left: str
) -> None:
    train(run, root, stop_at=6)
    shutil.rmtree(run.folder / "state")
    if left == "snapshots":
        run.metrics_file.unlink()
    else:
        shutil.rmtree(run.folder / "snapshots")
    rows, steps = run.metric_lines(), run.snapshot_steps()
    with pytest.raises(StoreError, match=r"no state to go on from.*train another run like it"):
        train(run, root)
    assert (run.metric_lines(), run.snapshot_steps()) == (rows, steps)


def test_a_run_whose_states_are_all_damaged_is_refused_and_nobody_is_told_to_delete_them(
    run: Run, root: Path
) -> None:
    train(run, root, stop_at=6)
    for path in (run.folder / "state").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    rows = run.metric_lines()
    with pytest.raises(StoreError, match=r"no state that can be used: .*step 6.*step 4") as refusal:
        train(run, root)
    assert "delete" not in str(refusal.value)
    assert run.metric_lines() == rows


def test_a_run_that_cannot_go_on_stays_what_it_was(run: Run, root: Path) -> None:
    """Not made ready, nothing done: a finished run has not crashed, a stopped one stands where it stopped and says why."""
    train(run, root, stop_at=6)
    shutil.move(run.folder / "state", run.folder.parent / "kept")
    with pytest.raises(StoreError, match="no state to go on from"):
        train(run, root)
    status = run.status()
    assert (run.state(), status.phase, status.step, status.of) == ("stopped", "stopped", 6, 12)
    assert status.message.startswith("could not go on: run one has rows or snapshots but no state")

    shutil.rmtree(run.folder / "state")
    shutil.move(run.folder.parent / "kept", run.folder / "state")
    train(run, root)
    before = run.status()
    shutil.rmtree(run.folder / "state")
    with pytest.raises(StoreError, match="no state to go on from"):
        train(run, root)
    assert (run.state(), run.status().step) == ("finished", before.step)
    with pytest.raises(StoreError, match="no state to go on from"):
        run.extend(99)
    assert (run.state(), run.config().training.steps) == ("finished", 12)


def test_a_damaged_status_says_that_a_resume_mends_it(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    (run.folder / "status.json").write_text("[]")
    with pytest.raises(FileError, match="resume the run, which writes it anew") as damage:
        run.status()
    assert "delete" not in str(damage.value)
    train(run, root)
    assert run.state() == "finished"


def test_a_run_trained_with_another_torch_so_far_is_told_so(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    run.write_environment({**run.environment(), "packages": {"torch": "1.0"}})
    (notice,) = train(run, root, stop_at=8)
    assert notice.startswith("the run was trained with torch 1.0 so far and goes on with torch ")
    assert train(run, root) == []


def test_no_run_takes_the_name_of_the_run_in_the_box(store: RunStore, root: Path, tiny: RunConfig) -> None:
    with pytest.raises(StoreError, match="pretrained is the name of the run that ships"):
        launch.create(store, "pretrained", tiny, root, command="a test")
    assert not (store.root / "pretrained").exists()


def test_the_run_in_the_box_is_never_resumed(store: RunStore, root: Path, config: RunConfig) -> None:
    shipped = store.create("pretrained", config, {})
    before = content(shipped)
    for change in (
        lambda: launch.start(shipped, root),
        lambda: list(running.train(shipped, root)),
        lambda: shipped.rename("mine"),
    ):
        with pytest.raises(StoreError, match="ships with the project and stays as it is; train one like it"):
            change()
    assert content(shipped) == before


# Item 6: states are told apart by their step


def arrays(step: int) -> dict[str, np.ndarray]:
    return {"step": np.array([step])}


def test_a_state_that_was_just_written_stays_though_the_clock_was_set_back(run: Run) -> None:
    later = time.time() + 3600
    for step in (10, 20):
        run.save_state(step, arrays(step))
        os.utime(run.folder / "state" / f"step_{step:06d}.safetensors", (later, later))
    run.save_state(30, arrays(30))
    assert run.state_steps() == [20, 30]


def test_a_millionth_step_comes_after_the_one_before(run: Run) -> None:
    for step in (999_900, 999_950, 1_000_000):
        run.save_state(step, arrays(step))
    assert run.state_steps() == [999_950, 1_000_000]


def test_a_state_that_cannot_be_read_now_is_kept_until_the_next_save(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    newest = run.folder / "state" / "step_000006.safetensors"
    content = newest.read_bytes()
    newest.write_bytes(content[:-1])
    with run.locked():
        events = running.train(run, root)
        while next(events).phase == "preparing":
            pass
        assert newest.read_bytes() == content[:-1]
        list(events)
    assert run.state_steps() == [8, 12]


def test_states_of_a_future_that_was_given_up_go_with_the_next_save(run: Run) -> None:
    for step in (10, 20, 12):  # resumed from 10, because 20 could not be read
        run.save_state(step, arrays(step))
    assert run.state_steps() == [10, 12]


def test_a_state_that_a_killed_trainer_had_no_time_to_remove_goes_with_the_resume(
    run: Run, root: Path
) -> None:
    train(run, root)
    shutil.copy(
        run.folder / "state" / "step_000008.safetensors", run.folder / "state" / "step_000004.safetensors"
    )
    assert run.state_steps() == [4, 8, 12]
    train(run, root)
    assert run.state_steps() == [8, 12]


# Item 7: only create makes a run's folder


@pytest.mark.parametrize("fate", ["deleted", "moved", "replaced"])
def test_a_trainer_whose_folder_is_gone_stops_and_writes_nowhere(
    store: RunStore, run: Run, root: Path, config: RunConfig, tmp_path: Path, fate: str
) -> None:
    with run.locked():
        events = running.train(run, root)
        while (event := next(events)) and (event.phase, event.step) != ("competing", 5):
            pass
        run.folder.rename(tmp_path / "elsewhere")
        if fate == "deleted":
            shutil.rmtree(tmp_path / "elsewhere")
        if fate == "replaced":
            store.create("one", config, {"command": "another"})
        before = content(run)
        with pytest.raises(ActionableError, match=r"removed or replaced|removed or moved away"):
            list(events)
    if fate == "replaced":
        assert content(run) == before
    else:
        assert not run.folder.exists()


def test_a_look_at_a_deleted_run_makes_nothing(store: RunStore, run: Run) -> None:
    run.delete()
    assert not run.is_alive()
    for act in (run.status, run.request_stop, lambda: run.locked().__enter__(), lambda: run.rename("x")):
        with pytest.raises(ActionableError):
            act()
    assert not run.folder.exists()


# Item 8: rows and states agree


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


def test_a_lost_history_is_made_again_from_the_rows(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    before = run.history_file.read_bytes()
    for damage in (lambda: run.history_file.unlink(), lambda: run.history_file.write_bytes(before[:-50])):
        damage()
        assert train(run, root, stop_at=6) == []
        assert run.history_file.read_bytes()[: len(before)] == before


def test_a_damaged_row_is_left_out_and_told(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    lines = run.metric_lines()
    run.metrics_file.write_text("\n".join([*lines[:2], '{"step": 3, "wi', *lines[3:]]) + "\n")
    notices = train(run, root)
    assert run.state() == "finished"
    assert [row["step"] for row in run.metrics()] == [1, 2, *range(4, 13)]
    assert any("line 3 of metrics.jsonl is left out" in notice for notice in notices)
    assert any("the rows of 1 of the 6 steps so far are lost" in notice for notice in notices)
    assert read_history(run.history_file, 3, 3).missing_images(batch=8) == 8


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
    run: Run, root: Path, field: str, value: object, said: str
) -> None:
    train(run, root, stop_at=6)
    lines = run.metric_lines()
    lines[2] = json.dumps({**json.loads(lines[2]), field: value})
    run.write_metrics(lines)
    notices = train(run, root)
    assert [row["step"] for row in run.metrics()] == [1, 2, *range(4, 13)]
    assert not said or f"line 3 of metrics.jsonl is left out: {said}" in notices
    assert any("the rows of 1 of the 6 steps so far are lost" in notice for notice in notices)
    assert np.isfinite(read_history(run.history_file, 3, 3).all().psnr).all()


def test_what_a_person_is_told_is_printed_as_it_is(run: Run, root: Path) -> None:
    """An array of that name is what rich would take for the end of a style."""
    train(run, root, stop_at=6)
    state = run.saved_state(6)
    files.write_arrays(
        run.folder / "state" / "step_000006.safetensors", {**state, "[/x]": state["window.steps"]}
    )
    done = icm("resume", "one", root=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[/x] belongs nowhere" in done.stdout
    assert run.state() == "finished"


def test_rows_that_do_not_reach_the_state_are_told(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    run.write_metrics(run.metric_lines()[:-2])  # a power cut that took the newest rows
    (notice,) = train(run, root)
    assert "the rows of 2 of the 6 steps so far are lost" in notice


# Item 9: a full disk


def icm(*words: str, root: Path, limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    """A command whose process may write files of at most `limit` bytes."""

    def bounded() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "icm", *words],
        cwd=PROJECT,
        env={**os.environ, "ICM_DATA_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=bounded,
    )


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


def test_what_killed_trainers_left_goes_with_the_resume(run: Run, root: Path) -> None:
    """Of this version, and of the one before, which named it otherwise."""
    train(run, root, stop_at=6)
    left = [
        run.folder / "state" / ".step_000006.safetensors.1234-5678.tmp",
        run.folder / "state" / ".step_000006.safetensors.1234",
        run.folder / ".status.json.1234",
    ]
    for path in left:
        path.write_bytes(b"half")
    train(run, root)
    assert not [path for path in left if path.exists()]


def test_a_disk_with_no_room_for_a_file_still_takes_why_the_run_failed(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files.write_whole

    def no_room(path: Path, written: bytes) -> None:
        if run.metrics_file.exists() and len(run.metric_lines()) > 4:
            raise FileError(f"{path} cannot be written (No space left on device); free some space")
        whole(path, written)

    monkeypatch.setattr(files, "write_whole", no_room)
    with pytest.raises(FileError):
        train(run, root)
    assert (run.status().phase, run.state()) == ("failed", "crashed")
    assert "No space left" in run.status().message
    assert run.state_steps() == [0, 4]
    monkeypatch.undo()
    train(run, root)
    assert run.state() == "finished"


# Item 10: output and signals


def test_a_training_goes_on_when_nobody_can_read_what_it_prints(store: RunStore, root: Path) -> None:
    short = "--preset tiny --source builtin --identity.steps 3 --training.steps 9"
    command = f"{sys.executable} -m icm train {short} --run-id mute"
    for redirection in ("| true", ">&-", ">/dev/full"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
            cwd=PROJECT,
            env={**os.environ, "ICM_DATA_ROOT": str(root)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, ""), redirection
        assert store.open("mute").state() == "finished"
        store.open("mute").delete()


def test_a_training_goes_on_when_its_terminal_is_gone(store: RunStore, root: Path) -> None:
    """With a terminal there is a bar, drawn by a thread of its own."""
    ours, theirs = os.openpty()
    words = ["--preset", "tiny", "--source", "builtin", "--run-id", "mute", "--training.steps", "40"]
    process = subprocess.Popen(
        [sys.executable, "-m", "icm", "train", *words],
        cwd=PROJECT,
        env={**os.environ, "ICM_DATA_ROOT": str(root), "TERM": "xterm"},
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while b"competing" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, complaint) == (0, "")
    assert store.open("mute").state() == "finished"


def unignored() -> None:
    """In a new process: signals as a terminal has them, though the tests may have been started with nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def begun(words: list[str], root: Path) -> subprocess.Popen[str]:
    """`python WORDS`, its complaints to be read."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, "ICM_DATA_ROOT": str(root)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=unignored,
    )


TRAIN = [
    "icm",
    "train",
    "--preset",
    "tiny",
    "--source",
    "builtin",
    "--run-id",
    "mine",
    "--training.steps",
    "90000",
]


def test_a_terminal_that_is_closed_saves_as_a_polite_kill_does(store: RunStore, root: Path) -> None:
    process = begun(["-m", *TRAIN], root)
    run = Run(store.root / "mine")
    deadline = time.monotonic() + 120
    while not run.metric_lines():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, "")
    assert run.state() == "stopped"
    assert run.state_steps()[-1] == run.status().step


@pytest.mark.parametrize("imported", ["icm.errors", "rich.console", "icm.cli", "numpy.linalg", "torch._C"])
def test_an_early_ctrl_c_is_answered_by_one_line_at_most(store: RunStore, root: Path, imported: str) -> None:
    """Python tells what it has imported; the signal comes right after that."""
    process = begun(["-X", "importtime", "-m", *TRAIN], root)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("import time:") and line.split("|")[-1].strip() == imported:
            break
    else:
        pytest.fail(f"{imported} was never imported")
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode in (0, 1, 130)
    lines = [line for line in complaint.splitlines() if not line.startswith("import time:")]
    assert lines in ([], ["icm: interrupted"])
    for run in store.runs():
        assert run.state() in ("stopped", "starting")


INTERRUPTED = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "icm.errors":
            exec("raise KeyboardInterrupt")
sys.meta_path.insert(0, Finder())
"""


def test_a_ctrl_c_while_python_makes_a_dataclass_ends_in_a_line_and_a_code_too(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs text to make one, and a Ctrl-C then used to kill the process after that line."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = icm("runs", root=root)
    assert (done.returncode, done.stderr) == (1, "icm: interrupted\n")


# Item 11: no husks


def test_a_name_whose_making_was_interrupted_can_be_made(
    store: RunStore, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while its first files are written: nothing is cleaned up."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(Run, "write_status", killed)
        with pytest.raises(KeyboardInterrupt):
            store.create("two", config, {})
    assert not store.runs()
    store.create("two", config, {})
    assert [each.name for each in store.root.iterdir() if each.name not in (".lock", ".durations.json")] == [
        "two"
    ]


def test_a_husk_of_an_older_version_gives_its_name_back(store: RunStore, config: RunConfig) -> None:
    (store.root / "two").mkdir()
    (store.root / "two" / "start.lock").touch()
    (store.root / "two" / ".status.json.1234").touch()
    store.create("two", config, {})
    (store.root / "reader").mkdir()
    (store.root / "reader" / "card.json").write_text("{}")
    with pytest.raises(StoreError, match="'reader' exists already"):
        store.create("reader", config, {})


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


def test_what_a_deletion_cannot_remove_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(StoreError, match=r"run one is deleted, but not all of .*\.gone-one.* can be removed"):
        run.delete()


def test_a_run_that_is_being_started_is_neither_deleted_nor_lengthened(run: Run) -> None:
    with run.starting():
        for act in (run.delete, lambda: run.extend(99)):
            with pytest.raises(RunBusy, match="already being started"):
                act()


# Items 15 and 16: what a reader believes


def test_a_reader_keeps_no_launcher_out(run: Run) -> None:
    """Each look holds the lock for an instant, which looks without a pause make the usual case."""
    with run.starting():
        pass
    done = threading.Event()
    readers = [
        threading.Thread(target=lambda: [run.state() for _ in iter(done.is_set, True)]) for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    try:
        for _ in range(200):
            with run.starting():
                pass
    finally:
        done.set()
        for reader in readers:
            reader.join()


def test_a_stop_that_is_asked_for_while_the_trainer_is_on_its_way_is_heard(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.request_stop()  # of a trainer that was killed: not meant for this one
    run.extend(100_000)
    begin = launch._begin

    def begin_and_be_stopped(*words: Any) -> Any:
        assert not run.stop_requested()
        run.request_stop()
        return begin(*words)

    monkeypatch.setattr(launch, "_begin", begin_and_be_stopped)
    launch.start(run, root)
    deadline = time.monotonic() + 60
    while run.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run.state() == "stopped"


def test_a_run_whose_trainer_died_at_once_is_not_on_its_way(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no memory')"]
    monkeypatch.setattr(launch, "_begin", lambda *_: subprocess.Popen(words, stderr=subprocess.DEVNULL))
    with pytest.raises(StoreError, match="could not be started"):
        launch.start(run, root)
    assert (run.state(), run.status().phase) == ("crashed", "failed")


def test_a_store_that_may_only_be_read_can_be_looked_at(store: RunStore, run: Run, root: Path) -> None:
    train(run, root)
    for path in (store.root, run.folder, run.folder / "state", run.folder / "snapshots"):
        path.chmod(0o555)
    child = os.fork()
    if child == 0:  # not root any more
        give_up_rights()
        (seen,) = store.runs()
        looks = seen.state() == "finished" and not seen.is_alive() and seen.snapshot(12) and seen.metrics()
        os._exit(0 if looks and not os.access(run.folder, os.W_OK) else 1)
    _, status = os.waitpid(child, 0)
    for path in (store.root, run.folder, run.folder / "state", run.folder / "snapshots"):
        path.chmod(0o755)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_run_between_making_and_training_is_starting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.state() == "starting"
    later = time.time() + 60
    monkeypatch.setattr("icm.store.time.time", lambda: later)
    assert run.state() == "stopped"  # nobody has begun it, and somebody can
    with run.starting():
        assert run.state() == "starting"


def test_a_heartbeat_from_the_future_does_not_hide_a_stall(run: Run) -> None:
    run.write_status("competing", 1, 12)
    row = json.loads((run.folder / "status.json").read_text())
    (run.folder / "status.json").write_text(json.dumps({**row, "heartbeat": time.time() + 3600}))
    with run.locked():
        assert run.state() == "stalled"


def test_when_a_run_was_made_is_written_down(store: RunStore, config: RunConfig, run: Run) -> None:
    created = run.created
    os.utime(run.folder / "config.json", (1, 1))
    assert run.created == created
    second = store.create("two", config, {})
    os.utime(second.folder / "config.json", (2, 2))
    assert [each.id for each in store.runs()] == ["two", "one"]


def test_two_runs_of_one_second_have_two_names(config: RunConfig) -> None:
    names = set()
    for _ in range(3):
        names.add(launch.new_run_id(config))
        time.sleep(0.002)  # nobody starts two runs in one millisecond
    assert len(names) == 3


# Items 2 and 3: where a run is trained


def test_memory_is_told_where_the_system_knows_no_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert "GB free" in launch.devices()["cpu"]


def test_what_auto_means_is_written_down_when_a_run_is_made(
    store: RunStore, root: Path, config: RunConfig
) -> None:
    run = launch.create(store, "two", replace(config, device="auto", source="auto"), root, "a test")
    assert run.config().device == next(reversed(launch.devices()))
    assert run.config().source == "builtin"


def test_a_run_is_not_resumed_on_another_kind_of_device(run: Run, root: Path) -> None:
    train(run, root, stop_at=2)
    run.write_environment({**run.environment(), "device": "mps"})
    rows = run.metric_lines()
    with pytest.raises(
        DeviceError, match=r"began on mps, which is not available here.*icm train --preset tiny"
    ):
        train(run, root)
    assert run.metric_lines() == rows


# Item 18: a state that does not fit


def test_a_state_that_is_whole_but_does_not_fit_is_passed_over(run: Run, root: Path) -> None:
    train(run, root, stop_at=6)
    state = run.saved_state(6)
    name = next(name for name in state if name.startswith("experts."))
    for unfit in (
        {each: values for each, values in state.items() if each != name},
        {**state, name: state[name][:1]},
        {**state, name: state[name].astype(np.float64)},
        {each: values for each, values in state.items() if each != "window.wins"},
    ):
        files.write_arrays(run.folder / "state" / "step_000006.safetensors", unfit)
        notices = train(run, root, stop_at=6)
        assert any("the state of step 6 is passed over" in notice for notice in notices)
        assert run.state_steps() == [4, 6]


# Item 20: links, and what else is no file


def test_a_link_inside_a_run_is_neither_read_nor_written_through(
    run: Run, root: Path, tmp_path: Path
) -> None:
    train(run, root, stop_at=6)
    outside = tmp_path / "outside"
    for name in ("state", "snapshots"):
        shutil.move(run.folder / name, outside / name)
        (run.folder / name).symlink_to(outside / name)
    (outside / "state" / ".keep.tmp").touch()
    (outside / "secret").write_text("a secret")
    for name in ("label.txt", "log.txt"):
        (run.folder / name).symlink_to(outside / "secret")
    before = content(Run(outside))
    assert (run.state_steps(), run.snapshot_steps()) == ([], [])
    assert (run.label, run.log_tail(5)) == ("one", "")
    with pytest.raises(ActionableError, match=r"(state|snapshots) cannot be made .*a link lies where"):
        train(run, root)
    assert content(Run(outside)) == before


@pytest.mark.parametrize("name", ["config.json", "status.json", "label.txt", "log.txt", "metrics.jsonl"])
def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(store: RunStore, run: Run, name: str) -> None:
    run.write_metrics([])
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    for look in (run.config, run.status, lambda: run.label, lambda: run.log_tail(3), run.metrics, store.runs):
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
        run.request_stop()
    assert content(Run(outside)) == before
