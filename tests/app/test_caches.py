"""What pages cache for the whole server.

A page never shows what was cached for another run, other digits or another time. Deleting a run throws none of it away."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from icm.config import RunConfig
from icm.jobs import trainer
from icm.runs.run import Run
from icm.runs.store import RunStore
from pages.ui import begun, cached, pictures
from pages.ui.others import Others
from tests.app.opened import change_config, press, show, words
from tests.test_sets import fashion_content, write_fashion


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Empties the caches, which other tests have filled."""
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
    before = cached.snapshot_key(on_mnist, 6)
    drawn = cached.answers(before), cached.detail(before, 0, 0)
    assert "built-in digit" in words(show("monitor.py", large="true"))
    put_mnist(tmp_path / "data")
    after = cached.snapshot_key(on_mnist, 6)
    for old, new in zip(drawn, (cached.answers(after), cached.detail(after, 0, 0))):
        assert old != new
    assert "held-out digit" in words(show("monitor.py", large="true"))
    assert pictures.a_digit(0)[6:26, 16] == pytest.approx(200 / 255)  # 28 pixels on 32: two to each side


def test_once_mnist_arrives_compare_measures_it_and_says_so(on_mnist: Run, tmp_path: Path) -> None:
    count = 3  # images
    before = cached.measured(cached.snapshot_key(on_mnist, 6), Others("alphabets", "digits"), count)
    text = words(show("compare.py", run="a-run"))
    assert "may have learned from them" in text
    assert "held out" not in text
    put_mnist(tmp_path / "data")
    after = cached.measured(cached.snapshot_key(on_mnist, 6), Others("alphabets", "digits"), count)
    assert after[0].psnr_nothing != before[0].psnr_nothing
    assert after[1].psnr_nothing == before[1].psnr_nothing
    text = words(show("compare.py", run="a-run"))
    assert "No expert was ever trained on them" in text
    assert "MNIST, test digits" in text
    # The built-in digits are some of MNIST's training digits, though MNIST is here.
    assert "may have learned from them" in words(show("compare.py", run="a-run", set="Built-in digits"))


def test_pages_name_a_run_on_clothes_by_what_it_learned_from(on_mnist: Run, tmp_path: Path) -> None:
    change_config(on_mnist, source="fashion")
    assert "built-in digit (Fashion-MNIST is not here)" in words(show("monitor.py", large="true"))
    write_fashion(tmp_path / "data", fashion_content())
    assert "One held-out garment for each mechanism" in words(show("monitor.py", large="true"))
    text = words(show("compare.py", run="a-run"))
    assert "among the clothes" in text
    assert "the digits" not in text


def test_a_run_made_again_under_the_same_name_is_shown_as_it_is_now(
    trained: Run, store: RunStore, root: Path
) -> None:
    before = cached.answers(cached.snapshot_key(trained, 6)), cached.scores(cached.snapshot_key(trained, 6))
    config: RunConfig = replace(trained.config(), seed=1)
    trained.delete()
    again = store.create("a-run", config, {})
    with again.trainer.locked():
        list(trainer.train(again, root))
    after = cached.answers(cached.snapshot_key(again, 6)), cached.scores(cached.snapshot_key(again, 6))
    assert before[0] != after[0]
    assert (before[1] != after[1]).all()


def test_the_same_networks_under_other_settings_are_other_pictures(trained: Run) -> None:
    before = cached.answers(cached.snapshot_key(trained, 6))
    config = trained.folder / "config.json"
    config.write_text(config.read_text().replace("left=6", "left=2"))
    assert cached.answers(cached.snapshot_key(trained, 6)) != before


def test_a_run_is_deleted_while_a_set_is_being_fetched_and_the_fetch_is_not_forgotten(
    trained: Run, root: Path
) -> None:
    fetches = begun.fetches()
    fetches["omniglot"] = object()  # pyright: ignore[reportArgumentType]
    kept = cached.digits("builtin", root)
    app = show("train.py")
    press(app, "Delete it")
    assert not trained.folder.exists()
    assert begun.fetches() is fetches
    assert "omniglot" in fetches
    assert cached.digits("builtin", root) is kept
