"""Who wins and who learns, against a plain loop over separate experts in float64."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import softplus

from icm.config import ModelConfig, RunConfig, TrainingConfig
from icm.images.batches import Batch, generator_for
from icm.method.competition import compete, count_wins, discriminator_loss, winners_loss
from icm.method.engine import PLAIN, Engine
from icm.method.state import TrainState, init_state
from icm.method.training import start_competition, train_step

EXPERTS = 4


def make_state(norm: str = "none", losers_are_fake: bool = True, engine: Engine = PLAIN) -> TrainState:
    config = RunConfig(
        model=ModelConfig(EXPERTS, filters=8, norm=norm, discriminator_filters=2, discriminator_hidden=5),  # pyright: ignore[reportArgumentType]
        training=TrainingConfig(losers_are_fake=losers_are_fake),
    )
    state = init_state(config, generator_for(3, "weights"), torch.device("cpu"), engine)
    state.experts.double()
    state.discriminator.double()
    start_competition(state, replace(config.identity, start="independent"), generator_for(3, "perturbation"))
    return state


def doubles(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return batch.canonical.double(), batch.transformed.double()


def plain_loop(state: TrainState, canonical: torch.Tensor, transformed: torch.Tensor):
    """The paper's step without any economy: every expert by itself, with gradient, on every image."""
    answers = [state.experts(transformed, experts=[expert])[0] for expert in range(EXPERTS)]
    logits = torch.stack([state.discriminator(answer) for answer in answers])
    winner = logits.argmax(dim=0)

    fake = sum(softplus(logit).mean() for logit in logits) / EXPERTS
    loss = softplus(-state.discriminator(canonical)).mean() + fake
    gradients = torch.autograd.grad(loss, list(state.discriminator.parameters()), retain_graph=True)
    return answers, winner, loss, gradients


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_exactly_the_winners_learn_and_as_in_a_plain_loop(norm: str, engine: str, batch: Batch) -> None:
    state, plain = make_state(norm, engine=Engine(experts=engine)), make_state(norm)  # pyright: ignore[reportArgumentType]
    canonical, transformed = doubles(batch)

    answers, winner, _, gradients = plain_loop(plain, canonical, transformed)
    adam = torch.optim.Adam(plain.discriminator.parameters(), lr=1e-3)
    for parameter, gradient in zip(plain.discriminator.parameters(), gradients):
        parameter.grad = gradient
    adam.step()
    before = [parameter.detach().clone() for parameter in plain.experts.parameters()]
    optimisers = torch.optim.Adam(plain.experts.parameters(), lr=1e-3)
    for expert in winner.unique().tolist():
        score = plain.discriminator(answers[expert][winner == expert])
        softplus(-score).mean().backward()
    optimisers.step()

    output = train_step(state, canonical, transformed)

    # After one step Adam's mean is 0.1 of the gradient, so equal means are equal gradients.
    means = [optimisers.state[parameter]["exp_avg"] for parameter in plain.experts.parameters()]
    assert output.contest.winner.tolist() == winner.tolist()
    assert 1 <= len(winner.unique()) < EXPERTS, "the situation needs a winner and an expert without a win"
    for mean, expected in zip(state.expert_adam.mean, means):
        torch.testing.assert_close(mean, expected, rtol=1e-9, atol=1e-12)
    for parameter, expected, old in zip(state.experts.parameters(), plain.experts.parameters(), before):
        for expert in range(EXPERTS):
            if expert in winner:
                torch.testing.assert_close(parameter[expert], expected[expert], rtol=0, atol=1e-10)
                assert not torch.equal(parameter[expert], old[expert])
            else:
                assert torch.equal(parameter[expert], old[expert])
    for parameter, expected in zip(state.discriminator.parameters(), plain.discriminator.parameters()):
        torch.testing.assert_close(parameter, expected, rtol=0, atol=1e-10)


def test_an_expert_without_a_win_keeps_moments_and_clock(batch: Batch) -> None:
    state = make_state()
    canonical, transformed = doubles(batch)
    first = train_step(state, canonical, transformed)
    idle = [expert for expert in range(EXPERTS) if expert not in first.contest.winner]

    assert idle
    for mean, square in zip(state.expert_adam.mean, state.expert_adam.square):
        assert not mean[idle].any()
        assert not square[idle].any()
    wins = count_wins(first.contest.winner, EXPERTS) > 0
    assert state.expert_adam.clock.tolist() == wins.long().tolist()


def test_losers_count_in_the_discriminators_loss(batch: Batch) -> None:
    canonical, transformed = doubles(batch)
    with_losers, winners_only = make_state(losers_are_fake=True), make_state(losers_are_fake=False)
    answers, winner, loss, _ = plain_loop(make_state(), canonical, transformed)
    logits = torch.stack([with_losers.discriminator(answer) for answer in answers])
    winning = logits[winner, torch.arange(len(winner))]
    real = softplus(-with_losers.discriminator(canonical)).mean()

    torch.testing.assert_close(
        train_step(with_losers, canonical, transformed).discriminator_loss, loss.detach(), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        train_step(winners_only, canonical, transformed).discriminator_loss,
        (real + softplus(winning).mean()).detach(),
        rtol=0,
        atol=1e-12,
    )


def test_blanks_are_fakes_that_weigh_as_one_more_expert(batch: Batch) -> None:
    canonical, transformed = doubles(batch)
    state = make_state()
    answers, _, _, _ = plain_loop(make_state(), canonical, transformed)
    fakes = torch.stack([softplus(state.discriminator(answer)).mean() for answer in answers])
    real = softplus(-state.discriminator(canonical)).mean()
    faint = torch.stack([0.0 * canonical[0], 0.15 * canonical[1], 0.3 * canonical[2]])
    blank = softplus(state.discriminator(faint)).mean()

    state.training = replace(state.training, blanks=3)
    with_blanks = train_step(state, canonical, transformed)
    wanted = real + torch.cat([fakes, blank[None]]).mean()
    torch.testing.assert_close(with_blanks.discriminator_loss, wanted.detach(), rtol=0, atol=1e-12)
    # They are nobody's answers, and decide nothing in that step.
    without = train_step(make_state(), canonical, transformed)
    assert torch.equal(with_blanks.contest.logits, without.contest.logits)


def test_the_discriminators_loss_does_not_reach_the_experts(batch: Batch) -> None:
    state = make_state("batch")  # the form that keeps every answer's graph
    train_step(state, *doubles(batch))
    assert all(parameter.grad is None for parameter in state.experts.parameters())


def test_the_best_score_wins_and_the_first_of_equals() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0], [1.0, 2.0, -3.0]])
    contest = compete(torch.zeros(2, 3, 1, 4, 5), logits)
    assert contest.winner.tolist() == [1, 0, 0]


def test_each_winner_weighs_the_same_however_many_images_it_won() -> None:
    # Expert 0 won three images with logit 0, expert 2 one with logit 0: softplus(0) = ln 2 each, so 2 ln 2.
    loss = winners_loss(torch.zeros(4), torch.tensor([0, 0, 2, 0]), experts=3)
    assert loss.item() == pytest.approx(2 * 0.693147, abs=1e-5)


def test_real_and_fake_weigh_the_same() -> None:
    # Undecided about everything: ln 2 for the two real images and ln 2 for all the fakes together.
    loss = discriminator_loss(torch.zeros(2), torch.zeros(5, 3))
    assert loss.item() == pytest.approx(2 * 0.693147, abs=1e-5)


def test_wins_are_counted_for_every_expert_also_for_one_without_any() -> None:
    assert count_wins(torch.tensor([2, 0, 2, 2]), experts=4).tolist() == [1, 0, 3, 0]
