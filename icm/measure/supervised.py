"""What an expert's network can undo at all: one network alone is taught one mechanism with pairs, the changed image and its original.

The competition never sees a pair, so this is about the most that can be asked of its experts. Where even the taught network does
hardly better than doing nothing, the network sees too little of the image, what it would need is lost, or the steps were too few;
where it does far better than the experts, it is the competition that does not get there. Images: batch 1 height width, in [0, 1]."""

from dataclasses import dataclass

import torch

from icm.config import ModelConfig
from icm.images.batches import as_images, generator_for
from icm.images.mechanisms import Mechanism, apply_one
from icm.measure.evaluation import CHUNK, EVALUATION_SEED, psnr
from icm.method.networks import ExpertBank
from icm.shapes import Images, Pixels

PEAK_RATE = 3e-3  # Adam's learning rate where it is highest


@dataclass(frozen=True)
class Taught:
    """How near to the originals the answers are that a taught network gives to one mechanism's images, in dB, means over images."""

    psnr: float
    psnr_nothing: float  # of the changed images themselves


def taught(
    model: ModelConfig,
    mechanism: Mechanism,
    train: Pixels,
    held_out: Pixels,
    steps: int,
    batch: int,
    seed: int,
) -> Taught:
    """Teaches a new expert of that form with `batch` pairs a step, then measures it on `held_out`, images never trained on.

    The loss is the mean squared error; Adam's learning rate rises once and falls to almost nothing."""
    expert = ExpertBank(1, model.filters, model.norm, generator_for(seed, "weights"))
    adam = torch.optim.Adam(expert.parameters(), lr=PEAK_RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_RATE, total_steps=steps)
    for step in range(steps):
        generator = generator_for(seed, "batch", step)
        original = as_images(train[torch.randint(len(train), (batch,), generator=generator)])
        (answer,) = expert(apply_one(original, mechanism, generator))
        adam.zero_grad()
        (answer - original).square().mean().backward()
        adam.step()
        rate.step()

    original = as_images(held_out)
    changed = apply_one(original, mechanism, generator_for(EVALUATION_SEED, "evaluation"))
    return Taught(
        psnr=float(psnr(_answers(expert.eval(), changed), original).mean()),
        psnr_nothing=float(psnr(changed, original).mean()),
    )


@torch.no_grad()
def _answers(expert: ExpertBank, images: Images) -> Images:
    return torch.cat([expert(part)[0] for part in images.split(CHUNK)])
