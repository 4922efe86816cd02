"""The app as a server of its own, and a client that speaks its protocol without a browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from tests.torture import ground as on
from tests.torture.ground import Ground

CHROMIUM = shutil.which("chromium")
STARTS_WITHIN = 90.0  # seconds
FINISHED = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass(frozen=True)
class Served:
    """A running server."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def raised(self) -> "list[Raised]":
        """The exceptions in the log so far."""
        return raised_in(on.text(self.log))

    def megabytes(self) -> float:
        """Memory of the server process."""
        found = re.search(r"VmRSS:\s+(\d+)", on.text(Path(f"/proc/{self.process.pid}/status")))
        return int(found[1]) / 1024 if found else 0.0


@dataclass(frozen=True)
class Raised:
    """An exception in a log: whether it was raised in a file of ours, and whether one stands anywhere in its traceback.

    app.py hands every request on, so it stands in the traceback of each. It counts only where it is the last file."""

    error: str
    in_ours: bool
    through_ours: bool


def raised_in(log: str) -> list[Raised]:
    found = []
    _, *blocks = re.split(r"Traceback \(most recent", re.sub(r"\x1b\[[0-9;]*m", "", log))
    for block in blocks:
        lines = [line.strip(" │─╭╮╰╯") for line in block.splitlines()]
        error = next((line for line in lines if re.match(r"[\w.]+: |[\w.]*Error\b", line)), "an error")
        # The log breaks its lines in the middle of a path.
        files = re.findall(r'(/[^\s:"]+\.py)(?::\d+|", line)', "".join(lines))
        ours = [path.startswith((f"{on.PROJECT}/pages/", f"{on.PROJECT}/icm/")) for path in files]
        in_ours = files[-1:] == [f"{on.PROJECT}/app.py"] or ours[-1:] == [True]
        found.append(Raised(error[:150], in_ours, in_ours or any(ours)))
    return found


@contextmanager
def served(place: Ground) -> Iterator[Served]:
    """The app on the store and the images of `place`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    on.time_presets(place.store.root, {"tiny": 5.0, "quick": 66.0, "robust": 600.0, "paper": 1080.0})
    log = place.folder / "server.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=on.PROJECT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **on.environment(place.folder, place.root)},
        )
    try:
        on.wait_while(lambda: not _is_up(port), STARTS_WITHIN)
        yield Served(port, log, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_up(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2).close()
    except OSError:
        return False
    return True


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Chromium, as the tests start it."""
    if not CHROMIUM:
        raise SystemExit("there is no chromium: install it, or name the trials that need none")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


@dataclass
class Shown:
    """What the server sent for one run of a page's script."""

    seconds: float = 0.0
    exceptions: list[str] = field(default_factory=list)
    widgets: dict[str, str] = field(default_factory=dict)  # id -> kind
    ended: str = ""


class Session:
    """One visitor without a browser."""

    def __init__(self, port: int, origin: str | None = None, host: str | None = None) -> None:
        self.stack = ExitStack()
        self.socket: ClientConnection = self.stack.enter_context(
            connect(
                f"ws://localhost:{port}/_stcore/stream",
                origin=origin or f"http://localhost:{port}",  # pyright: ignore[reportArgumentType]
                subprotocols=["streamlit"],  # pyright: ignore[reportArgumentType]
                additional_headers={"Host": host} if host else None,
                max_size=None,
                open_timeout=30,
                close_timeout=1,
            )
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def send(self, **message: object) -> None:
        self.socket.send(BackMsg(**message).SerializeToString())  # pyright: ignore[reportArgumentType]

    def show(self, page: str, query: str = "", **state: object) -> Shown:
        """Opens a page and waits until its script has ended."""
        self.send(rerun_script=ClientState(page_name=page, query_string=query, **state))  # pyright: ignore[reportArgumentType]
        return self.read()

    def read(self, seconds: float = 60.0) -> Shown:
        """What comes until a script has ended and does not begin anew at once; `ended` is "none" when none ends in time."""
        shown, begun = Shown(ended="none"), time.monotonic()
        while (left := begun + seconds - time.monotonic()) > 0:
            try:
                data = self.socket.recv(timeout=left)
            except TimeoutError:
                break
            message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                _look_at(message.delta.new_element, shown)
            elif kind == "script_finished":
                shown.ended = ForwardMsg.ScriptFinishedStatus.Name(message.script_finished)
                if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    break
        shown.seconds = time.monotonic() - begun
        return shown


def _look_at(element: Element, shown: Shown) -> None:
    kind = element.WhichOneof("type")
    if kind == "exception":
        shown.exceptions.append(f"{element.exception.type}: {element.exception.message[:80]}")
    elif kind and (widget := getattr(getattr(element, kind), "id", "")):
        shown.widgets[widget] = kind
