"""The response curve of an expert: how good its answers are, over the strength of a mechanism.

An expert was trained on one strength of the mechanism that it undoes. The curve says how far from there its answers still score
well, and whether they come closer to the true originals than the changed images are by themselves."""

from dataclasses import dataclass
from math import floor

import torch

from icm.images.batches import generator_for
from icm.images.mechanisms import Mechanism, apply_one
from icm.measure.evaluation import CHUNK, EVALUATION_SEED, psnr
from icm.method.networks import Discriminator, ExpertBank
from icm.shapes import Images

POINTS = 12  # of a curve, at most


@dataclass(frozen=True)
class Response:
    """Means over some images at each strength. The images are the same at every strength, and so is their noise but for its size."""

    mechanism: str
    unit: str  # of the strength
    trained: float
    strength: list[float]
    score: list[float]  # logit, of the expert's answers
    psnr: list[float]  # dB, of the expert's answers to the true originals
    psnr_nothing: list[float]  # dB, of the changed images themselves


def strengths(trained: Mechanism) -> list[float]:
    """At most `POINTS` of the strengths that the mechanism may have, evenly apart, with the trained one in place of the nearest."""
    kind = trained.kind
    steps = floor((kind.high - kind.low) / kind.step + 1e-9)
    points = min(steps, POINTS - 1)
    even = [round(kind.low + kind.step * round(steps * at / points), 6) for at in range(points + 1)]
    nearest = min(range(len(even)), key=lambda at: abs(even[at] - trained.strength))
    even[nearest] = trained.strength
    return even


@torch.no_grad()
def response(
    experts: ExpertBank, discriminator: Discriminator, expert: int, trained: Mechanism, originals: Images
) -> Response:
    """The curve of one expert over the strengths of `trained`, a mechanism with the strength that the run learned from."""
    chosen = strengths(trained)
    score, quality, nothing = [], [], []
    for strength in chosen:
        generator = generator_for(EVALUATION_SEED, "evaluation")
        changed = apply_one(originals, Mechanism(trained.name, strength), generator)
        answers = torch.cat([experts(piece, [expert])[0] for piece in changed.split(CHUNK)])
        score.append(float(discriminator(answers).mean()))
        quality.append(float(psnr(answers, originals).mean()))
        nothing.append(float(psnr(changed, originals).mean()))
    return Response(trained.name, trained.kind.unit, trained.strength, chosen, score, quality, nothing)
