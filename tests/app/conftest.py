"""What opens pages, processes or a browser; all of it is marked `browser`. Here are a browser, and a server for it."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect, sync_playwright

from icm.files import PROJECT
from icm.presets import PRESETS
from icm.runs.run import SHIPPED, Run
from icm.runs.store import RunStore
from tests.app.laboratory import DESK, PATIENCE, Laboratory, started, tab
from tests.short_runs import copied, train

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browsers() -> Iterator[BrowserType]:
    """What opens real browsers; skipped without one, unless ICM_REQUIRE_E2E=1, which makes that an error."""
    if not CHROMIUM:
        assert os.environ.get("ICM_REQUIRE_E2E") != "1", "ICM_REQUIRE_E2E=1, and there is no chromium"
        pytest.skip("no chromium; ICM_REQUIRE_E2E=1 insists")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        yield playwright.chromium


@pytest.fixture(scope="session")
def chromium(browsers: BrowserType) -> Iterator[Browser]:
    """A real browser, for sessions of one's own."""
    browser = browsers.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def desk(browsers: BrowserType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """The session of a real browser that the tests share, one after the other, as a visitor's lasts from one day to the next: it
    keeps the code of the front end, without which it costs half as much again to open a page (docs/LOG.md)."""
    profile = tmp_path_factory.mktemp("profile")
    session = browsers.launch_persistent_context(
        profile, executable_path=CHROMIUM, args=ARGUMENTS, viewport=DESK
    )
    yield session
    session.close()


@pytest.fixture(scope="session")
def laboratory(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The server that the tests share, one after the other: a new one has torch to import, ten seconds on two cores."""
    with started(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def server(laboratory: Laboratory, store: RunStore) -> Iterator[str]:
    """The address of the server, whose store is the test's and empty. No exception is logged, and no trainer stays."""
    begun = laboratory.log.stat().st_size
    yield laboratory.address
    for run in store.runs():
        run.trainer.request_stop()
    deadline = time.monotonic() + 30
    while any(run.trainer.is_alive() for run in store.runs()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not laboratory.complaints(begun), laboratory.complaints(begun)


@pytest.fixture
def fresh_server(root: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server that has shown no page yet."""
    with started(tmp_path) as found:
        yield found.address
        assert not found.complaints(0), found.complaints(0)


@pytest.fixture
def page(desk: BrowserContext, server: str) -> Iterator[Page]:
    """A tab at the test's server, see `tab`."""
    with tab(desk) as page:
        yield page


@pytest.fixture(scope="session")
def finished_once(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run that was trained to its end, with four snapshots. Trained once for all tests, which take copies."""
    tiny = replace(PRESETS["tiny"], source="builtin")
    run = RunStore(tmp_path_factory.mktemp("runs")).create("finished", tiny, {})
    train(run, root)
    assert run.snapshots.steps() == [0, 25, 50, 60]
    return run


@pytest.fixture
def finished(store: RunStore, finished_once: Run) -> Run:
    """A copy of the tiny run."""
    return copied(finished_once, store)


@pytest.fixture
def boxed(store: RunStore) -> Run:
    """The run that ships with the project, in the test's store."""
    return Run(shutil.copytree(PROJECT / "checkpoints" / SHIPPED, store.root / "boxed"))
