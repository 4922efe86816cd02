"""Measures whether experts and discriminator carry over to images of another kind (section 5.3 of the paper).

It asks two questions about the expert that owns a mechanism on the digits. Does the mechanism transfer: how close does that
expert's answer come to the true original? Does the discriminator transfer: how many images does that
expert win? Table axes: mechanism, expert."""

from collections.abc import Sequence
from pathlib import Path

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
    most `images` images are taken, none of which was ever trained on."""
    config = run.config()
    step = step if step is not None else max(run.snapshots.steps(), default=0)
    own = named_source(config.source)
    names = [own] if on in (None, own) else [own, on]
    sets = [load_unseen(name, root, look, images) for name in names]
    return step, evaluate_sets(*networks(config, run.snapshots.read(step)), parse(config.mechanisms), sets)
