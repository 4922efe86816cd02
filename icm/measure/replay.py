"""One step of the competition, replayed from a snapshot of a run: what everyone answers, who wins, how winners are pushed.

It is the core's own `train_step`, on networks that are thrown away afterwards. A snapshot does not keep the optimisers' memory, so
they begin without: who wins, every score and the discriminator's loss are those of the run's own step, and what comes after the
discriminator has learned is that of a step without a past."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from icm.config import RunConfig
from icm.images.batches import CPU, Batch, draw_batch, generator_for, split_halves
from icm.images.mechanisms import parse
from icm.method.competition import Contest, winners_loss
from icm.method.engine import PLAIN
from icm.method.state import init_state
from icm.method.training import train_step
from icm.method.weights import load_weights
from icm.shapes import ImageLogits, Images, Pixels


@dataclass(frozen=True)
class Replay:
    """One step: its images with their truth, the contest, and both lessons. Every expert has a place in the contest."""

    batch: Batch
    contest: Contest
    real: ImageLogits  # the discriminator's scores of the canonical images, before it learns
    discriminator_loss: float
    expert_loss: float  # mean over the experts that won something
    push: Images  # how to change the pixels of each image's winning answer so that its loss falls most: minus the gradient


def replay(
    config: RunConfig,
    arrays: Mapping[str, np.ndarray],
    train: Pixels,
    step: int,
    bias: Float[np.ndarray, " expert"] | None = None,
) -> Replay:
    """The step after `step`, whose snapshot holds `arrays`, on the images that the run drew for it from the digits `train`.

    `bias`, in logits, is the conscience's after `step` steps; none by default. UnfitWeights for arrays of other networks."""
    state = init_state(config, generator_for(config.seed, "weights"), CPU, PLAIN)
    load_weights(state.experts, state.discriminator, arrays)
    state.step, state.competing = step, True
    if bias is not None:
        state.bias = torch.from_numpy(bias).to(state.bias.dtype)
    if state.roster is not None:
        state.roster.players = state.experts.players()
    batch = draw_batch(
        split_halves(train, config.seed, config.canonicals),
        parse(config.mechanisms),
        config.training.batch,
        generator_for(config.seed, "batch", step),
        config.frequencies,
    )
    with torch.no_grad():
        real = state.discriminator(batch.canonical)
    done = train_step(state, batch.canonical, batch.transformed)
    answer = done.contest.restored.detach().requires_grad_()
    with torch.enable_grad():  # by the discriminator that the winners learn from: as it is after its own step
        logits = state.discriminator(answer, learns=False)
        loss = winners_loss(logits, done.contest.winner, config.model.experts)
        (gradient,) = torch.autograd.grad(loss, answer)
    return Replay(
        batch=batch,
        contest=done.contest,
        real=real,
        discriminator_loss=float(done.discriminator_loss),
        expert_loss=float(done.expert_loss),
        push=-gradient,
    )
