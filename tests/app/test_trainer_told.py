"""What a trainer prints, hears and holds: closed terminals, signals, stops, locks, and what a reader believes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from icm.config import RunConfig
from icm.files import PROJECT
from icm.jobs import launch
from icm.runs.errors import StoreError
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import icm, train
from tests.torture.disks import give_up_rights

# Output and signals


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
    """For a new process: signals work as in a terminal, even if the tests were started with nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def begun(words: list[str], root: Path) -> subprocess.Popen[str]:
    """Starts `python WORDS`; what it complains of can be read from its standard error."""
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
    while not run.rows.lines():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, "")
    assert run.state() == "stopped"
    assert run.states.steps()[-1] == run.status().step


@pytest.mark.parametrize(
    "imported", ["icm.errors", "rich.console", "icm.cli.main", "numpy.linalg", "torch._C"]
)
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


# What a reader believes


def test_a_reader_keeps_no_launcher_out(run: Run) -> None:
    """Each look holds the lock for an instant. Looking without a pause makes that the usual case."""
    with run.trainer.starting():
        pass
    done = threading.Event()
    readers = [
        threading.Thread(target=lambda: [run.state() for _ in iter(done.is_set, True)]) for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    try:
        for _ in range(200):
            with run.trainer.starting():
                pass
    finally:
        done.set()
        for reader in readers:
            reader.join()


def test_a_stop_that_is_asked_for_while_the_trainer_is_on_its_way_is_heard(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.trainer.request_stop()  # of a trainer that was killed: not meant for this one
    run.extend(100_000)
    begin = launch.begin

    def begin_and_be_stopped(*words: Any) -> Any:
        assert not run.trainer.stop_requested()
        run.trainer.request_stop()
        return begin(*words)

    monkeypatch.setattr(launch, "begin", begin_and_be_stopped)
    launch.start(run, root)
    deadline = time.monotonic() + 60
    while run.trainer.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run.state() == "stopped"


def test_a_run_whose_trainer_died_at_once_is_not_on_its_way(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no memory')"]
    monkeypatch.setattr(launch, "begin", lambda *_: subprocess.Popen(words, stderr=subprocess.DEVNULL))
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
        looks = (
            seen.state() == "finished"
            and not seen.trainer.is_alive()
            and seen.snapshots.read(12)
            and seen.rows.read()
        )
        os._exit(0 if looks and not os.access(run.folder, os.W_OK) else 1)
    _, status = os.waitpid(child, 0)
    for path in (store.root, run.folder, run.folder / "state", run.folder / "snapshots"):
        path.chmod(0o755)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_run_between_making_and_training_is_starting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.state() == "starting"
    later = time.time() + 60
    monkeypatch.setattr("icm.runs.status.time.time", lambda: later)
    assert run.state() == "stopped"  # nobody has begun it, and somebody can
    with run.trainer.starting():
        assert run.state() == "starting"


def test_a_heartbeat_from_the_future_does_not_hide_a_stall(run: Run) -> None:
    run.write_status("competing", 1, 12)
    row = json.loads((run.folder / "status.json").read_text())
    (run.folder / "status.json").write_text(json.dumps({**row, "heartbeat": time.time() + 3600}))
    with run.trainer.locked():
        assert run.state() == "stalled"


def test_when_a_run_was_made_is_written_down(store: RunStore, short: RunConfig, run: Run) -> None:
    created = run.created
    os.utime(run.folder / "config.json", (1, 1))
    assert run.created == created
    second = store.create("two", short, {})
    os.utime(second.folder / "config.json", (2, 2))
    assert [each.id for each in store.runs()] == ["two", "one"]


def test_two_runs_of_one_second_have_two_names(short: RunConfig) -> None:
    names = set()
    for _ in range(3):
        names.add(launch.new_run_id(short))
        time.sleep(0.002)  # nobody starts two runs in one millisecond
    assert len(names) == 3
