"""Commands of this package as processes of their own. Every process that the project starts is started here."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO

from icm import files

children: list[subprocess.Popen[bytes]] = []  # processes begun here that may still run


def begin(
    words: list[str],
    store: Path,
    root: Path,
    output: IO[bytes],
    threads: int | None = None,
    errors: IO[bytes] | int = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    """Starts a command of this package as a process that outlives this one. `threads` is how many torch takes there.

    What it says on standard error goes to `output` too, where no `errors` are given."""
    reap()
    limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [sys.executable, "-m", "icm", *words, "--store", str(store), "--data-root", str(root.resolve())],
        cwd=files.PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
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
    """A command of this package in a process of its own. It writes into files without a name, which go when nobody has them open."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    errors: IO[bytes]

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it ended by itself without doing its work; one that was cancelled has not failed."""
        return (self.process.poll() or 0) > 0

    def cancel(self) -> None:
        self.process.terminate()

    def printed(self) -> str:
        """All that it has printed on standard output so far."""
        return _content(self.output)

    def last_words(self) -> str:
        """The last line it wrote on standard error, without `icm:` before it; empty when it wrote nothing there."""
        said = [line.strip() for line in _content(self.errors).split("\n") if line.strip()]
        return said[-1].removeprefix("icm: ") if said else ""


def _content(file: IO[bytes]) -> str:
    """What the file holds. It is mapped, since reading would move the place where the process writes next."""
    if os.fstat(file.fileno()).st_size == 0:  # nothing could be mapped
        return ""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        return mapped[:].decode(errors="replace")


def start_job(words: list[str], store: Path, root: Path, threads: int | None = None) -> Job:
    with files.on_disk(Path(tempfile.tempdir or "the folder for temporary files"), "written"):
        output, errors = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115, whoever has the job reads them
    return Job(begin(words, store, root, output, threads, errors), output, errors)
