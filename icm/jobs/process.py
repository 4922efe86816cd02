"""Commands of this package as processes of their own. Every process that the project starts is started here."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from icm import files

children: list[subprocess.Popen[bytes]] = []  # processes begun here that may still run


def begin(
    words: list[str], store: Path, root: Path, output: IO[bytes] | int, threads: int | None = None
) -> subprocess.Popen[bytes]:
    """Starts a command of this package as a process that outlives this one. `threads` is how many torch takes there."""
    reap()
    limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [sys.executable, "-m", "icm", *words, "--store", str(store), "--data-root", str(root.resolve())],
        cwd=files.PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **limit},
    )
    children.append(process)
    return process


def reap() -> None:
    """Lets go of the processes that have ended, so that none stays behind as a zombie."""
    children[:] = [child for child in children if child.poll() is None]


@dataclass(frozen=True)
class Job:
    """A command of this package in a process of its own, and the file that it prints to."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it ended by itself without doing its work; one that was cancelled has not failed."""
        return (self.process.poll() or 0) > 0

    def cancel(self) -> None:
        self.process.terminate()

    def last_words(self) -> str:
        """The last line it printed, without `icm:` before it; empty when it printed nothing."""
        try:
            lines = self.log.read_text(errors="replace").split("\n")
        except OSError:  # somebody removed the file
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return said[-1].removeprefix("icm: ") if said else ""


def start_job(words: list[str], store: Path, root: Path, threads: int | None = None) -> Job:
    with files.on_disk(Path(tempfile.tempdir or "the folder for temporary files"), "written"):
        log = Path(tempfile.mkdtemp()) / "log.txt"
        output = log.open("wb")
    with output:
        return Job(begin(words, store, root, output, threads), log)
