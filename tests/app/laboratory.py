"""The app as a visitor meets it: a real server with a store of its own, and a tab in a real browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

PROJECT = Path(__file__).parents[2]
# Milliseconds that a test waits for what must come. Who waits for less measures how busy the machine is.
PATIENCE = 120_000
DESK: ViewportSize = {"width": 1440, "height": 1000}
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass(frozen=True)
class Laboratory:
    """A server with a store of its own."""

    address: str  # of its Home page
    store: Path
    log: Path
    pid: int  # of the server

    def complaints(self, begun: int) -> str:
        """What it has logged from that byte on, if there is an exception in it."""
        said = self.log.read_bytes()[begun:].decode(errors="replace")
        return said if "Traceback" in said else ""


@contextmanager
def started(folder: Path, script: str = "app.py", *words: str) -> Iterator[Laboratory]:
    """A server that was just started, with an empty folder for its store and its log."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    store, log_file = folder / "runs", folder / "server.txt"
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    command += ["--", *words] if words else []
    environment = {**os.environ, "ICM_STORE": str(store)}
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    found = Laboratory(f"http://localhost:{port}", store, log_file, process.pid)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{found.address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def tab(browser: Browser | BrowserContext, phone: bool = False, **options: Any) -> Iterator[Page]:
    """A tab on a desk or on a phone with a touch screen; no error in it, no request elsewhere.

    With a browser it has a session of its own, to which `options` are Playwright's. In a session that is given, of which a phone
    is none, it leaves nothing that a page has stored. It is closed before the test's store goes: a page that looks again and
    again would log that."""
    if isinstance(browser, Browser):
        session = browser.new_context(viewport=PHONE if phone else DESK, has_touch=phone, **options)
    else:
        session = browser
    session.set_default_timeout(PATIENCE)
    page = session.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: errors.append(request.url) if "localhost" not in request.url else None)
    try:
        yield page
    finally:
        if session is browser:
            _forget(page)
            page.close()
        else:
            session.close()
    foreign = [error for error in errors if not error.startswith(("data:", "blob:"))]
    assert not foreign, foreign


def _forget(page: Page) -> None:
    """Takes away what the page has stored in its session, all but the code that it fetched."""
    address = urlsplit(page.url)
    if address.netloc:
        stored = {
            "origin": f"{address.scheme}://{address.netloc}",
            "storageTypes": "cookies,local_storage,indexeddb",
        }
        page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", stored)
