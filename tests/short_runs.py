"""Short runs for the tests of what is kept: trained here or by a command, and what lies in their folders."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from icm.files import PROJECT
from icm.runs.run import Run
from icm.runs.store import RunStore


def train(run: Run, root: Path, stop_at: int | None = None) -> list[str]:
    """Trains to the end, or to a stop after that step of competition. Returns what a person was told."""
    from icm.jobs import trainer  # it imports torch, which takes seconds

    notices = []
    with run.trainer.locked():
        for event in trainer.train(run, root):
            notices += [event.notice] if event.notice else []
            if (event.phase, event.step) == ("competing", stop_at):
                run.trainer.request_stop()
    return notices


def copied(run: Run, store: RunStore) -> Run:
    """A copy of the run in another store, under the same name."""
    shutil.copytree(run.folder, store.root / run.id)
    return store.open(run.id)


def content(run: Run) -> dict[str, bytes]:
    """Every file of the run."""
    return {
        path.relative_to(run.folder).as_posix(): path.read_bytes()
        for path in run.folder.rglob("*")
        if path.is_file()
    }


def icm(*words: str, root: Path, limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    """Runs `python -m icm` with these words, in a process that may write files of at most `limit` bytes."""

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
