"""The learner: identity initialisation and the competition, one step at a time (section 3 and algorithm 1 of the paper).

It sees two piles of images, canonical and transformed, and nothing else: no mechanism, no original, no pairs.
What changes lives in `TrainState`, the first argument of each function that changes it.
Axes: expert, batch, channel, height, width."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from icm.config import IdentityConfig, TrainingConfig
from icm.method.competition import (
    Contest,
    compete,
    count_wins,
    discriminator_loss,
    discriminator_loss_in_turn,
    next_bias,
    winners_logits,
    winners_loss,
)
from icm.method.state import TrainState
from icm.shapes import Answers, Images

NEWEST_ERROR = 0.1  # weight of the newest error in the running mean: about ten batches count


@dataclass(frozen=True)
class StepOutput:
    """What one step of the competition did."""

    contest: Contest
    expert_loss: Float[Tensor, ""]  # mean over the experts that won something
    discriminator_loss: Float[Tensor, ""]


def identity_step(state: TrainState, transformed: Images, target_error: float) -> Float[Tensor, " active"]:
    """Changes `state`: every expert that does not yet copy well enough takes one step towards copying its input.

    An expert stops once the running mean of its error is below `target_error`. One batch without noise is easy to copy and
    would stop it too early. Returns the mean squared error of the experts that were active, before the step."""
    active = (~state.can_copy).nonzero().flatten().tolist()
    answers = state.experts(transformed, experts=active)
    errors = (answers - transformed).square().mean(dim=(1, 2, 3, 4))

    gradients = torch.autograd.grad(errors.sum(), state.expert_adam.parameters)
    state.copy_error[active] = state.copy_error[active].lerp(errors.detach(), NEWEST_ERROR)
    state.can_copy[active] = state.copy_error[active] < target_error
    state.expert_adam.step(gradients, ~state.can_copy, state.training.learning_rate)
    state.identity_steps += 1
    return errors.detach()


def identity_phase(
    state: TrainState, draw: Callable[[int], Images], identity: IdentityConfig
) -> Iterator[Float[Tensor, " active"]]:
    """Changes `state`: identity steps until every expert copies well enough or the steps are used up."""
    while state.identity_steps < identity.steps and not bool(state.can_copy.all()):
        yield identity_step(state, draw(state.identity_steps), identity.target_error)


@torch.no_grad()
def start_competition(state: TrainState, identity: IdentityConfig, generator: Generator) -> None:
    """Changes `state`: ends the identity phase. With a shared start every expert gets a perturbed copy of the first one.

    Adam starts anew, since the gradients of copying say nothing about the competition."""
    if identity.start == "shared":
        for parameter in state.experts.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.copy_(parameter[:1] * (1 + identity.perturbation * noise))
        for buffer in state.experts.buffers():  # axes: layer, expert, filter
            buffer.copy_(buffer[:, :1].expand_as(buffer))
    state.expert_adam.reset()
    state.discriminator_adam.reset()
    state.can_copy.fill_(True)
    state.competing = True


def learning_rate_at(step: int, training: TrainingConfig) -> float:
    """Adam's step size after `step` steps: constant, then falling to zero in a straight line over the last part `cooldown` of
    the steps."""
    falling = training.cooldown * training.steps
    left = max(0, training.steps - step)
    return training.learning_rate * min(1.0, left / falling if falling else 1.0)


def train_step(state: TrainState, canonical: Images, transformed: Images) -> StepOutput:
    """Changes `state`: one round of the competition (algorithm 1 of the paper).

    The discriminator learns first, from the scores that chose the winners. Then each winner learns, on the images it won,
    to please the discriminator as it is after that step."""
    experts, discriminator = state.experts, state.discriminator
    learning_rate = learning_rate_at(state.step, state.training)

    # Every expert answers every image. This pass has no gradient where the winners run once more.
    with torch.set_grad_enabled(not experts.winners_again):
        answers = experts(transformed)
    shown = answers.detach()  # the discriminator's loss must not reach the experts
    judge = _judge_in_turn if state.training.losers_in_turn else _judge_all
    contest, loss = judge(state, canonical, shown)
    loss.backward()
    state.discriminator_adam.step(learning_rate)

    # The winners: each expert on the images it won.
    if experts.winners_again:
        winning = experts.answer_as_winner(transformed, contest.winner)
    else:
        winning = answers[contest.winner, torch.arange(len(transformed), device=state.device)]
    expert_loss = winners_loss(discriminator(winning), contest.winner, experts.experts)
    gradients = torch.autograd.grad(expert_loss, state.expert_adam.parameters)
    won = count_wins(contest.winner, experts.experts) > 0
    state.expert_adam.step(gradients, won, learning_rate)

    if state.conscience.rule == "conscience":
        state.bias = next_bias(state.bias, contest.winner, state.step + 1, state.conscience)
    state.step += 1
    return StepOutput(
        contest=contest,
        expert_loss=expert_loss.detach() / won.sum(),
        discriminator_loss=loss.detach(),
    )


def _judge_all(state: TrainState, canonical: Images, answers: Answers) -> tuple[Contest, Float[Tensor, ""]]:
    """The contest, and the discriminator's loss: canonical images are real, answers are fake, the losers' too."""
    logits = state.discriminator(torch.cat([answers.flatten(0, 1), canonical]))
    of_answers = logits[: -len(canonical)].view(answers.shape[:2])
    contest = compete(answers, of_answers.detach(), state.bias)
    fakes = of_answers if state.training.losers_are_fake else winners_logits(of_answers, contest.winner)
    return contest, discriminator_loss(logits[-len(canonical) :], fakes)


def _judge_in_turn(
    state: TrainState, canonical: Images, answers: Answers
) -> tuple[Contest, Float[Tensor, ""]]:
    """The contest, and an estimate of the discriminator's loss from the winners' answers and those of the experts in turn.

    The scores need all answers. Only those in turn keep their gradient from that pass; the winners' are scored once more."""
    turn, first = state.training.losers_in_turn, state.step * state.training.losers_in_turn % len(answers)
    rolled = answers.roll(-first, dims=0)  # the experts in turn come first
    with torch.no_grad():
        rest = state.discriminator(rolled[turn:].flatten(0, 1)).view(rolled[turn:].shape[:2])
    logits = state.discriminator(torch.cat([rolled[:turn].flatten(0, 1), canonical]))
    in_turn = logits[: -len(canonical)].view(rolled[:turn].shape[:2])
    contest = compete(answers, torch.cat([in_turn.detach(), rest]).roll(first, dims=0), state.bias)
    winners = state.discriminator(contest.restored)
    expert = (torch.arange(turn, device=state.device) + first) % len(answers)
    lost = expert[:, None] != contest.winner
    loss = discriminator_loss_in_turn(logits[-len(canonical) :], winners, in_turn, lost, len(answers))
    return contest, loss
