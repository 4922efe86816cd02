"""Why experts and discriminator of digits fail on clothes: what each property in which they differ costs by itself.

Clothes are brought nearer to digits one property at a time, and digits nearer to clothes. A property that is to blame makes the
first better and the second worse; correlation alone, over clothes as they are, could not tell. A change of size changes the ink
too, so that it is to be read beside the change of ink alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icm.images.digits import named_source
from icm.images.likeness import OF_CLOTHES, OF_DIGITS, Change, Look, look_of
from icm.images.mechanisms import parse
from icm.images.unseen import Unseen, load_unseen
from icm.measure.evaluation import Evaluation, networks
from icm.measure.transfer import evaluate_sets, in_sum
from icm.runs.run import Run
from icm.shapes import Pixels

CLOTHES = "fashion"


@dataclass(frozen=True)
class Version:
    """Images after one change, and how they fare."""

    of: str  # set
    change: str
    images: int  # the same number for every version
    look: Look
    figures: dict[str, float]  # psnr_owner and psnr_nothing in dB, routing_accuracy
    doubt: dict[str, float | None]  # sure, and sure_and_right


def why(run: Run, root: Path, step: int, images: int) -> list[Version]:
    """Held-out digits, then as many clothes, as they are and after each change, through every mechanism and every expert.

    At most `images` of each are taken, fewer where one of the sets has fewer. Who owns what is found on the digits as they are, or
    on the clothes of a run that learned from clothes alone. DataError where Fashion-MNIST is not under `root`, or MNIST for a run
    that did not learn from the built-in digits."""
    config = run.config()
    nets, mechanisms = networks(config, run.snapshots.read(step)), parse(config.mechanisms)
    own = named_source(config.source)
    of_digits = own if own == "builtin" else "mnist"
    digits, clothes = (load_unseen(name, root, "digits", images).pixels for name in (of_digits, CLOTHES))
    count = min(len(digits), len(clothes))
    digits, clothes = digits[:count], clothes[:count]
    versions = [
        (of_digits, _changed(digits, clothes, OF_DIGITS)),
        (CLOTHES, _changed(clothes, clothes, OF_CLOTHES)),
    ]
    found, owner = [], None
    for name, changed in reversed(versions) if own == CLOTHES else versions:
        for change, pixels in changed.items():
            (each,) = evaluate_sets(*nets, mechanisms, [Unseen(pixels)], owner)
            owner = each.owner if owner is None else owner
            found.append(Version(name, change, count, look_of(pixels), in_sum(each), _doubt(each)))
    return found


def _changed(pixels: Pixels, clothes: Pixels, changes: Mapping[str, Change]) -> dict[str, Pixels]:
    return {name: change(pixels, clothes) for name, change in changes.items()}


def _doubt(each: Evaluation) -> dict[str, float | None]:
    """How many winners are sure, and how many of these are right."""
    return {name: value for name, value in each.doubt.in_sum().items() if name.startswith("sure")}
