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
from icm.method.adam import shortened
from icm.method.competition import (
    Contest,
    compete,
    count_wins,
    discriminator_loss,
    nearly_blank,
    next_bias,
    winners_logits,
    winners_loss,
)
from icm.method.roster import Roster, one_expert
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
    if state.roster:
        for kept, now in zip(state.roster.newcomer, one_expert(state.experts), strict=True):
            kept.copy_(now)
    if identity.start == "shared":
        for parameter in state.experts.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.copy_(parameter[:1] * (1 + identity.perturbation * noise))
        for statistic in state.experts.statistics:
            statistic.copy_(statistic[:, :1].expand_as(statistic))
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
    experts, discriminator, roster = state.experts, state.discriminator, state.roster
    learning_rate = learning_rate_at(state.step, state.training)
    players = roster.players if roster else None

    # Every expert that plays answers every image. This pass has no gradient where the winners run once more.
    with torch.set_grad_enabled(not experts.winners_again):
        answers = experts(transformed, players)
    shown = answers.detach()  # the discriminator's loss must not reach the experts
    bias = state.bias if players is None else state.bias[players]
    contest, loss = _judge(state, canonical, shown, bias)
    loss.backward()
    state.discriminator_adam.step(learning_rate)

    # The winners: each expert on the images it won.
    if experts.winners_again:
        winning = experts.answer_as_winner(transformed, contest.winner, players)
    else:
        winning = answers[contest.winner, torch.arange(len(transformed), device=state.device)]
    expert_loss = winners_loss(discriminator(winning, learns=False), contest.winner, len(answers))
    gradients = torch.autograd.grad(expert_loss, state.expert_adam.parameters)
    if state.training.clip:
        gradients = shortened(gradients, state.training.clip)
    if state.conscience.rule == "conscience":
        bias = next_bias(bias, contest.winner, state.step + 1, state.conscience)
    if roster is not None and players is not None:
        roster.look(contest)
        named = torch.tensor(players).to(state.device, non_blocking=True)
        contest = contest.among(experts.experts, named)
        bias = state.bias.index_copy(0, named, bias)
    won = count_wins(contest.winner, experts.experts) > 0
    state.expert_adam.step(gradients, won, learning_rate)
    state.bias = bias
    state.step += 1
    return StepOutput(
        contest=contest,
        expert_loss=expert_loss.detach() / won.sum(),
        discriminator_loss=loss.detach(),
    )


@torch.no_grad()
def review_roster(state: TrainState, identity: IdentityConfig, generator: Generator) -> None:
    """Changes `state`: dismisses experts that the others can do without, or hires one while the conscience can still give it work.

    Does nothing where the roster is fixed, before the first step, and between two reviews. One that is hired is a perturbed copy of the first expert as
    it was when the competition began."""
    roster = state.roster
    if roster is None or state.step == 0 or state.step % roster.config.every:
        return
    dismissed, hired = roster.dismiss(state.step), None
    if dismissed is not None:
        state.bias[dismissed] = 0
    elif state.step + roster.config.grace <= state.conscience.until:
        hired = roster.hire(state.step)
    if hired is not None:
        _begin_anew(state, roster, hired, identity.perturbation, generator)
    assert state.experts.playing is not None
    state.experts.playing[:] = False
    state.experts.playing[roster.players] = True


def _begin_anew(
    state: TrainState, roster: Roster, expert: int, perturbation: float, generator: Generator
) -> None:
    """Changes `state`: the expert becomes a newcomer."""
    parameters = list(state.experts.parameters())
    for parameter, newcomer in zip(parameters, roster.newcomer):
        noise = torch.randn(newcomer.shape, generator=generator).to(parameter.device)
        parameter[expert] = newcomer * (1 + perturbation * noise)
    for statistic, newcomer in zip(state.experts.statistics, roster.newcomer[len(parameters) :]):
        statistic[:, expert] = newcomer
    state.expert_adam.forget(expert)
    state.bias[expert] = 0


def _judge(
    state: TrainState, canonical: Images, answers: Answers, bias: Float[Tensor, " expert"]
) -> tuple[Contest, Float[Tensor, ""]]:
    """The contest, and the discriminator's loss: canonical images are real, answers are fake, the losers' too, and blanks, if the
    configuration asks for some."""
    blank = nearly_blank(canonical, state.training.blanks)
    shown = [answers.flatten(0, 1), canonical, blank]
    of_answers, real, of_blank = state.discriminator(torch.cat(shown)).split([len(each) for each in shown])
    of_answers = of_answers.view(answers.shape[:2])
    contest = compete(answers, of_answers.detach(), bias)
    fakes = of_answers if state.training.losers_are_fake else winners_logits(of_answers, contest.winner)
    return contest, discriminator_loss(real, fakes, of_blank if state.training.blanks else None)
