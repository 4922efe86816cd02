"""The commentator: what is told of a run, and that it is told once."""

from collections.abc import Sequence

import numpy as np
import pytest

from icm.files import PROJECT
from icm.ownership import is_one_to_one, owners, win_share
from icm.runs.history import IMAGES_IN_VIEW, History, history_of, run_history
from icm.runs.records import RowShape, StepRecord
from icm.runs.run import Run
from icm.show.story import IDLE_STEPS, Event, events, listed, words

EXPERTS, MECHANISMS = 3, 2
SHAPE = RowShape(EXPERTS, MECHANISMS)
NAMES = ("up", "down")


def run_of(
    rows: Sequence[tuple[int, Sequence[Sequence[int]]]],
    shape: RowShape = SHAPE,
    plays: Sequence[Sequence[int]] = (),
) -> History:
    """A history with these wins (expert, mechanism) in the rows of these steps."""
    records = []
    for number, (step, wins) in enumerate(rows):
        table = [list(each) for each in wins]
        nothing: list[list[float | None]] = [[None] * len(table[0])] * len(table)
        playing = list(plays[number]) if plays else None
        images = int(np.sum(table))
        records.append(StepRecord(step, 0.0, images, table, nothing, 10.0, 1.0, 1.0, plays=playing))
    return history_of(records, shape)


def owned_by(*owner: int) -> list[list[int]]:
    """Wins of `IMAGES_IN_VIEW` images, all of mechanism m by expert owner[m]."""
    wins = np.zeros((EXPERTS, MECHANISMS), dtype=int)
    for mechanism, expert in enumerate(owner):
        wins[expert, mechanism] = IMAGES_IN_VIEW // MECHANISMS
    return wins.tolist()


def test_claims_takeovers_and_one_to_one_are_told_in_words() -> None:
    history = run_of([(5, owned_by(0, 0)), (10, owned_by(0, 1)), (15, owned_by(0, 1)), (20, owned_by(2, 1))])
    assert words(events(history), NAMES) == [
        (5, "E0 claims up and down"),
        (10, "E1 takes down from E0"),
        (10, "2 of 2: every mechanism has an expert of its own"),
        (20, "E2 takes up from E0"),
        (20, "2 of 2 again: every mechanism has an expert of its own"),
    ]


def test_nothing_is_told_of_rows_too_few_to_judge_by() -> None:
    few = [[IMAGES_IN_VIEW // 2 - 1, 0], [0, 0], [0, IMAGES_IN_VIEW // 2]]
    assert events(run_of([(5, few)])) == []
    assert events(run_of([])) == []


def test_a_mechanism_that_nobody_has_a_majority_of_keeps_its_holder() -> None:
    half = IMAGES_IN_VIEW // 4
    split = [[half, 0], [half, 2 * half], [0, 0]]
    told = events(run_of([(5, owned_by(0, 1)), (10, split), (15, owned_by(0, 1))]))
    assert [event.kind for event in told] == ["claims", "claims", "complete"]


def test_an_expert_that_wins_nothing_is_told_once_and_again_when_it_wins() -> None:
    one = owned_by(0, 1)
    rows = [(step, one) for step in range(5, 81, 5)] + [(85, owned_by(2, 1)), (90, one)]
    told = [event for event in events(run_of(rows)) if event.expert == 2]
    assert told == [
        Event(IDLE_STEPS, "idle", 2, steps=IDLE_STEPS),
        Event(85, "takes", 2, mechanism=0, other=0),
        Event(85, "back", 2, steps=85),
    ]


def test_who_joins_and_who_leaves_an_open_roster_is_told_and_who_does_not_play_is_not_idle() -> None:
    shape = RowShape(EXPERTS, MECHANISMS, roster=2)
    rows = [(step, owned_by(0, 1)) for step in (20, 40, 60, 80)]
    told = words(events(run_of(rows, shape, plays=[(0, 1), (0, 1), (0, 1, 2), (0, 1)])), NAMES)
    assert told[-2:] == [(60, "E2 joins"), (80, "E2 leaves")]
    assert not any("won nothing" in said for _, said in told)


@pytest.mark.parametrize("seed", range(20))
def test_replaying_the_events_gives_the_holders_and_no_change_is_told_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, odds = [], random.dirichlet([0.5] * EXPERTS, MECHANISMS)
    for step in range(1, 120):
        if random.random() < 0.1:
            odds = random.dirichlet([0.5] * EXPERTS, MECHANISMS)
        rows.append((step, np.stack([random.multinomial(16, each) for each in odds], axis=1).tolist()))
    history = run_of(rows)
    told = events(history)
    assert len(told) == len(set(told))
    assert [event.step for event in told] == sorted(event.step for event in told)

    seen = history.spans(np.arange(1, history.rows + 1), IMAGES_IN_VIEW)
    truth: list[int | None] = [None] * MECHANISMS
    replayed: list[int | None] = [None] * MECHANISMS
    for step, images, wins in zip(seen.step.tolist(), seen.images.tolist(), seen.wins):
        for event in told:
            if event.step == step and event.mechanism is not None:
                assert event.kind == ("claims" if replayed[event.mechanism] is None else "takes")
                assert event.other == replayed[event.mechanism] != event.expert
                replayed[event.mechanism] = event.expert
        if images >= IMAGES_IN_VIEW:
            now = owners(win_share(wins))
            truth = [before if found is None else found for found, before in zip(now, truth)]
            if any(event.step == step and event.kind.startswith("complete") for event in told):
                assert is_one_to_one(now)
        assert replayed == truth


def test_the_run_in_the_box_is_told_to_its_end() -> None:
    run = Run(PROJECT / "checkpoints" / "pretrained")
    config = run.config()
    history = run_history(run, config)
    told = events(history)
    assert told[-1].kind in ("complete", "complete again")
    owner = {event.mechanism: event.expert for event in told if event.kind in ("claims", "takes")}
    assert [owner[mechanism] for mechanism in range(10)] == owners(win_share(history.recent().wins[0]))
    assert is_one_to_one([owner[mechanism] for mechanism in range(10)])


def test_names_are_listed_as_one_says_them() -> None:
    assert [listed([]), listed(["up"]), listed(["up", "down"]), listed(["up", "down", "left"])] == [
        "",
        "up",
        "up and down",
        "up, down and left",
    ]
