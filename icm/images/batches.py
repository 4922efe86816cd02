"""Draws batch n of a run. It depends on the configuration and n alone, so a resume needs no state of a data loader.

The training digits are cut into two halves: one is only ever shown canonical, the other only ever transformed.
Images: batch 1 height width, 32 x 32, float in [0, 1], ink bright on 0."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator

from icm.images.mechanisms import Mechanism, apply_each
from icm.shapes import Images, MechanismIndex, Pixels

CPU = torch.device("cpu")

# One stream of random numbers for each purpose, so that drawing more from one leaves the others as they are.
STREAMS = {
    name: index
    for index, name in enumerate(("weights", "halves", "identity", "perturbation", "batch", "evaluation"))
}


@dataclass(frozen=True)
class Batch:
    """A batch with its truth: each transformed image's original, and its mechanism. The learner gets neither."""

    canonical: Images
    transformed: Images
    original: Images
    mechanism: MechanismIndex


@dataclass(frozen=True)
class Halves:
    canonical: Pixels
    transformed: Pixels


def generator_for(seed: int, stream: str, step: int = 0, device: torch.device = CPU) -> Generator:
    """A new generator for (seed, stream, step). Its numbers differ between kinds of device.

    numpy's SeedSequence mixes the three into 32 bits, because torch on a CPU keeps only the low 32 bits of a seed."""
    (mixed,) = np.random.SeedSequence([seed, STREAMS[stream], step]).generate_state(1)
    return Generator(device).manual_seed(int(mixed))


def split_halves(train: Pixels, seed: int, canonicals: int = 0, device: torch.device = CPU) -> Halves:
    """Two disjoint halves, moved to `device`: one only ever shown canonical, the other only ever transformed.

    Of the first at most `canonicals` are kept, all where that is 0."""
    order = torch.randperm(len(train), generator=generator_for(seed, "halves"))
    middle = len(train) // 2
    shown = order[:middle][: canonicals or None]
    return Halves(canonical=train[shown].to(device), transformed=train[order[middle:]].to(device))


def draw_batch(
    halves: Halves,
    mechanisms: Sequence[Mechanism],
    size: int,
    generator: Generator,
    frequencies: Sequence[float] = (),
) -> Batch:
    """`size` canonical images and `size` others, each changed by a mechanism drawn at random: in proportion to `frequencies`, or
    all equally often where these are empty.

    Halves and generator must be on the same device; the batch is on it too."""
    canonical = _draw(halves.canonical, size, generator)
    original = _draw(halves.transformed, size, generator)
    if frequencies:
        # `multinomial` has no form for a GPU that gives the same bits each time.
        upto = np.cumsum(frequencies)
        bounds = torch.tensor(upto / upto[-1], dtype=torch.float32, device=original.device)
        drawn = torch.rand(size, generator=generator, device=original.device)
        mechanism = torch.searchsorted(bounds, drawn, right=True)
    else:
        mechanism = torch.randint(len(mechanisms), (size,), generator=generator, device=original.device)
    transformed = apply_each(original, mechanism, mechanisms, generator)
    return Batch(canonical=canonical, transformed=transformed, original=original, mechanism=mechanism)


def _draw(pixels: Pixels, size: int, generator: Generator) -> Images:
    return as_images(pixels[torch.randint(len(pixels), (size,), generator=generator, device=pixels.device)])


def as_images(pixels: Pixels) -> Images:
    """The pixels, stored as 0 to 255, as images in [0, 1]."""
    return pixels.float() / 255
