"""An open roster dismisses whom the others can do without and hires while that helps; who does not play takes no part."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from icm.config import ConscienceConfig, ModelConfig, RosterConfig, RunConfig
from icm.images.batches import Batch, generator_for
from icm.jobs import trainer
from icm.measure.evaluation import networks, play, psnr
from icm.method.competition import Contest
from icm.method.engine import PLAIN, Engine
from icm.method.roster import NEWEST, Roster, resemblance
from icm.method.state import TrainState, init_state, load_arrays, to_arrays
from icm.method.training import review_roster, start_competition, train_step
from icm.method.weights import weights
from icm.runs.history import run_history
from icm.runs.store import RunStore
from tests.short_runs import train

EXPERTS = 5
CPU = torch.device("cpu")
OPEN = RosterConfig("open", start=3, every=10, grace=20, idle=0.5, twins=3.0, vain=2)


def config_with(roster: RosterConfig, experts: int = EXPERTS, norm: str = "batch") -> RunConfig:
    model = ModelConfig(experts, filters=8, norm=norm, discriminator_filters=2, discriminator_hidden=5)  # pyright: ignore[reportArgumentType]
    if norm == "batch":
        model = replace(model, statistics="sample", others=2)
    return RunConfig(model=model, conscience=ConscienceConfig("conscience", until=100), roster=roster)


def state_with(roster: RosterConfig, norm: str = "batch", engine: Engine = PLAIN) -> TrainState:
    config = config_with(roster, norm=norm)
    state = init_state(config, generator_for(1, "weights"), CPU, engine)
    start_competition(state, replace(config.identity, start="independent"), generator_for(1, "perturbation"))
    return state


def roster_of(shares: list[float], alike: dict[int, float], start: int = 4) -> Roster:
    """A roster whose players win these shares and resemble nobody, but those in `alike` somebody, on so much of their images."""
    state = state_with(replace(OPEN, start=start))
    assert state.roster is not None
    roster = state.roster
    roster.share[: len(shares)] = torch.tensor(shares)
    roster.seen[:] = 100.0
    for expert, part in alike.items():
        other = next((each for each in alike if each != expert), 3)
        roster.twinned[expert, other] = 100 * part
    return roster


@pytest.mark.parametrize(
    ("shares", "alike", "dismissed"),
    [
        ([0.39, 0.25, 0.24, 0.12], {}, 3),  # an equal share is a quarter, and half of that is more than 0.12
        ([0.37, 0.25, 0.25, 0.13], {}, None),
        ([0.3, 0.2, 0.2, 0.3], {1: 0.51, 2: 0.51}, 2),  # of two that win equally, the later one
        ([0.3, 0.2, 0.2, 0.3], {0: 0.51, 1: 0.51}, 1),
        ([0.3, 0.2, 0.2, 0.3], {0: 0.49, 1: 0.49}, None),
        ([0.5, 0.25, 0.15, 0.1], {2: 1.0, 1: 1.0}, 3),  # an idle one that wins less than the twins
    ],
)
def test_who_is_idle_or_a_twin_is_dismissed(
    shares: list[float], alike: dict[int, float], dismissed: int | None
) -> None:
    roster = roster_of(shares, alike)
    assert roster.dismiss(step=19) is None  # nobody has played for long enough
    assert roster.dismiss(step=20) == dismissed
    assert roster.players == [expert for expert in range(4) if expert != dismissed]


def test_who_won_hardly_anything_is_no_twin_and_the_last_expert_stays() -> None:
    roster = roster_of([0.3, 0.3, 0.2, 0.2], {0: 1.0, 1: 1.0})
    roster.seen[0], roster.twinned[0, 1] = 4.0, 4.0
    assert roster.dismiss(step=20) is None
    alone = roster_of([0.0], {}, start=1)
    assert alone.dismiss(step=20) is None


def test_who_takes_one_of_two_from_an_expert_is_no_twin() -> None:
    roster = roster_of([0.4, 0.2, 0.2, 0.2], {})
    roster.twinned[1, 0] = 90.0
    roster.twinned[0, 1] = 30.0  # on seven of ten of its images much would be lost without expert 0
    assert roster.dismiss(step=20) is None
    roster.twinned[0, 1] = 40.0
    assert roster.dismiss(step=20) == 1


def test_after_a_dismissal_who_resembled_whom_is_found_out_anew() -> None:
    roster = roster_of([0.3, 0.2, 0.3, 0.2], {1: 1.0, 3: 1.0})
    assert roster.dismiss(step=20) == 3
    assert roster.dismiss(step=20) is None


def test_one_more_is_hired_when_all_is_quiet_until_two_were_hired_in_vain() -> None:
    roster = roster_of([0.44, 0.43, 0.13], {}, start=3)  # the last has less than half of an equal share
    assert roster.hire(step=19) is None
    assert roster.hire(step=20) == 3
    assert roster.hire(step=39) is None
    roster.share[3] = 0.25  # it finds work
    assert roster.dismiss(step=40) is None
    assert roster.hire(step=40) == 4
    assert roster.dismiss(step=59) is None
    assert roster.dismiss(step=60) == 4  # it has found none
    assert roster.hire(step=79) is None
    assert roster.hire(step=80) == 4  # the first in vain
    assert roster.dismiss(step=100) == 4
    assert roster.hire(step=120) is None  # the second
    assert roster.players == [0, 1, 2, 3]


def test_a_hire_is_in_vain_once_however_many_leave_after_it() -> None:
    roster = roster_of([0.25] * 4, {})
    assert roster.hire(step=20) == 4
    roster.share[4] = 0.25
    roster.share[:2] = 0.01
    assert [roster.dismiss(step) for step in (30, 40, 50)] == [1, 0, None]
    assert roster.in_vain == 1
    assert roster.hire(step=60) == 0


def test_the_next_is_hired_at_once_when_all_have_work_of_their_own() -> None:
    roster = roster_of([0.5, 0.3, 0.2], {}, start=3)
    assert roster.hire(step=1) == 3
    roster.share[3] = 0.13  # half of an equal share is an eighth
    assert roster.hire(step=5) is None  # too few images yet, to know whether there is a twin
    roster.seen[:4] = 20.0
    roster.twinned[3, 1], roster.twinned[1, 3] = 11.0, 7.0
    assert roster.hire(step=5) is None
    roster.twinned[3, 1] = 9.0
    roster.share[3] = 0.12
    assert roster.hire(step=5) is None
    roster.share[3] = 0.13
    assert roster.hire(step=5) == 4


def test_a_hire_is_in_vain_however_often_it_is_asked_whether_another_is_to_be_hired() -> None:
    roster = roster_of([0.34, 0.33, 0.33], {}, start=3)
    for start in (20, 60):
        assert roster.hire(start) == 3
        assert roster.hire(start + 10) is None
        assert roster.dismiss(start + 20) == 3
    assert roster.in_vain == 2
    assert roster.hire(step=200) is None


def test_nobody_is_hired_where_all_play() -> None:
    roster = roster_of([0.2] * 5, {}, start=5)
    assert roster.hire(step=50) is None


def test_a_twin_resembles_somebody_and_who_is_one_of_many_or_alone_nobody() -> None:
    generator = torch.Generator().manual_seed(5)
    first = torch.rand(1, 7, 1, 4, 4, generator=generator)
    others = torch.rand(4, 7, 1, 4, 4, generator=generator)
    winner = torch.zeros(7, dtype=torch.int64)
    twin = first + 0.01
    found = resemblance(torch.cat([first, others[:2], twin, others[2:]]), winner)
    for image in range(7):  # by hand: the twin is at 40 dB; the median of five is the third
        rest = sorted(float(psnr(first[0, image], each[image])) for each in others)
        assert float(found[image]) == pytest.approx(40 - rest[2], abs=0.01)
    assert found.min() > 25
    alone = resemblance(torch.cat([first, others]), winner)
    assert alone.max() < 5
    assert resemblance(torch.cat([first, twin, twin, twin]), winner).abs().max() < 1e-3
    assert resemblance(torch.cat([first, twin, others[:1]]), winner).tolist() == [0.0] * 7


@pytest.mark.parametrize("experts", ["loop", "stacked"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_step_among_players_is_that_of_a_bank_of_these_alone(norm: str, experts: str, batch: Batch) -> None:
    """Players 0, 2 and 4 of five against a bank of three: the same answers, losses and steps; the others stay to the bit."""
    players, engine = [0, 2, 4], Engine(experts=experts)  # pyright: ignore[reportArgumentType]
    state = state_with(OPEN, norm, engine)
    assert state.roster is not None
    state.roster.players = players
    small = init_state(config_with(RosterConfig(), 3, norm), generator_for(2, "weights"), CPU, engine)
    for each in (state, small):
        each.experts.double()
        each.discriminator.double()
        start_competition(
            each, replace(RunConfig().identity, start="independent"), generator_for(1, "weights")
        )
    with torch.no_grad():
        for mine, theirs in zip(small.experts.parameters(), state.experts.parameters()):
            mine.copy_(theirs[players])
        for mine, theirs in zip(small.discriminator.parameters(), state.discriminator.parameters()):
            mine.copy_(theirs)
    state.bias[players] = small.bias = torch.tensor([0.3, -0.1, 0.0])
    before = {name: values.clone() for name, values in state.experts.state_dict().items()}

    for canonical, transformed in [(batch.canonical.double(), batch.transformed.double())] * 2:
        output = train_step(state, canonical, transformed)
        expected = train_step(small, canonical, transformed)
        assert torch.equal(output.contest.winner, torch.tensor(players)[expected.contest.winner])
        torch.testing.assert_close(
            output.contest.logits[players], expected.contest.logits, rtol=0, atol=1e-10
        )
        assert (output.contest.logits[[1, 3]] == -torch.inf).all()
        torch.testing.assert_close(output.contest.restored, expected.contest.restored, rtol=0, atol=1e-10)
        torch.testing.assert_close(output.expert_loss, expected.expert_loss, rtol=0, atol=1e-10)

    for mine, theirs in zip(state.experts.parameters(), small.experts.parameters()):
        torch.testing.assert_close(mine[players], theirs, rtol=0, atol=1e-10)
    torch.testing.assert_close(state.bias[players], small.bias)
    for name, values in state.experts.state_dict().items():
        if not name.startswith("running") and name != "playing":
            assert torch.equal(values[[1, 3]], before[name][[1, 3]])
    for mine, theirs in zip(state.experts.statistics, small.experts.statistics):
        torch.testing.assert_close(mine[:, players], theirs, rtol=0, atol=1e-10)


def test_a_newcomer_is_what_the_first_expert_was_and_knows_nothing_of_who_had_its_place(batch: Batch) -> None:
    state = state_with(OPEN)
    assert state.roster is not None
    assert state.experts.playing is not None
    first = [values.detach()[0].clone() for values in state.experts.parameters()]
    identity = replace(RunConfig().identity, perturbation=0.0)
    train_step(state, batch.canonical, batch.transformed)
    state.step, state.expert_adam.clock[3], state.bias[3] = 20, 7, 2.0
    for moment in (*state.expert_adam.mean, *state.expert_adam.square):
        moment[3] = 1.0
    for statistic in state.experts.statistics:
        statistic[:, 3] = 9.0
    state.roster.share[:3] = 1 / 3
    state.roster.twinned[:] = 0
    review_roster(state, identity, generator_for(1, "perturbation", 20))
    assert state.roster.players == [0, 1, 2, 3]
    assert state.experts.players() == [0, 1, 2, 3]
    for values, kept in zip(state.experts.parameters(), first):
        assert torch.equal(values[3], kept)
    assert (int(state.expert_adam.clock[3]), float(state.bias[3])) == (0, 0.0)
    for moments in (state.expert_adam.mean, state.expert_adam.square):
        assert not any(moment[3].any() for moment in moments)
    assert not any((statistic[:, 3] == 9).any() for statistic in state.experts.statistics)


def test_what_it_looks_at_is_who_would_win_by_score_alone(batch: Batch) -> None:
    """Here the conscience gives every image to expert 0, though expert 1 scores better on three of four, and 2 on the last.

    Expert 3 answers two of those three like expert 1, but on one of them its score is far behind."""
    roster = state_with(replace(OPEN, start=4)).roster
    assert roster is not None
    logits = torch.tensor([[0.0] * 4, [1.0, 9.0, 1.0, -1.0], [-1.0, -1.0, -1.0, 1.0], [-2.0] * 4])
    answers = torch.rand(4, 4, 1, 32, 32, generator=torch.Generator().manual_seed(5))
    answers[3, :2] = answers[1, :2] + 0.01
    contest = Contest(answers, logits, torch.zeros(4, dtype=torch.long))
    for _ in range(2):
        roster.look(contest)
    twice = 1 - (1 - NEWEST) ** 2  # the weight of what was so both times, in a mean that begins at 0
    torch.testing.assert_close(roster.share[:4], twice * torch.tensor([0.0, 0.75, 0.25, 0.0]))
    again = 2 - NEWEST  # and in a sum
    torch.testing.assert_close(roster.seen[:4], again * torch.tensor([0.0, 3.0, 1.0, 0.0]))
    twinned = torch.zeros(5, 5)
    twinned[1, 0] = again  # by score 0 is next, where 3 is alike
    torch.testing.assert_close(roster.twinned, twinned.to(roster.twinned.dtype))
    assert not roster.share[4:].any()


def test_nobody_is_hired_when_the_conscience_ends_too_soon_to_give_it_work(batch: Batch) -> None:
    state = state_with(OPEN)
    assert state.roster is not None
    state.step = 90
    state.roster.share[:3] = 1 / 3
    review_roster(state, RunConfig().identity, generator_for(1, "perturbation", 90))
    assert state.roster.players == [0, 1, 2]


def test_a_state_brings_the_roster_back_and_a_snapshot_knows_who_plays(batch: Batch) -> None:
    quick = replace(OPEN, every=5, grace=5, twins=100.0)
    state, other = state_with(quick), state_with(quick)
    assert state.roster is not None
    assert other.roster is not None
    for step in range(6):
        train_step(state, batch.canonical, batch.transformed)
        review_roster(state, RunConfig().identity, generator_for(1, "perturbation", step))
    assert state.roster.players != [0, 1, 2]
    load_arrays(other, to_arrays(state))
    assert other.roster.players == state.roster.players
    assert other.roster.counters() == state.roster.counters()

    experts, discriminator = networks(config_with(quick), weights(state.experts, state.discriminator))
    contest = play(experts, discriminator, batch.transformed)
    idle = sorted(set(range(EXPERTS)) - set(state.roster.players))
    assert (contest.logits[idle] == -torch.inf).all()
    assert set(contest.winner.tolist()) <= set(state.roster.players)
    half = {name: values.astype(np.float16) for name, values in weights(experts, discriminator).items()}
    assert networks(config_with(quick), half)[0].players() == state.roster.players


def test_dismissals_are_one_at_a_time(batch: Batch) -> None:
    state = state_with(replace(OPEN, start=5, idle=1.0, every=5, grace=5))
    assert state.roster is not None
    counts = []
    for step in range(1, 17):
        train_step(state, batch.canonical, batch.transformed)
        review_roster(state, RunConfig().identity, generator_for(1, "perturbation", step))
        counts.append(len(state.roster.players))
    assert counts[3] == 5
    assert counts[-1] == 2
    assert max(before - after for before, after in pairwise(counts)) == 1


def test_what_is_kept_of_a_step_is_of_those_who_played_it(
    store: RunStore, root: Path, short: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of a step in which somebody left or came was one of other experts than the networks kept after it."""
    monkeypatch.setattr(trainer, "SNAPSHOTS", ((10**9, 5),))
    config = replace(
        short,
        model=replace(short.model, experts=4),
        conscience=ConscienceConfig("conscience", until=30),
        roster=RosterConfig("open", start=2, every=5, grace=5, idle=1.0),
        training=replace(short.training, steps=30),
    )
    run = store.create("one", config, {})
    train(run, root)
    history, played = run_history(run, config), []
    for step in run.snapshots.steps():
        played.append(np.flatnonzero(run.snapshots.read(step)["experts.playing"]).tolist())
        assert history.until(step).plays() == played[-1]
    assert played[0] == [0, 1]
    assert len({*map(tuple, played)}) > 1
