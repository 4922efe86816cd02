"""Measures whether experts and discriminator carry over to images of another kind (section 5.3 of the paper).

It asks two questions about the expert that owns a mechanism on the digits. Does the mechanism transfer: how close does that
expert's answer come to the true original? Does the discriminator transfer: how many images does that
expert win? Table axes: mechanism, expert."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icm.images.digits import named_source
from icm.images.mechanisms import Mechanism, parse
from icm.images.unseen import Look, Unseen, load_unseen
from icm.measure.evaluation import EVALUATION_IMAGES, Evaluation, evaluate, networks
from icm.measure.reader import load_reader
from icm.method.networks import Discriminator, ExpertBank
from icm.runs.run import Run


def evaluate_sets(
    experts: ExpertBank,
    discriminator: Discriminator,
    mechanisms: Sequence[Mechanism],
    sets: Sequence[Unseen],
    owner: Sequence[int | None] | None = None,
) -> list[Evaluation]:
    """The evaluation of the networks on each set. Who owns what is found on the first, the digits, and holds for all sets.

    `owner` names who owns what where the digits were asked before and are not among the sets. The digit reader
    is asked about the sets that have labels."""
    found: list[Evaluation] = []
    for images in sets:
        reader = None if images.labels is None else load_reader()
        found.append(
            evaluate(
                experts,
                discriminator,
                images.pixels,
                mechanisms,
                owner=found[0].owner if found else owner,
                labels=images.labels,
                read=None if reader is None else lambda shown, reader=reader: reader(shown).argmax(dim=1),
            )
        )
    return found


def over_steps(
    run: Run,
    newest: int,
    sets: Sequence[str],
    root: Path,
    images: int,
    look: Look = "digits",
    halved: bool = False,
) -> list[dict[str, Any]]:
    """A row for each snapshot up to `newest` on each set. The first set is the run's own digits, which decide who owns what.

    `halved` measures the networks in half precision."""
    config = run.config()
    mechanisms, rows = parse(config.mechanisms), []
    unseen = [load_unseen(name, root, look, images) for name in sets]
    for step in [each for each in run.snapshots.steps() if each <= newest]:
        arrays = run.snapshots.read(step)
        found = evaluate_sets(*networks(config, in_half(arrays) if halved else arrays), mechanisms, unseen)
        rows += [{"step": step, "set": name, **in_sum(each)} for name, each in zip(sets, found)]
    return rows


def in_half(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in half precision."""
    return {
        name: values.astype(np.float16) if values.dtype.kind == "f" else values
        for name, values in arrays.items()
    }


def in_sum(found: Evaluation) -> dict[str, float]:
    """Means over the mechanisms: PSNR in dB, and shares of the images that were routed and read right.

    Where a mechanism has no owner nothing is done, so that `psnr_owner` less `psnr_nothing` is what the owners gain."""
    undone = [
        nothing if owner is None else owner for owner, nothing in zip(found.psnr_owner, found.psnr_nothing)
    ]
    read = {f"read_{name}": round(share, 4) for name, share in (found.accuracy or {}).items()}
    return {
        "psnr_owner": round(float(np.mean(undone)), 2),
        "psnr_nothing": round(float(np.mean(found.psnr_nothing)), 2),
        "routing_accuracy": round(found.routing_accuracy, 4),
        **read,
    }


def evaluate_run(
    run: Run,
    root: Path,
    step: int | None,
    on: str | None = None,
    look: Look = "digits",
    images: int = EVALUATION_IMAGES,
) -> tuple[int, list[Evaluation]]:
    """Evaluates the snapshot of `step`, or the newest. Returns its step, and an evaluation for each set of images.

    The first set is the run's own held-out digits, the second is the one that `on` names, if that is another. Of each set at
    most `images` images are taken. None was ever trained on, but for the built-in ones, which are some of MNIST's training digits."""
    config = run.config()
    step = run.snapshots.newest_unless(step)
    own = named_source(config.source)
    names = [own] if on in (None, own) else [own, on]
    sets = [load_unseen(name, root, look, images) for name in names]
    return step, evaluate_sets(*networks(config, run.snapshots.read(step)), parse(config.mechanisms), sets)
