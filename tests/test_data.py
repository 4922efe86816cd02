"""Sources of images, the two halves, and batches that depend on nothing but configuration and step."""

import gzip
import hashlib
import os
import resource
import shutil
import struct
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from icm.files import PROJECT, write_arrays
from icm.images import digits as digits_of
from icm.images import sets
from icm.images.digits import data_root, has_mnist, load_digits, resolve_source, source_at_hand
from icm.images.download import download
from icm.images.sets import DataError, published
from icm.images.unseen import load_unseen
from tests.test_sets import fashion_content, write_fashion

HEADERS = {"images-idx3": (0x803, 28, 28), "labels-idx1": (0x801,)}
FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in HEADERS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's four files in torchvision's layout: real headers, every pixel of image n equal to n mod 251."""
    root = tmp_path_factory.mktemp("mnist")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in {"train": 60_000, "t10k": 10_000}.items():
        for kind, (magic, *sides) in HEADERS.items():
            each = 784 if sides else 1
            numbers = torch.arange(count) % (251 if sides else 10)
            header = struct.pack(f">{2 + len(sides)}I", magic, count, *sides)
            pixels = numbers.to(torch.uint8).repeat_interleave(each)
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + pixels.numpy().tobytes())
    return root


@pytest.fixture
def mnist(whole: Path, tmp_path: Path) -> Path:
    """A data root with that MNIST, hard links to the same files. `mine` makes one of them its own, so that it may be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "with-mnist", copy_function=os.link))


def mine(root: Path, name: str) -> Path:
    file = root / "MNIST" / "raw" / name
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    return file


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


def test_mnist_is_padded_to_32(whole: Path) -> None:
    assert resolve_source("auto", whole) == "mnist"
    digits = load_digits("mnist", whole)
    assert digits.train.shape == (60_000, 1, 32, 32)
    assert digits.test.shape == (10_000, 1, 32, 32)
    assert digits.train[7, 0, 2:30, 2:30].unique().tolist() == [7]
    assert digits.train[7, 0, :2].unique().tolist() == [0]
    assert digits.train_labels[[7, 10, 59_999]].tolist() == [7, 0, 9]
    assert digits.test_labels.dtype == torch.long


def test_mnist_is_read_packed_and_nothing_is_written_beside_it(mnist: Path, monkeypatch) -> None:
    parts = []
    for name in FILES:
        plain = mnist / "MNIST" / "raw" / name
        packed = gzip.compress(plain.read_bytes(), compresslevel=1)
        plain.with_name(f"{name}.gz").write_bytes(packed)
        plain.unlink()
        parts.append((published(f"MNIST/raw/{name}.gz", len(packed), "unknown"),))
    monkeypatch.setitem(sets.PARTS, "mnist", tuple(parts))
    before = sorted(mnist.rglob("*"))
    digits = load_digits("mnist", mnist)
    assert digits.train[9, 0, 5, 5] == 9
    assert digits.test_labels[:3].tolist() == [0, 1, 2]
    assert sorted(mnist.rglob("*")) == before


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("harm", [cut_short, as_folder, Path.unlink, lambda file: file.write_bytes(b"")])
@pytest.mark.parametrize("name", FILES)
def test_half_a_download_is_no_mnist(mnist: Path, name: str, harm: Callable[[Path], object]) -> None:
    assert has_mnist(mnist)
    harm(mine(mnist, name))
    assert not has_mnist(mnist)
    assert resolve_source("auto", mnist) == "builtin"
    for ask in (
        lambda: resolve_source("mnist", mnist),
        lambda: load_digits("mnist", mnist),
        lambda: load_unseen("mnist", mnist, "digits", 3),
    ):
        with pytest.raises(DataError, match=rf"{name} (has|is) .*; run `python -m icm data mnist` to fetch"):
            ask()


def with_start(start: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(start + file.read_bytes()[len(start) :])


@pytest.mark.parametrize(
    "harm",
    [
        with_start(b"\0\0\x0d\x02"),  # floats in two axes
        with_start(b"\0\0\x08\x03\0\0\x27\x0f"),  # 9,999 images
        lambda file: file.write_bytes(b"g" * file.stat().st_size),
    ],
)
@pytest.mark.parametrize("name", FILES)
def test_mnist_that_is_damaged_inside_is_one_sentence_and_no_longer_here(
    mnist: Path, name: str, harm: Callable[[Path], object]
) -> None:
    harm(mine(mnist, name))
    assert has_mnist(mnist)  # by its size
    sentence = (
        rf"{name} cannot be read \(it is no idx file of .*\); run `python -m icm data mnist` to fetch it"
    )
    with pytest.raises(DataError, match=sentence):
        load_digits("mnist", mnist)
    assert not has_mnist(mnist)
    assert resolve_source("auto", mnist) == "builtin"
    with pytest.raises(DataError, match=rf"{name} is damaged; run `python -m icm data mnist` to fetch it"):
        load_unseen("mnist", mnist, "digits", 3)


def test_a_label_above_nine_is_damage(mnist: Path) -> None:
    file = mine(mnist, "t10k-labels-idx1-ubyte")
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte cannot be read \(it has a label 10, and"):
        load_digits("mnist", mnist)


def test_damaged_mnist_is_here_again_once_the_file_is_replaced(mnist: Path) -> None:
    file = mine(mnist, "t10k-labels-idx1-ubyte")
    right = file.read_bytes()
    file.write_bytes(b"g" * len(right))
    with pytest.raises(DataError):
        load_digits("mnist", mnist)
    file.write_bytes(right)
    assert has_mnist(mnist)
    assert len(load_digits("mnist", mnist).test_labels) == 10_000


@pytest.mark.parametrize("harm", [lambda packed: b"g" * len(packed), lambda packed: packed[:-1] + b"x"])
def test_a_packed_file_that_is_damaged_is_one_sentence(
    mnist: Path, monkeypatch, harm: Callable[[bytes], bytes]
) -> None:
    plain = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    packed = gzip.compress(plain.read_bytes())
    plain.unlink()
    plain.with_name(f"{plain.name}.gz").write_bytes(harm(packed))
    labels = published(f"MNIST/raw/{plain.name}.gz", len(packed), "unknown")
    monkeypatch.setitem(sets.PARTS, "mnist", (*sets.PARTS["mnist"][:3], (labels,)))
    with pytest.raises(
        DataError, match=r"t10k-labels-idx1-ubyte.gz cannot be read \(.*\); run `python -m icm"
    ):
        load_digits("mnist", mnist)


def test_mnist_that_is_not_there_is_refused_with_the_remedy(tmp_path: Path) -> None:
    assert resolve_source("auto", tmp_path) == "builtin"
    with pytest.raises(
        DataError, match=r"no mnist under .*; run `python -m icm data mnist`, or use --source"
    ):
        resolve_source("mnist", tmp_path)


def test_a_mixture_has_as_many_digits_as_clothes_in_either_half(mnist: Path) -> None:
    write_fashion(mnist, fashion_content())
    found = load_digits(resolve_source("mixture", mnist), mnist)
    for each, count in ((found.train, 16_000), (found.test, 4000)):
        empty = each.flatten(1).amax(dim=1) == 0  # the fake clothes, and of the fake digits one in 251
        assert len(each) == count
        assert count / 2 <= int(empty.sum()) <= count / 2 * (1 + 1 / 250) + 1
    shown = load_unseen("mixture", mnist, "digits", 6).pixels
    assert shown.flatten(1).amax(dim=1).tolist() == [0, 0, 1, 0, 2, 0]  # digit, clothes, digit and so on


def test_clothes_that_are_not_there_are_refused_and_shown_by_the_builtin_digits(mnist: Path) -> None:
    for source in ("fashion", "mixture"):
        with pytest.raises(
            DataError, match=r"no fashion under .*; run `python -m icm data fashion`, or use --source"
        ):
            resolve_source(source, mnist)
        assert source_at_hand(source, mnist) == "builtin"
    write_fashion(mnist, fashion_content())
    assert source_at_hand("mixture", mnist) == "mixture"


# Fetching, with fakes that behave as torchvision does: what is there is left alone.

CONTENT = {"a": b"what was published", "b": b"another part"}
CLASSES = {"mnist": "MNIST", "omniglot": "Omniglot", "fashion": "FashionMNIST", "usps": "USPS"}


@pytest.fixture(params=CLASSES)
def offered(request: pytest.FixtureRequest, monkeypatch) -> str:
    """The name of a set of two small files that can be fetched."""

    def fetch(root: str, **options: bool) -> None:
        for name, content in CONTENT.items():
            file = Path(root) / name
            file.parent.mkdir(exist_ok=True)
            if not file.exists():
                file.write_bytes(content)

    folder = "USPS/" if request.param == "usps" else ""
    parts = [
        (published(folder + name, len(content), hashlib.md5(content).hexdigest()),)
        for name, content in CONTENT.items()
    ]
    monkeypatch.setitem(sets.PARTS, request.param, tuple(parts))
    monkeypatch.setattr(f"torchvision.datasets.{CLASSES[request.param]}", fetch)
    return request.param


def place(root: Path, offered: str, name: str) -> Path:
    return root / "USPS" / name if offered == "usps" else root / name


@pytest.mark.parametrize("found", [b"", b"what was", b"what was d@maged!!", b"what was published and more"])
def test_fetching_again_replaces_what_is_cut_short_or_damaged(
    tmp_path: Path, offered: str, found: bytes
) -> None:
    download(offered, tmp_path)
    place(tmp_path, offered, "a").write_bytes(found)
    assert sets.in_words(offered, tmp_path).split(",")[0] == (
        "damaged" if len(found) == len(CONTENT["a"]) else "incomplete"
    )
    download(offered, tmp_path)
    assert {name: place(tmp_path, offered, name).read_bytes() for name in CONTENT} == CONTENT
    assert sets.in_words(offered, tmp_path) == "here"


def test_a_set_that_is_sound_is_not_fetched_again(tmp_path: Path, offered: str, monkeypatch) -> None:
    download(offered, tmp_path)
    monkeypatch.setattr(
        f"torchvision.datasets.{CLASSES[offered]}", lambda *a, **k: pytest.fail("it was fetched")
    )
    download(offered, tmp_path)


def test_a_folder_in_place_of_a_file_is_left_alone_and_told(tmp_path: Path, offered: str) -> None:
    mine = place(tmp_path, offered, "a") / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("a letter")
    with pytest.raises(DataError, match=r"a is a folder where a file belongs; move it away and try again"):
        download(offered, tmp_path)
    assert mine.read_text() == "a letter"


def test_a_fetch_that_brings_something_else_is_told(tmp_path: Path, offered: str, monkeypatch) -> None:
    monkeypatch.setitem(CONTENT, "b", b"half")
    with pytest.raises(DataError, match=rf"{offered} was fetched, but .*b has 4 bytes where 12 belong; run"):
        download(offered, tmp_path)


@pytest.mark.parametrize(
    "trouble", [OSError("no route"), RuntimeError("no mirror"), IncompleteRead(b""), EOFError("cut")]
)
def test_a_fetch_that_fails_is_one_sentence(tmp_path: Path, monkeypatch, trouble: Exception) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise trouble

    monkeypatch.setattr("torchvision.datasets.USPS", fail)
    with pytest.raises(DataError, match=r"usps could not be fetched into .*; check the network and the disk"):
        download("usps", tmp_path)


# The cache of the built-in digits


@pytest.fixture
def parsed(root: Path, monkeypatch) -> list[str]:
    """Notes each time the built-in digits are parsed, which here takes no time."""
    digits, notes = load_digits("builtin", root), []

    def parse_at_once() -> tuple[torch.Tensor, torch.Tensor]:
        notes.append("parsed")
        return torch.cat([digits.test, digits.train]), torch.cat([digits.test_labels, digits.train_labels])

    monkeypatch.setattr(digits_of, "_parse_builtin", parse_at_once)
    return notes


def flipped(cache: Path) -> None:
    content = bytearray(cache.read_bytes())
    content[-5000] ^= 4
    cache.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda cache: cache.write_bytes(b"torn"),
        cut_short,
        flipped,
        as_folder,
        lambda cache: save_file({"pixels": np.zeros((2, 1, 32, 32), np.uint8)}, cache),
        lambda cache: write_arrays(cache, {"pixels": np.zeros(3, np.uint8), "labels": np.zeros(3, np.int64)}),
        lambda cache: write_arrays(
            cache, {"pixels": np.zeros((5000, 1, 32, 32), np.float32), "labels": np.zeros(5000, np.int64)}
        ),
    ],
)
def test_a_damaged_cache_of_builtin_digits_is_made_again(
    tmp_path: Path, root: Path, parsed: list[str], harm: Callable[[Path], object]
) -> None:
    cache = tmp_path / "builtin" / "digits.safetensors"
    load_digits("builtin", tmp_path)
    load_digits("builtin", tmp_path)
    assert parsed == ["parsed"]  # the second time it came from the cache
    harm(cache)
    again, right = load_digits("builtin", tmp_path), load_digits("builtin", root)
    assert parsed == ["parsed", "parsed"]
    assert torch.equal(again.train, right.train)
    assert torch.equal(again.test_labels, right.test_labels)


def test_builtin_digits_come_where_their_cache_cannot_be_written(
    tmp_path: Path, root: Path, parsed: list[str]
) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, allowed[1]))  # as a disk with so much room
    try:
        digits = load_digits("builtin", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert torch.equal(digits.test, load_digits("builtin", root).test)
    assert [path.name for path in tmp_path.rglob("*")] == ["builtin"]  # and no half file is left

    (tmp_path / "file").write_text("where a data root should be")
    assert torch.equal(load_digits("builtin", tmp_path / "file").test, digits.test)


def test_the_cache_of_builtin_digits_can_be_read_by_others(tmp_path: Path, parsed: list[str]) -> None:
    before = os.umask(0o022)
    try:
        load_digits("builtin", tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "builtin" / "digits.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_data_root_is_the_given_then_the_environments_then_the_projects(monkeypatch) -> None:
    monkeypatch.setenv("ICM_DATA_ROOT", "/elsewhere")
    assert data_root(Path("/given")) == Path("/given")
    assert data_root() == Path("/elsewhere")
    monkeypatch.delenv("ICM_DATA_ROOT")
    assert data_root() == PROJECT / "data"
