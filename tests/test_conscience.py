"""The conscience changes who wins and nothing else, and ends before the run does."""

from dataclasses import replace

import pytest
import torch

from icm.config import ConscienceConfig, ModelConfig, RunConfig
from icm.images.batches import Batch, generator_for
from icm.method.competition import compete, next_bias
from icm.method.state import TrainState, init_state, to_arrays
from icm.method.training import start_competition, train_step

CONSCIENCE = ConscienceConfig(rule="conscience", rate=4.0, leak=0.25, until=2)


def test_an_expert_that_wins_too_much_is_held_back_and_one_that_wins_too_little_helped() -> None:
    winner = torch.tensor([0, 0, 0, 1])
    bias = next_bias(torch.zeros(4), winner, 1, CONSCIENCE)
    assert bias.tolist() == [4 * (1 / 4 - 3 / 4), 0.0, 1.0, 1.0]
    again = next_bias(bias, winner, 2, CONSCIENCE)
    assert again.tolist() == [-2 * 0.75 - 2, 0.0, 1.75, 1.75]


def test_after_its_last_step_the_bias_leaks_away_until_there_is_none() -> None:
    bias, winner = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0, 0, 0])
    assert next_bias(bias, winner, 3, CONSCIENCE).tolist() == [1.5, -0.75, 0.375]
    for step in range(3, 30):
        bias = next_bias(bias, winner, step, CONSCIENCE)
    assert bias.tolist() == [0.0, 0.0, 0.0]


def test_the_bias_decides_who_wins_and_the_contest_keeps_who_would_have_won_without() -> None:
    answers, logits = torch.zeros(2, 2, 1, 1, 1), torch.tensor([[1.0, 3.0], [0.5, 0.0]])
    contest = compete(answers, logits, torch.tensor([0.0, 1.0]))
    assert contest.winner.tolist() == [1, 0]
    assert contest.winner_by_score.tolist() == [0, 0]
    assert torch.equal(contest.logits, logits)


def state_with(conscience: ConscienceConfig) -> TrainState:
    model = ModelConfig(experts=4, filters=6, discriminator_filters=2, discriminator_hidden=5)
    config = RunConfig(model=model, conscience=conscience)
    state = init_state(config, generator_for(1, "weights"), torch.device("cpu"))
    start_competition(state, replace(config.identity, start="independent"), generator_for(1, "perturbation"))
    return state


def test_the_discriminator_learns_as_if_there_were_no_conscience(batch: Batch) -> None:
    plain, biased = state_with(ConscienceConfig()), state_with(CONSCIENCE)
    biased.bias = torch.tensor([0.0, 0.0, 50.0, 0.0])
    output = train_step(biased, batch.canonical, batch.transformed)
    expected = train_step(plain, batch.canonical, batch.transformed)

    assert output.contest.winner.tolist() == [2] * 6
    assert torch.equal(output.contest.winner_by_score, expected.contest.winner)
    assert torch.equal(output.discriminator_loss, expected.discriminator_loss)
    for mine, theirs in zip(biased.discriminator.parameters(), plain.discriminator.parameters()):
        assert torch.equal(mine, theirs)
    # Only the winner has learnt.
    assert biased.expert_adam.clock.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("rule", ["none", "conscience"])
def test_only_a_conscience_moves_the_bias_and_keeps_it_for_a_resume(rule: str, batch: Batch) -> None:
    state = state_with(replace(CONSCIENCE, rule=rule))
    train_step(state, batch.canonical, batch.transformed)
    assert bool(state.bias.any()) == ("bias" in to_arrays(state)) == (rule == "conscience")
