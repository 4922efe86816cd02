"""A process that has torch imported and forks children which run `python -m icm` or one of `actors.TASKS`.

Importing torch takes seconds and a hundred trainers are wanted. A child is a process of its own, with its own session,
signals, standard streams and exit code; only the imports are done already. `Forks` is the trial's side, `main` the parent's:
requests and replies are lines of JSON on the parent's standard input and output."""

import contextlib
import importlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a child ended and what it said."""

    code: int  # negative: the signal that ended it
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on standard error."""
        return [line for line in self.err.splitlines() if line.strip()]


@dataclass(frozen=True)
class Child:
    """A forked process that may still be running."""

    forks: "Forks"
    pid: int
    out: Path
    err: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends the signal, unless the child has ended. A child that ends now keeps its process id until the parent is asked
        again, so the signal reaches nobody else."""
        if not self.ended():
            os.kill(self.pid, number)

    def ended(self) -> bool:
        return self.forks.ask(do="poll", pid=self.pid)["code"] is not None

    def wait(self, seconds: float = 120.0) -> Ended:
        """Waits for its end. A child that is still there after `seconds` is killed and has the code -9."""
        deadline = time.monotonic() + seconds
        while (code := self.forks.ask(do="poll", pid=self.pid)["code"]) is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.01)
        out, err = (
            path.read_text(errors="replace") if path.is_file() else "" for path in (self.out, self.err)
        )
        return Ended(code, out, err)


class Forks:
    """Starts the parent; leaving the context ends it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.forks"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.count = 0

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        shutil.rmtree(self.folder)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply:
            raise ChildProcessError(
                f"the parent of the trainers has ended with {self.process.wait(timeout=10)}"
            )
        return json.loads(reply)

    def start(
        self,
        task: str,
        *words: str,
        out: str | None = None,
        err: str | None = None,
        close: Sequence[int] = (),
        largest_file: int | None = None,
        humble: bool = False,
    ) -> Child:
        """A child that does `task` with `words`.

        Its output goes to files of its own unless `out` and `err` name others. It lacks the streams in `close`. None of its files
        may grow over `largest_file` bytes. Permissions bind a `humble` child even when root runs it."""
        self.count += 1
        output, errors = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        reply = self.ask(
            do="start",
            task=task,
            words=words,
            out=out or str(output),
            err=err or str(errors),
            close=list(close),
            largest_file=largest_file,
            humble=humble,
        )
        return Child(self, reply["pid"], Path(out) if out else output, Path(err) if err else errors)

    def icm(self, *words: str, **options: Any) -> Child:
        """`python -m icm` with these words."""
        return self.start("icm", *words, **options)


# The parent's side


def icm(words: Sequence[str]) -> int:
    """What `python -m icm` does, in this process."""
    sys.argv = ["icm", *words]
    try:
        runpy.run_module("icm", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def main() -> None:
    # Imported here: the trial's side of this module needs no torch.
    from tests.torture.actors import TASKS

    tasks = {"icm": icm, **TASKS}
    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            reply: dict[str, Any] = {"pid": _fork(tasks[request["task"]], request)}
        elif request["do"] == "load":
            for module in request["modules"]:
                with contextlib.suppress(ImportError):  # a few are made by torch itself and have no file
                    importlib.import_module(module)
            reply = {}
        else:
            reply = {"code": _poll(request["pid"], codes)}
        print(json.dumps(reply), flush=True)
    os._exit(0)  # an interpreter with torch takes seconds to tidy up


def _poll(pid: int, codes: dict[int, int]) -> int | None:
    if pid not in codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found == 0:
            return None
        codes[pid] = os.waitstatus_to_exitcode(status)
    return codes[pid]


def _fork(task: Any, request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _as_asked(request)
        code = task(request["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        code = _flushed(code)
        os._exit(code)
    return 0


def _as_asked(request: dict[str, Any]) -> None:
    """Sets the streams, limits and rights of the child."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        opened = os.open(path, os.O_RDONLY if number == 0 else flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    for number in request["close"]:
        os.close(number)
    if request["largest_file"] is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    if request["humble"]:
        from tests.torture.disks import give_up_rights

        give_up_rights()


def _flushed(code: int) -> int:
    """Flushes what was printed, as Python does at its end: output that cannot be written turns success into exit code 120."""
    try:
        sys.stderr.flush()
        sys.stdout.flush()
    except (OSError, ValueError):
        return code or 120
    return code


if __name__ == "__main__":
    main()
