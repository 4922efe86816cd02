"""Shapes and types in icm's signatures are checked while the tests run; no test touches a real store.

Here are the store, the digits, and a browser with a server of its own."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook
from playwright.sync_api import Browser, Page, sync_playwright

install_import_hook("icm", "beartype.beartype")

from icm import run as running  # noqa: E402
from icm.config import PRESETS, RunConfig  # noqa: E402
from icm.data import Batch, data_root, draw_batch, generator_for, load_digits, split_halves  # noqa: E402
from icm.mechanisms import parse  # noqa: E402
from icm.store import Run, RunStore  # noqa: E402
from tests.laboratory import Laboratory, started, tab  # noqa: E402

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
LONG = (
    "test_browser.py",
    "test_torture.py",
    "test_letting_in.py",
    "test_browser_draw.py",
    "test_clock.py",
    "test_cli.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bfloat16",
        choices=("on", "off"),
        default="off",
        help="Arithmetic of the networks on the CPU, whatever is faster here: bfloat16 (on) or float32 (off).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """What the suite depends on is fixed here and not left to the machine: arithmetic, and threads of every process."""
    os.environ["ICM_BFLOAT16"] = str(config.getoption("--bfloat16"))
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: two processes, a file at a time, then end at about the same time."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """An empty store, which pages, commands and the test's server use too. Its presets are timed: else every test that
    opens the Train page would start a process that times them."""
    served = "server" in request.fixturenames
    folder = request.getfixturevalue("laboratory").store if served else tmp_path / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    monkeypatch.setenv("ICM_STORE", str(folder))
    store = RunStore(folder)
    store.write_durations({"tiny": 5.0, "quick": 66.0, "paper": 1080.0})
    return store


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root with the built-in digits and nothing else, parsed once for all tests."""
    folder = tmp_path_factory.mktemp("data")
    previous = os.environ.get("ICM_DATA_ROOT")
    os.environ["ICM_DATA_ROOT"] = str(folder)
    load_digits("builtin", data_root())
    yield folder
    if previous is None:
        del os.environ["ICM_DATA_ROOT"]
    else:
        os.environ["ICM_DATA_ROOT"] = previous


@pytest.fixture(scope="session")
def batch(root: Path) -> Batch:
    """Six real digits through three mechanisms."""
    halves = split_halves(load_digits("builtin", root).train, seed=0)
    return draw_batch(halves, parse(["right", "contrast", "noise"]), 6, generator_for(0, "batch"))


@pytest.fixture
def tiny() -> RunConfig:
    return PRESETS["tiny"]


@pytest.fixture
def trained(store: RunStore, root: Path, tiny: RunConfig) -> Run:
    """A finished run of a few steps."""
    run = store.create("a-run", replace(tiny, source="builtin", training=replace(tiny.training, steps=6)), {})
    with run.locked():
        list(running.train(run, root))
    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser; skipped without one, unless ICM_REQUIRE_E2E=1, which makes that an error."""
    if not CHROMIUM:
        assert os.environ.get("ICM_REQUIRE_E2E") != "1", "ICM_REQUIRE_E2E=1, and there is no chromium"
        pytest.skip("no chromium; ICM_REQUIRE_E2E=1 insists")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


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
        run.request_stop()
    deadline = time.monotonic() + 30
    while any(run.is_alive() for run in store.runs()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not laboratory.complaints(begun), laboratory.complaints(begun)


@pytest.fixture
def fresh_server(root: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server that has shown no page yet."""
    with started(tmp_path) as found:
        yield found.address
        assert not found.complaints(0), found.complaints(0)


@pytest.fixture
def page(chromium: Browser, server: str) -> Iterator[Page]:
    """A tab at the test's server, see `tab`."""
    with tab(chromium) as page:
        yield page
