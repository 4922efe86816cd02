"""A step that is replayed from a snapshot is the run's own: its wins, its scores, its losses, and the push of its winners."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from icm.config import RunConfig
from icm.images.digits import Digits, load_digits
from icm.measure.replay import Replay, replay
from icm.method.competition import count_wins
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import train

STEPS = 30


@pytest.fixture(scope="module")
def digits(root: Path) -> Digits:
    return load_digits("builtin", root)


@pytest.fixture
def sampled(store: RunStore, short: RunConfig, root: Path) -> Run:
    """A run with batch norm, sampled statistics and a conscience, like `robust`; a row a step."""
    config = replace(
        short,
        model=replace(short.model, norm="batch", statistics="sample", others=4),
        conscience=replace(short.conscience, rule="conscience", until=STEPS),
        training=replace(short.training, steps=STEPS),
    )
    run = store.create("sampled", config, {})
    train(run, root)
    return run


def of(run: Run, step: int, digits: Digits) -> Replay:
    bias = run_history(run, run.config()).until(step).recent(1).bias[0]
    return replay(run.config(), run.snapshots.read(step), digits.train, step, bias)


def test_its_wins_scores_and_losses_are_those_of_the_row_that_the_run_wrote(
    sampled: Run, digits: Digits
) -> None:
    history = run_history(sampled, sampled.config())
    steps = [step for step in sampled.snapshots.steps() if step < STEPS]
    assert steps[0] == 0
    assert len(steps) > 1
    for step in steps:
        found = of(sampled, step, digits)
        row = history.until(step + 1).recent(1)
        assert row.step[0] == step + 1
        played = np.zeros_like(row.wins[0])
        np.add.at(played, (found.contest.winner.numpy(), found.batch.mechanism.numpy()), 1)
        assert (played == row.wins[0]).all()
        assert found.discriminator_loss == pytest.approx(row.losses[0, 1], rel=1e-4)
        for mechanism in range(row.wins.shape[2]):
            here = found.batch.mechanism == mechanism
            if here.any():
                scores = found.contest.logits[:, here].mean(dim=1).numpy()
                np.testing.assert_allclose(scores, row.score[0, :, mechanism], atol=2e-4)
    first = of(sampled, 0, digits)  # where the optimisers have no past
    assert first.expert_loss == pytest.approx(history.until(1).recent(1).losses[0, 0], rel=1e-4)


def test_the_push_is_the_gradient_that_the_winners_get(
    sampled: Run, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By autograd on a loop over images, with the discriminator as `train_step` leaves it."""
    from icm.measure import replay as module

    kept = []
    before = module.train_step
    monkeypatch.setattr(
        module, "train_step", lambda state, *images: kept.append(state) or before(state, *images)
    )
    found = of(sampled, 0, digits)
    wins = count_wins(found.contest.winner, sampled.config().model.experts)
    for number, winner in enumerate(found.contest.winner.tolist()):
        answer = found.contest.answers[winner, number].detach()[None].requires_grad_()
        loss = softplus(-kept[0].discriminator(answer)).sum() / wins[winner]
        (gradient,) = torch.autograd.grad(loss, answer)
        torch.testing.assert_close(found.push[number], -gradient[0], atol=1e-6, rtol=1e-4)


def test_networks_of_the_run_stay_as_they_are(sampled: Run, digits: Digits) -> None:
    arrays = sampled.snapshots.read(0)
    before = {name: array.copy() for name, array in arrays.items()}
    replay(sampled.config(), arrays, digits.train, 0)
    assert all((arrays[name] == array).all() for name, array in before.items())
