"""Shapes and types in icm's signatures are checked while the tests run; no test touches a real store."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("icm", "beartype.beartype")

from icm.config import PRESETS, RunConfig  # noqa: E402
from icm.data import Batch, data_root, draw_batch, generator_for, load_digits, split_halves  # noqa: E402
from icm.mechanisms import parse  # noqa: E402
from icm.store import RunStore  # noqa: E402


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store of its own, which pages and commands started here use too. Its presets are timed: else every test that
    opens the Train page would start a process that times them."""
    monkeypatch.setenv("ICM_STORE", str(tmp_path / "runs"))
    store = RunStore(tmp_path / "runs")
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
