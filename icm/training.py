"""The learner: identity initialisation and the competition, one step at a time (section 3 and algorithm 1 of the paper).

It sees two piles of images, canonical and transformed, and nothing else: no mechanism, no original, no pairs.
What changes lives in `TrainState`; a function that changes it takes it first. Axes: expert, batch, channel, height, width."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from icm.competition import (
    Contest,
    compete,
    count_wins,
    discriminator_loss,
    winners_logits,
    winners_loss,
)
from icm.config import IdentityConfig, RunConfig
from icm.errors import ActionableError
from icm.models import PLAIN, Discriminator, Engine, ExpertBank, misfit, named_weights
from icm.shapes import Images

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class ExpertAdam:
    """Adam (Kingma & Ba, 2015, algorithm 1) on stacked experts, one clock and one pair of moments for each expert.

    An expert outside the mask of a step keeps its weights, moments and clock to the last bit."""

    def __init__(self, parameters: list[nn.Parameter], learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self.reset()

    def reset(self) -> None:
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]
        first = self.parameters[0]
        self.clock = torch.zeros(len(first), dtype=torch.int64, device=first.device)

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...], active: Bool[Tensor, " expert"]) -> None:
        self.clock += active
        # 1 - beta^clock, without the rounding of a power close to one.
        clock = self.clock.clamp(min=1).to(self.parameters[0].dtype)
        bias_mean, bias_square = (-torch.expm1(clock * math.log(beta)) for beta in BETAS)
        for parameter, gradient, mean, square in zip(self.parameters, gradients, self.mean, self.square):
            rows = (-1, *[1] * (parameter.dim() - 1))
            keep = active.view(rows)
            mean.copy_(torch.where(keep, mean.lerp(gradient, 1 - BETAS[0]), mean))
            square.copy_(
                torch.where(
                    keep, square.mul(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1]), square
                )
            )
            step_size = (self.learning_rate / bias_mean).to(parameter.dtype).view(rows)
            root = square.sqrt() / bias_square.sqrt().to(parameter.dtype).view(rows) + EPSILON
            parameter.copy_(torch.where(keep, parameter - step_size * mean / root, parameter))


@dataclass
class TrainState:
    """All that a run changes; with the configuration it decides the rest of the run."""

    experts: ExpertBank
    discriminator: Discriminator
    expert_adam: ExpertAdam
    discriminator_adam: torch.optim.Adam
    losers_are_fake: bool
    copies: Bool[Tensor, " expert"]  # experts whose identity initialisation is over
    copy_error: Float[Tensor, " expert"]  # running mean of their squared error, from 1 downwards
    identity_step: int = 0
    competing: bool = False
    step: int = 0  # of the competition

    @property
    def device(self) -> torch.device:
        return self.copies.device


@dataclass(frozen=True)
class StepOutput:
    """What one step of the competition did."""

    contest: Contest
    expert_loss: Float[Tensor, ""]  # mean over the experts that won something
    discriminator_loss: Float[Tensor, ""]


def init_state(
    config: RunConfig, generator: Generator, device: torch.device, engine: Engine = PLAIN
) -> TrainState:
    """Fresh networks and optimisers; `generator` (on the CPU) decides the weights, the same on every device."""
    model = config.model
    experts = ExpertBank(model.experts, model.filters, model.norm, generator, engine=engine).to(device)
    discriminator = Discriminator(
        model.discriminator_filters, model.discriminator_hidden, generator, engine=engine
    ).to(device)
    copies = torch.zeros(model.experts, dtype=torch.bool, device=device)
    if config.identity.start == "shared":
        copies[1:] = True  # only the first expert trains; the others get its weights
    return TrainState(
        experts=experts,
        discriminator=discriminator,
        expert_adam=ExpertAdam(list(experts.parameters()), config.training.learning_rate),
        discriminator_adam=torch.optim.Adam(
            discriminator.parameters(),
            lr=config.training.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            # The fused one keeps its clock on the device and reads nothing back; the other rounds as it always has.
            fused=engine.experts == "stacked",
        ),
        losers_are_fake=config.training.losers_are_fake,
        copies=copies,
        copy_error=torch.ones(model.experts, device=device),
    )


def identity_step(state: TrainState, transformed: Images, target_error: float) -> Float[Tensor, " active"]:
    """Changes `state`: every expert that is not yet a copyist takes one step towards copying its input.

    Returns the mean squared error of those experts before the step. One whose running mean is under `target_error` is
    done and not moved: the mean, because one lucky batch of images without noise is copied easily."""
    active = (~state.copies).nonzero().flatten().tolist()
    answers = state.experts(transformed, experts=active)
    errors = (answers - transformed).square().mean(dim=(1, 2, 3, 4))

    gradients = torch.autograd.grad(errors.sum(), state.expert_adam.parameters)
    state.copy_error[active] = state.copy_error[active].lerp(errors.detach(), 0.1)
    state.copies[active] = state.copy_error[active] < target_error
    state.expert_adam.step(gradients, ~state.copies)
    state.identity_step += 1
    return errors.detach()


def identity_steps(
    state: TrainState, draw: Callable[[int], Images], identity: IdentityConfig
) -> Iterator[Float[Tensor, " active"]]:
    """Changes `state`: identity steps until every expert copies well enough or the steps are used up."""
    while state.identity_step < identity.steps and not bool(state.copies.all()):
        yield identity_step(state, draw(state.identity_step), identity.target_error)


@torch.no_grad()
def start_competition(state: TrainState, identity: IdentityConfig, generator: Generator) -> None:
    """Changes `state`: ends the identity phase. A shared start hands out perturbed copies; Adam forgets the copying."""
    if identity.start == "shared":
        for parameter in state.experts.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.copy_(parameter[:1] * (1 + identity.perturbation * noise))
        for buffer in state.experts.buffers():  # layer expert filter
            buffer.copy_(buffer[:, :1].expand_as(buffer))
    state.expert_adam.reset()
    state.copies.fill_(True)
    state.competing = True


def train_step(state: TrainState, canonical: Images, transformed: Images) -> StepOutput:
    """Changes `state`: one round of the competition. The discriminator learns first, from the scores that chose
    the winners; then each winner learns, on the images it won, to please the discriminator that has just learnt."""
    experts, discriminator = state.experts, state.discriminator

    # Every expert answers every image. This pass has no gradient where the winners run once more alone.
    with torch.set_grad_enabled(not experts.winners_alone):
        answers = experts(transformed)
    shown = answers.detach()  # the discriminator's loss must not reach the experts
    logits = discriminator(torch.cat([shown.flatten(0, 1), canonical]))
    answer_logits = logits[: -len(canonical)].view(shown.shape[:2])
    contest = compete(shown, answer_logits)

    # The discriminator: canonical images are real, answers are fake, the losers' too.
    fakes = answer_logits if state.losers_are_fake else winners_logits(contest)
    loss = discriminator_loss(logits[-len(canonical) :], fakes)
    state.discriminator_adam.zero_grad()
    loss.backward()
    state.discriminator_adam.step()

    # The winners: each expert on the images it won.
    if experts.winners_alone:
        winning = experts.answer_as_winner(transformed, contest.winner)
    else:
        winning = answers[contest.winner, torch.arange(len(transformed), device=state.device)]
    expert_loss = winners_loss(discriminator(winning), contest.winner, experts.experts)
    gradients = torch.autograd.grad(expert_loss, state.expert_adam.parameters)
    won = count_wins(contest.winner, experts.experts) > 0
    state.expert_adam.step(gradients, won)

    state.step += 1
    return StepOutput(
        contest=Contest(shown, answer_logits.detach(), contest.winner),
        expert_loss=expert_loss.detach() / won.sum(),
        discriminator_loss=loss.detach(),
    )


class UnfitState(ActionableError):
    """Arrays that are no state of this run, however whole their file is."""


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Everything that a resume needs: weights, both optimisers, counters."""
    arrays = {name: tensor.cpu().numpy().copy() for name, tensor in _tensors(state).items()}
    for index, moments in state.discriminator_adam.state_dict()["state"].items():
        for name, value in moments.items():
            arrays[f"discriminator_adam.{index}.{name}"] = value.cpu().numpy().copy()
    arrays["counters"] = np.array([state.identity_step, int(state.competing), state.step], dtype=np.int64)
    return arrays


@torch.no_grad()
def load_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes `state`: the mirror image of `to_arrays`. UnfitState, and nothing is changed, when it could not be."""
    check_arrays(state, arrays)
    for name, tensor in _tensors(state).items():
        tensor.copy_(torch.from_numpy(arrays[name]))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, place in _moments(state).items():
        if name in arrays:
            _, index, moment = name.split(".")
            # In the memory format of the parameter, as Adam makes it: the fused one goes by memory, not by index.
            value = torch.empty_like(place).copy_(torch.from_numpy(arrays[name]).view(place.shape))
            moments.setdefault(int(index), {})[moment] = value
    groups = state.discriminator_adam.state_dict()["param_groups"]
    state.discriminator_adam.load_state_dict({"state": moments, "param_groups": groups})
    state.identity_step, competing, state.step = (int(value) for value in arrays["counters"])
    state.competing = bool(competing)


def check_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """UnfitState with the first reason why `load_arrays` could not take them; arrays of a window are somebody else's."""
    own = {name: values for name, values in arrays.items() if not name.startswith("window.")}
    places = {**_tensors(state), "counters": torch.zeros(3, dtype=torch.int64)}
    moments = _moments(state)
    if any(name.startswith("discriminator_adam.") for name in own):  # there are none before its first step
        places |= moments
    for name in moments:
        if name.endswith(".step") and name in own and own[name].shape == (1,):
            own[name] = own[name].reshape(())  # a file gives a lone number an axis
    if wrong := misfit(own, places):
        raise UnfitState(wrong)
    identity_step, competing, step = own["counters"].tolist()
    if min(identity_step, step) < 0 or competing not in (0, 1):
        raise UnfitState(f"counters are {identity_step}, {competing}, {step}: no steps that were ever done")
    if step > 0 and places.keys().isdisjoint(moments):
        raise UnfitState(f"{next(iter(moments))} is missing though the competition has begun")


def _tensors(state: TrainState) -> dict[str, Tensor]:
    """What a state always has, not copies, under the names that the arrays have on disk."""
    adam = state.expert_adam
    return {
        **named_weights(state.experts, state.discriminator),
        **{f"expert_adam.mean.{index}": mean for index, mean in enumerate(adam.mean)},
        **{f"expert_adam.square.{index}": square for index, square in enumerate(adam.square)},
        "expert_adam.clock": adam.clock,
        "copies": state.copies,
        "copy_error": state.copy_error,
    }


def _moments(state: TrainState) -> dict[str, Tensor]:
    """What the discriminator's Adam has from its first step on: names, and a tensor shaped like each."""
    named: dict[str, Tensor] = {}
    for index, parameter in enumerate(state.discriminator.parameters()):
        for moment in ("exp_avg", "exp_avg_sq"):
            named[f"discriminator_adam.{index}.{moment}"] = parameter.detach()
        named[f"discriminator_adam.{index}.step"] = torch.zeros(())
    return named
