"""What pages keep for the whole server: never of another run, other digits or another time, and not thrown away with a run."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from icm import run as running
from icm.config import RunConfig
from icm.store import Run, RunStore
from pages.ui import fetch, pictures
from tests.test_pages import press, show, words


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Other tests have filled the caches."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


def put_mnist(root: Path) -> None:
    """All of MNIST's files, of their true sizes: every image is black but for one grey column."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 14] = 200
        for kind, values in (("images-idx3", images), ("labels-idx1", np.zeros(count, np.uint8))):
            header = np.array([0x800 + values.ndim, *values.shape], ">u4").tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + values.tobytes())


@pytest.fixture
def on_mnist(trained: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that learned from MNIST, which is not here: the built-in digits are, under a root of their own."""
    shutil.copytree(root / "builtin", tmp_path / "data" / "builtin")
    monkeypatch.setenv("ICM_DATA_ROOT", str(tmp_path / "data"))
    config = trained.folder / "config.json"
    config.write_text(config.read_text().replace('"source": "builtin"', '"source": "mnist"'))
    return trained


def test_once_mnist_arrives_pictures_show_it_and_only_then_are_called_held_out(
    on_mnist: Run, tmp_path: Path
) -> None:
    before = pictures.shown(on_mnist, 6)
    drawn = pictures.answers(before), pictures.cards(before), pictures.detail(before, 0, 0)
    assert "built-in digit" in words(show("monitor.py"))
    put_mnist(tmp_path / "data")
    after = pictures.shown(on_mnist, 6)
    for old, new in zip(
        drawn, (pictures.answers(after), pictures.cards(after), pictures.detail(after, 0, 0))
    ):
        assert old != new
    assert "held-out digit" in words(show("monitor.py"))
    assert pictures.a_digit(0)[6:26, 16] == pytest.approx(200 / 255)  # 28 pixels on 32: two to each side


def test_once_mnist_arrives_compare_measures_it_and_says_so(on_mnist: Run, tmp_path: Path) -> None:
    count = 3  # images
    before = pictures.measured(pictures.shown(on_mnist, 6), "alphabets", "digits", count)
    text = words(show("compare.py", run="a-run"))
    assert "may have learned from them" in text
    assert "held out" not in text
    put_mnist(tmp_path / "data")
    after = pictures.measured(pictures.shown(on_mnist, 6), "alphabets", "digits", count)
    assert after.digits.psnr_nothing != before.digits.psnr_nothing
    assert after.other.psnr_nothing == before.other.psnr_nothing
    text = words(show("compare.py", run="a-run"))
    assert "No expert was ever trained on them" in text
    assert "MNIST, test digits" in text
    # The built-in digits are some of MNIST's training digits, though MNIST is here.
    assert "may have learned from them" in words(show("compare.py", run="a-run", set="Built-in digits"))


def test_a_run_made_again_under_the_same_name_is_shown_as_it_is_now(
    trained: Run, store: RunStore, root: Path
) -> None:
    before = pictures.answers(pictures.shown(trained, 6)), pictures.scores(pictures.shown(trained, 6))
    config: RunConfig = replace(trained.config(), seed=1)
    trained.delete()
    again = store.create("a-run", config, {})
    with again.locked():
        list(running.train(again, root))
    after = pictures.answers(pictures.shown(again, 6)), pictures.scores(pictures.shown(again, 6))
    assert before[0] != after[0]
    assert (before[1] != after[1]).all()


def test_the_same_networks_under_other_settings_are_other_pictures(trained: Run) -> None:
    before = pictures.answers(pictures.shown(trained, 6))
    config = trained.folder / "config.json"
    config.write_text(config.read_text().replace("left=6", "left=2"))
    assert pictures.answers(pictures.shown(trained, 6)) != before


def test_a_run_is_deleted_while_a_set_is_being_fetched_and_the_fetch_is_not_forgotten(
    trained: Run, root: Path
) -> None:
    fetches = fetch._running()
    fetches["omniglot"] = object()  # pyright: ignore[reportArgumentType]
    kept = pictures.digits("builtin", root)
    app = show("train.py")
    press(app, "Delete it")
    assert not trained.folder.exists()
    assert fetch._running() is fetches
    assert "omniglot" in fetches
    assert pictures.digits("builtin", root) is kept
