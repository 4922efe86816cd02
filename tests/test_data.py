"""Sources of images, the two halves, and batches that depend on nothing but configuration and step."""

import struct
from pathlib import Path

import pytest
import torch

from icm import data
from icm.data import DataError, draw_batch, generator_for, load_digits, resolve_source, split_halves
from icm.mechanisms import parse

HEADERS = {"images-idx3": (0x803, 28, 28), "labels-idx1": (0x801,)}


def write_mnist(root: Path, counts: dict[str, int]) -> None:
    """MNIST's four files in torchvision's layout: real headers, every pixel of image n equal to n mod 251."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in counts.items():
        for kind, (magic, *sides) in HEADERS.items():
            each = 784 if sides else 1
            numbers = torch.arange(count) % (251 if sides else 10)
            header = struct.pack(f">{2 + len(sides)}I", magic, count, *sides)
            pixels = numbers.to(torch.uint8).repeat_interleave(each)
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + pixels.numpy().tobytes())


def test_builtin_digits_are_bright_ink_on_a_background_of_zero(root: Path) -> None:
    digits = load_digits("builtin", root)
    assert digits.train.shape == (4000, 1, 32, 32)
    assert digits.test.shape == (1000, 1, 32, 32)
    assert int(digits.train[..., :2, :].max()) == 0  # the two rows added above
    assert 0.08 < digits.train.float().mean().item() / 255 < 0.13  # mostly background
    assert digits.train.max() == 255


def test_no_builtin_digit_is_both_trained_on_and_held_out(root: Path) -> None:
    digits = load_digits("builtin", root)
    train = {image.numpy().tobytes() for image in digits.train}
    assert not train & {image.numpy().tobytes() for image in digits.test}


def test_mnist_comes_through_torchvision_padded_to_32(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 60_000, "t10k": 10_000})
    assert resolve_source("auto", tmp_path) == "mnist"
    digits = load_digits("mnist", tmp_path)
    assert digits.train.shape == (60_000, 1, 32, 32)
    assert digits.test.shape == (10_000, 1, 32, 32)
    assert digits.train[7, 0, 2:30, 2:30].unique().tolist() == [7]
    assert digits.train[7, 0, :2].unique().tolist() == [0]


def test_an_mnist_that_is_cut_short_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 100, "t10k": 10_000})
    with pytest.raises(DataError, match=r"has 100 images where 60000 belong; delete .*raw and run"):
        load_digits("mnist", tmp_path)


def test_a_damaged_packed_file_is_refused_without_a_download(tmp_path: Path, monkeypatch) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in HEADERS:
            (raw / f"{part}-{kind}-ubyte.gz").write_bytes(b"no gzip")
    monkeypatch.setattr(
        "torchvision.datasets.mnist.download_and_extract_archive", lambda *a, **k: pytest.fail("a download")
    )
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is missing or damaged.*delete"):
        load_digits("mnist", tmp_path)


def test_mnist_that_is_not_there_is_refused_with_the_remedy(tmp_path: Path) -> None:
    assert resolve_source("auto", tmp_path) == "builtin"
    with pytest.raises(DataError, match="python -m icm data mnist"):
        resolve_source("mnist", tmp_path)


def test_a_damaged_cache_of_builtin_digits_is_made_again(tmp_path: Path, root: Path) -> None:
    (tmp_path / "builtin").mkdir()
    (tmp_path / "builtin" / "digits.safetensors").write_bytes(b"torn")
    assert torch.equal(load_digits("builtin", tmp_path).test, load_digits("builtin", root).test)


def test_the_data_root_is_the_given_then_the_environments_then_the_projects(monkeypatch) -> None:
    monkeypatch.setenv("ICM_DATA_ROOT", "/elsewhere")
    assert data.data_root(Path("/given")) == Path("/given")
    assert data.data_root() == Path("/elsewhere")
    monkeypatch.delenv("ICM_DATA_ROOT")
    assert data.data_root() == Path(data.__file__).parents[1] / "data"


def test_the_halves_are_disjoint_and_together_everything() -> None:
    numbered = torch.arange(251, dtype=torch.uint8).view(-1, 1, 1, 1)
    halves = split_halves(numbered, seed=4)
    canonical, transformed = (set(half.flatten().tolist()) for half in (halves.canonical, halves.transformed))
    assert (len(canonical), len(transformed)) == (125, 126)
    assert canonical | transformed == set(range(251))
    assert canonical != set(split_halves(numbered, seed=5).canonical.flatten().tolist())


def test_a_batch_draws_each_side_from_its_own_half(root: Path) -> None:
    numbered = torch.arange(250, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 9)
    halves = split_halves(numbered, seed=0)
    batch = draw_batch(halves, parse(["right"]), 64, generator_for(0, "batch", 3))
    drawn = (batch.canonical[:, 0, 0, 0] * 255).round().to(torch.uint8).tolist()
    assert set(drawn) <= set(halves.canonical[:, 0, 0, 0].tolist())
    drawn = (batch.original[:, 0, 0, 0] * 255).round().to(torch.uint8).tolist()
    assert set(drawn) <= set(halves.transformed[:, 0, 0, 0].tolist())


def test_batch_n_depends_on_seed_and_n_alone(root: Path) -> None:
    halves = split_halves(load_digits("builtin", root).train, seed=0)
    draw = lambda seed, step: draw_batch(halves, parse(["noise"]), 4, generator_for(seed, "batch", step))  # noqa: E731
    first = draw(0, 7)
    draw(0, 8)
    assert torch.equal(first.transformed, draw(0, 7).transformed)
    assert not torch.equal(first.transformed, draw(0, 8).transformed)
    assert not torch.equal(first.canonical, draw(1, 7).canonical)
    # Seeds that torch's CPU generator alone would not tell apart.
    assert not torch.equal(first.canonical, draw(2**32, 7).canonical)
