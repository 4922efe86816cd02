"""The mechanisms M_k that change canonical images (section 4 of the paper), each a row of one table.

A mechanism has one strength, with unit and range, and an exact inverse where one exists. It maps tensors to tensors and
takes its random numbers from the generator argument. Images: batch 1 height width, in [0, 1]. A person's own mechanisms are
rows that a Python file of theirs makes: `twist = MechanismKind(…)` in mine.py is the mechanism `mine.py:twist`."""

import os
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from icm.config import SYMBOLS, ConfigError, mechanism_title
from icm.images import changes

Function = Callable[
    [Float[Tensor, "batch 1 height width"], float, Generator], Float[Tensor, "batch 1 height width"]
]
Inverse = Callable[[Float[Tensor, "batch 1 height width"], float], Float[Tensor, "batch 1 height width"]]


@dataclass(frozen=True)
class MechanismKind:
    """A row of the table: what a mechanism is, before its strength is chosen."""

    sentence: str
    symbol: str
    unit: str
    default: float
    low: float
    high: float
    step: float  # of the slider on the pages: whole pixels for a translation
    function: Function
    inverse: Inverse | None


@dataclass(frozen=True)
class Mechanism:
    """A kind with its strength."""

    name: str
    strength: float

    @property
    def kind(self) -> MechanismKind:
        return KINDS[self.name]

    @property
    def title(self) -> str:
        """The name as a person reads it."""
        return mechanism_title(self.name)

    @property
    def spec(self) -> str:
        """The shortest text that `parse` turns into this mechanism."""
        return self.name if self.strength == self.kind.default else f"{self.name}={self.strength:g}"


def _translation(name: str, words: str, right: int, down: int) -> MechanismKind:
    return MechanismKind(
        sentence=f"Moved {words}",
        symbol=SYMBOLS[name],
        unit="pixels",
        default=4.0,
        low=1.0,
        high=6.0,
        step=1.0,
        function=lambda images, strength, generator: changes.shifted(
            images, right * int(strength), down * int(strength)
        ),
        inverse=lambda images, strength: changes.shifted(
            images, -right * int(strength), -down * int(strength)
        ),
    )


# The paper's ten, with its strengths as the default ones, then others.
KINDS: dict[str, MechanismKind] = {
    "right": _translation("right", "right", 1, 0),
    "left": _translation("left", "left", -1, 0),
    "down": _translation("down", "down", 0, 1),
    "up": _translation("up", "up", 0, -1),
    "down_right": _translation("down_right", "down and right", 1, 1),
    "down_left": _translation("down_left", "down and left", -1, 1),
    "up_right": _translation("up_right", "up and right", 1, -1),
    "up_left": _translation("up_left", "up and left", -1, -1),
    "contrast": MechanismKind(
        sentence="Bright and dark swapped",
        symbol=SYMBOLS["contrast"],
        unit="share of the inverted image",
        default=1.0,
        low=0.6,  # at 0.5 every image is plain grey, and nothing can invert it
        high=1.0,
        step=0.05,
        function=lambda images, amount, generator: changes.mixed(images, 1 - images, amount),
        inverse=lambda images, amount: (images - amount) / (1 - 2 * amount),
    ),
    "noise": MechanismKind(
        sentence="Gaussian noise added, clamped to [0, 1]",
        symbol=SYMBOLS["noise"],
        unit="variance",
        default=0.25,
        low=0.01,
        high=1.0,
        step=0.01,
        function=changes.noisy,
        inverse=None,
    ),
    "rotation": MechanismKind(
        sentence="Turned clockwise about the centre",
        symbol=SYMBOLS["rotation"],
        unit="degrees",
        default=25.0,
        low=5.0,
        high=180.0,
        step=5.0,
        function=lambda images, degrees, generator: changes.rotated(images, degrees),
        inverse=None,  # pixels are mixed
    ),
    "scale": MechanismKind(
        sentence="Made smaller or larger about the centre",
        symbol=SYMBOLS["scale"],
        unit="times its size",
        default=0.7,
        low=0.4,
        high=1.6,
        step=0.1,
        function=lambda images, factor, generator: changes.scaled(images, factor),
        inverse=None,
    ),
    "shear": MechanismKind(
        sentence="Slanted: each row moved by whole pixels, the more the farther it is from the middle",
        symbol=SYMBOLS["shear"],
        unit="px of shift a row",
        default=0.5,
        low=0.1,
        high=1.0,
        step=0.1,
        function=lambda images, slope, generator: changes.sheared(images, slope),
        inverse=lambda images, slope: changes.sheared(images, -slope),
    ),
    "flip": MechanismKind(
        sentence="Left and right swapped",
        symbol=SYMBOLS["flip"],
        unit="share of the mirrored image",
        default=1.0,
        low=0.6,  # at 0.5 every image is its own mirror image, and nothing can undo it
        high=1.0,
        step=0.05,
        function=lambda images, share, generator: changes.mixed(images, images.flip(-1), share),
        inverse=lambda images, share: changes.unmixed(images, images.flip(-1), share),
    ),
    "wave": MechanismKind(
        sentence="Each row moved by whole pixels, to the right and to the left by turns",
        symbol=SYMBOLS["wave"],
        unit="pixels",
        default=4.0,
        low=1.0,
        high=6.0,
        step=1.0,
        function=lambda images, pixels, generator: changes.waved(images, pixels),
        inverse=lambda images, pixels: changes.waved(images, -pixels),
    ),
    "elastic": MechanismKind(
        sentence="Deformed smoothly, each image in its own way",
        symbol=SYMBOLS["elastic"],
        unit="px of displacement",
        default=2.0,
        low=0.5,
        high=5.0,
        step=0.5,
        function=changes.deformed,
        inverse=None,
    ),
    "blur": MechanismKind(
        sentence="Blurred by a Gaussian",
        symbol=SYMBOLS["blur"],
        unit="px of standard deviation",
        default=1.5,
        low=0.5,
        high=4.0,
        step=0.5,
        function=lambda images, deviation, generator: changes.blurred(images, deviation),
        inverse=None,
    ),
    "occlusion": MechanismKind(
        sentence="Behind a grey square somewhere",
        symbol=SYMBOLS["occlusion"],
        unit="pixels",
        default=10.0,
        low=4.0,
        high=20.0,
        step=1.0,
        function=changes.occluded,
        inverse=None,
    ),
    "speckle": MechanismKind(
        sentence="Some pixels made black or white (salt and pepper)",
        symbol=SYMBOLS["speckle"],
        unit="share of the pixels",
        default=0.3,
        low=0.05,
        high=0.9,
        step=0.05,
        function=changes.speckled,
        inverse=None,
    ),
    "gamma": MechanismKind(
        sentence="Greys darkened: every pixel raised to a power",
        symbol=SYMBOLS["gamma"],
        unit="power",
        default=4.0,
        low=1.5,
        high=6.0,
        step=0.5,
        function=lambda images, power, generator: images**power,
        inverse=lambda images, power: images ** (1 / power),
    ),
}


OWN_FILES = "ICM_MECHANISMS"  # environment variable: files of a person's own mechanisms, separated as in PATH


def named_here(specs: Sequence[str]) -> tuple[str, ...]:
    """The mechanisms that a person names on the command line: `path/mine.py:twist` lets mine.py run, here and in the processes that
    are started from here, and becomes `mine.py:twist`.

    Nothing but this and `OWN_FILES` makes a file run: not a run's config.json, and no page."""
    files, named = os.environ.get(OWN_FILES, "").split(os.pathsep), []
    for spec in specs:
        file, colon, mechanism = spec.rpartition(":")
        files += [str(Path(file).resolve())] if colon else []
        named.append(f"{Path(file).name}:{mechanism}" if colon else spec)
    os.environ[OWN_FILES] = os.pathsep.join(dict.fromkeys(filter(None, files)))
    return tuple(named)


def kinds() -> Mapping[str, MechanismKind]:
    """All that are known, with those of the files in `OWN_FILES`. ConfigError where a file or one of its mechanisms does not work,
    and where two have one name."""
    texts = filter(None, os.environ.get(OWN_FILES, "").split(os.pathsep))
    files = list(dict.fromkeys(Path(text).resolve() for text in texts))
    for file in files:
        for other in files:
            if other.name == file.name and other != file:
                raise ConfigError(
                    f"{file} and {other} have one name, and a run knows a file by its name; rename one"
                )
        if any(name.startswith(f"{file.name}:") for name in KINDS):
            continue
        try:
            made = runpy.run_path(str(file))
            own = {name: kind for name, kind in made.items() if isinstance(kind, MechanismKind)}
            titles = {mechanism_title(name) for name in KINDS}
            for name, kind in own.items():
                if mechanism_title(name) in titles:
                    raise ValueError(f"there is another mechanism {mechanism_title(name)}; rename it")
                _try(name, kind)
        except Exception as error:  # whatever somebody's own code may raise
            words = " ".join(str(error).split())
            raise ConfigError(f"{file} cannot be used: {type(error).__name__}: {words}") from error
        if not own:
            raise ConfigError(f"{file} makes no mechanism; it should say NAME = MechanismKind(…)")
        KINDS.update({f"{file.name}:{name}": _in_floats(kind) for name, kind in own.items()})
    return KINDS


def _try(name: str, kind: MechanismKind) -> None:
    """ValueError where a mechanism of one's own has no range of strengths, no unit, or makes no images of images."""
    if not (kind.low <= kind.default <= kind.high and 0 < kind.step <= kind.high - kind.low):
        raise ValueError(
            f"{name} should have low <= default <= high, low below high, and a step above 0 that is no more than lies between them"
        )
    if not kind.unit.strip():
        raise ValueError(f"{name} has no unit; name one, such as share")
    images = torch.linspace(0, 1, 2 * 28 * 28).view(2, 1, 28, 28)
    given = images.clone()
    changed = kind.function(given, kind.default, Generator())
    if not torch.equal(given, images):
        raise ValueError(
            f"{name} changes the images that it is given; let it return others, made from a clone of them"
        )
    if changed.shape != images.shape or not changed.isfinite().all():
        raise ValueError(f"{name} makes {tuple(changed.shape)} of {tuple(images.shape)}, or no numbers")


def _in_floats(kind: MechanismKind) -> MechanismKind:
    """Whole numbers are numbers, too, but a slider wants all to be of one type."""
    numbers = {name: float(getattr(kind, name)) for name in ("default", "low", "high", "step")}
    return replace(kind, **numbers)


def parse(specs: Sequence[str]) -> tuple[Mechanism, ...]:
    """The mechanisms of texts such as `right`, `right=3` or `mine.py:twist`.

    ConfigError for an unknown name (it lists the known ones), a strength that is not allowed (it gives the range) and a
    mechanism named twice."""
    known = kinds()
    mechanisms = tuple(_parse_one(spec, known) for spec in specs)
    names = [mechanism.name for mechanism in mechanisms]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"mechanism {name!r} is named {names.count(name)} times; name it once")
    return mechanisms


def _parse_one(spec: str, known: Mapping[str, MechanismKind]) -> Mechanism:
    name, equals, text = spec.partition("=")
    if name not in known:
        file, colon, _ = name.partition(":")
        remedy = f"name its file: {OWN_FILES}={file}" if colon else f"known: {', '.join(known)}"
        raise ConfigError(f"unknown mechanism {name!r}; {remedy}")

    kind = known[name]
    allowed = f"use {kind.low:g} to {kind.high:g} ({kind.unit})"
    try:
        strength = float(text) if equals else kind.default
    except ValueError:
        raise ConfigError(f"strength of {name!r} is {text!r}; {allowed}") from None
    if not kind.low <= strength <= kind.high:
        raise ConfigError(f"strength of {name!r} is {text}; {allowed}")
    if kind.unit == "pixels" and strength != int(strength):
        raise ConfigError(f"strength of {name!r} is {text}; use whole pixels")
    return Mechanism(name=name, strength=strength)


def apply_one(
    images: Float[Tensor, "batch 1 height width"], mechanism: Mechanism, generator: Generator
) -> Float[Tensor, "batch 1 height width"]:
    """Every image changed by the same mechanism."""
    return mechanism.kind.function(images, mechanism.strength, generator)


def apply_each(
    images: Float[Tensor, "batch 1 height width"],
    mechanism: Int[Tensor, " batch"],
    mechanisms: Sequence[Mechanism],
    generator: Generator,
) -> Float[Tensor, "batch 1 height width"]:
    """Each image changed by its own mechanism, an index into `mechanisms`.

    All mechanisms run on all images and one result is kept for each image, so that no index is read back from a GPU."""
    changed = torch.stack([apply_one(images, each, generator) for each in mechanisms])
    return changed[mechanism, torch.arange(len(images), device=images.device)]


def invert(images: Float[Tensor, "batch 1 height width"], mechanism: Mechanism):
    """The images before the mechanism; ValueError where it has no exact inverse.

    Ink that a translation pushed out does not come back."""
    if mechanism.kind.inverse is None:
        raise ValueError(f"mechanism {mechanism.name!r} has no exact inverse")
    return mechanism.kind.inverse(images, mechanism.strength)
