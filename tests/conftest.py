"""Shapes and types in icm's signatures are checked while the tests run; no test touches a real store.

`pytest -m "not browser"` leaves out tests/app, which opens pages, processes and a browser, and imports nothing of it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

install_import_hook("icm", "beartype.beartype")

from icm.config import RunConfig  # noqa: E402
from icm.presets import PRESETS  # noqa: E402
from icm.runs.run import Run  # noqa: E402
from icm.runs.store import RunStore  # noqa: E402
from tests.short_runs import copied, train  # noqa: E402

# Fixtures import what imports torch, which takes seconds: the process that only hands out tests needs none of it.
if TYPE_CHECKING:
    from icm.images.batches import Batch

SHORT = replace(
    PRESETS["tiny"],
    source="builtin",
    identity=replace(PRESETS["tiny"].identity, steps=3),
    training=replace(PRESETS["tiny"].training, steps=12),
    recording=replace(PRESETS["tiny"].recording, every=1, state_every=4),
)

APP = Path(__file__).parent / "app"
LONG = (
    "test_browser.py",
    "test_torture.py",
    "test_letting_in.py",
    "test_browser_draw.py",
    "test_clock.py",
    "test_cli.py",
    "test_resume.py",
    "test_shipped.py",
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
    os.environ["OMP_NUM_THREADS"] = "1"  # torch, which is not imported yet, will use one thread


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not browser"` tests/app is not even imported: playwright takes a second."""
    return (config.option.markexpr == "not browser" and collection_path == APP) or None


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
    store.write_durations({"tiny": 5.0, "quick": 66.0, "robust": 600.0, "paper": 1080.0})
    return store


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root with the built-in digits and nothing else, parsed once for all tests."""
    from icm.images.digits import data_root, load_digits

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
def batch(root: Path) -> "Batch":
    """Six real digits through three mechanisms."""
    from icm.images.batches import draw_batch, generator_for, split_halves
    from icm.images.digits import load_digits
    from icm.images.mechanisms import parse

    halves = split_halves(load_digits("builtin", root).train, seed=0)
    return draw_batch(halves, parse(["right", "contrast", "noise"]), 6, generator_for(0, "batch"))


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads torch takes; after the test it takes as many as before."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> RunConfig:
    return PRESETS["tiny"]


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Run:
    """A finished run of a few steps. Trained once for all tests, which take copies."""
    tiny = PRESETS["tiny"]
    config = replace(tiny, source="builtin", training=replace(tiny.training, steps=6))
    run = RunStore(tmp_path_factory.mktemp("runs")).create("a-run", config, {})
    train(run, root)
    return run


@pytest.fixture
def trained(store: RunStore, trained_once: Run) -> Run:
    """A copy of the finished run."""
    return copied(trained_once, store)


@pytest.fixture
def short() -> RunConfig:
    """Twelve short steps of competition, a row each, a state every fourth."""
    return SHORT


@pytest.fixture
def run(store: RunStore, short: RunConfig) -> Run:
    """A run of these twelve steps, not started."""
    return store.create("one", short, {"command": "a test"})


@pytest.fixture(scope="session")
def stopped_once(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Run:
    """Such a run, stopped after its sixth step. Trained once for all tests, which take copies."""
    run = RunStore(tmp_path_factory.mktemp("runs")).create("one", SHORT, {"command": "a test"})
    train(run, root, stop_at=6)
    return run


@pytest.fixture
def stopped(store: RunStore, stopped_once: Run) -> Run:
    """A copy of the run that was stopped after its sixth step."""
    return copied(stopped_once, store)
