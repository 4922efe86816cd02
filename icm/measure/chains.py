"""Mechanisms applied one after the other, and undone greedily: the winner's answer goes back in for as long as it scores better.

`chain` follows one image round by round; here many are undone at once, over many chains of mechanisms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import perm
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from icm.images.batches import as_images, generator_for
from icm.images.digits import named_source
from icm.images.mechanisms import Mechanism, apply_one, parse
from icm.images.unseen import load_unseen
from icm.measure.chain import LEAST_GAIN
from icm.measure.evaluation import EVALUATION_SEED, networks, play, psnr
from icm.measure.reader import load_reader
from icm.method.networks import Discriminator, ExpertBank
from icm.runs.run import Run
from icm.shapes import Images, Labels, Pixels

UNDONE = 15.0  # dB to the original, from which an image counts as undone: its strokes lie where they lay
SPARE = 2  # rounds beyond one for each mechanism
SEED = 0  # of the chains that are drawn where there are too many
LISTED = 100_000  # chains; where there are more, those that are drawn are not chosen from a list of all


@dataclass(frozen=True)
class Undone:
    """What became of changed images."""

    images: Images
    rounds: Int[Tensor, " batch"]  # how many winners' answers each image went through


@torch.no_grad()
def undo(experts: ExpertBank, discriminator: Discriminator, images: Images, most: int) -> Undone:
    """At most `most` rounds; an image whose winner gains no more than `LEAST_GAIN` over it stays as it is."""
    images, score = images.clone(), discriminator(images)
    rounds, going = torch.zeros(len(images), dtype=torch.long), torch.arange(len(images))
    for _ in range(most):
        contest = play(experts, discriminator, images[going])
        best = contest.logits.max(dim=0).values
        better = best > score[going] + LEAST_GAIN
        going = going[better]
        if not len(going):
            break
        images[going], score[going] = contest.restored[better], best[better]
        rounds[going] += 1
    return Undone(images, rounds)


@dataclass(frozen=True)
class Chain:
    """How well one chain of mechanisms is undone."""

    mechanisms: list[str]  # in the order in which they were applied
    psnr: float  # dB to the originals, mean over images
    psnr_nothing: float  # dB, the changed images themselves
    undone: float  # share of the images
    rounds: float  # mean
    read: float | None = None  # share of the images that the digit reader reads right


def undo_chains(
    experts: ExpertBank,
    discriminator: Discriminator,
    held_out: Pixels,
    chains: Sequence[Sequence[Mechanism]],
    labels: Labels | None = None,
    read: Callable[[Images], Labels] | None = None,
) -> list[Chain]:
    """Puts the images through every chain and undoes them. `held_out` must be images never trained on."""
    originals, found = as_images(held_out), []
    for chain in chains:
        changed = originals
        for place, mechanism in enumerate(chain):
            changed = apply_one(changed, mechanism, generator_for(EVALUATION_SEED, "evaluation", place))
        undone = undo(experts, discriminator, changed, len(chain) + SPARE)
        quality = psnr(undone.images, originals)
        right = None
        if labels is not None and read is not None:
            right = round(float((read(undone.images) == labels).float().mean()), 4)
        found.append(
            Chain(
                mechanisms=[mechanism.name for mechanism in chain],
                psnr=round(float(quality.mean()), 2),
                psnr_nothing=round(float(psnr(changed, originals).mean()), 2),
                undone=round(float((quality >= UNDONE).float().mean()), 4),
                rounds=round(float(undone.rounds.float().mean()), 2),
                read=right,
            )
        )
    return found


def chains_of_run(
    run: Run, root: Path, step: int, depth: int, most: int, images: int
) -> tuple[list[Chain], int]:
    """Asks a snapshot of a run about at most `most` chains of `depth` of its mechanisms, at most `images` held-out digits each.

    Returns how well each chain is undone, and how many digits there were."""
    config = run.config()
    digits = load_unseen(named_source(config.source), root, "digits", images)
    reader = load_reader()
    found = undo_chains(
        *networks(config, run.snapshots.read(step)),
        digits.pixels,
        chains_of(parse(config.mechanisms), depth, most),
        digits.labels,
        lambda shown: reader(shown).argmax(dim=1),
    )
    return found, len(digits.pixels)


def chains_of(mechanisms: Sequence[Mechanism], length: int, most: int) -> list[tuple[Mechanism, ...]]:
    """All ordered chains of so many different mechanisms, or `most` of them, drawn by a fixed seed."""
    generator, many = np.random.default_rng(SEED), perm(len(mechanisms), length)
    if many > max(LISTED, 2 * most):  # too many to be listed
        drawn: set[tuple[int, ...]] = set()
        while len(drawn) < most:
            drawn.add(tuple(generator.permutation(len(mechanisms))[:length].tolist()))
        return [tuple(mechanisms[each] for each in chain) for chain in sorted(drawn)]
    every = list(permutations(mechanisms, length))
    if many <= most:
        return every
    return [every[each] for each in sorted(generator.permutation(many)[:most])]
