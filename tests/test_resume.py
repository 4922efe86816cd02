"""A run that was stopped and resumed equals the unbroken one bit for bit: weights, both optimisers, metrics."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from icm.config import IdentityConfig, RosterConfig, RunConfig
from icm.jobs import trainer
from icm.method.competition import Contest, compete
from icm.presets import PRESETS
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.short_runs import copied

IDENTITY_STEPS, STEPS = 4, 18


@pytest.fixture(autouse=True, scope="module")
def the_last_expert_never_wins() -> Iterator[None]:
    """It never wins, whatever its scores. The tests need an expert without a win, which keeps its weights, moments and clock.

    And a row is written every fifth step from the first on, so that a run is also stopped between two rows."""

    def without_the_last(answers: Tensor, logits: Tensor, bias: Tensor) -> Contest:
        masked = logits.clone()
        masked[-1] = -torch.inf
        return replace(compete(answers, masked, bias), logits=logits)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("icm.method.training.compete", without_the_last)
        monkeypatch.setattr("icm.jobs.trainer.EARLY_ROWS", ())
        yield


@pytest.fixture(scope="module")
def config() -> RunConfig:
    """Experts that differ in how soon they count as copyists."""
    tiny = PRESETS["tiny"]
    return replace(
        tiny,
        source="builtin",
        model=replace(tiny.model, experts=4),
        identity=IdentityConfig(start="independent", steps=IDENTITY_STEPS, target_error=0.22),
        training=replace(tiny.training, steps=STEPS),
        recording=replace(tiny.recording, every=5, state_every=7),
    )


def train(run: Run, root: Path, stop_at: tuple[str, int] | None = None) -> None:
    with run.trainer.locked():
        for event in trainer.train(run, root):
            if (event.phase, event.step) == stop_at:
                run.trainer.request_stop()


def state_of(run: Run) -> dict[str, np.ndarray]:
    arrays = run.states.read(run.states.steps()[-1])
    return {name: values for name, values in arrays.items() if name != "window.seconds"}


def rows_of(run: Run) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in run.rows.read()]


@pytest.fixture(scope="module")
def unbroken(
    the_last_expert_never_wins: None, tmp_path_factory: pytest.TempPathFactory, root: Path, config: RunConfig
) -> Run:
    """Trained once for all tests, which only look at it."""
    run = RunStore(tmp_path_factory.mktemp("runs")).create("unbroken", config, {})
    train(run, root)
    return run


@pytest.fixture(scope="module")
def at_eleven(
    the_last_expert_never_wins: None, tmp_path_factory: pytest.TempPathFactory, root: Path, config: RunConfig
) -> Run:
    """The same run, stopped after step 11. The tests take copies."""
    run = RunStore(tmp_path_factory.mktemp("runs")).create("stopped", config, {})
    train(run, root, ("competing", 11))
    return run


def is_same(run: Run, other: Run) -> bool:
    ours, theirs = state_of(run), state_of(other)
    assert ours.keys() == theirs.keys()
    return rows_of(run) == rows_of(other) and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def with_batch_norm(config: RunConfig) -> RunConfig:
    return replace(config, model=replace(config.model, norm="batch"))


def with_a_conscience(config: RunConfig) -> RunConfig:
    """It ends half-way, each winner learns with a sample of the batch from a shortened gradient, and the step size falls."""
    return replace(
        config,
        model=replace(config.model, norm="batch", statistics="sample", others=3),
        conscience=replace(config.conscience, rule="conscience", until=STEPS // 2),
        training=replace(config.training, cooldown=0.3, clip=0.1),
    )


def with_an_open_roster(config: RunConfig) -> RunConfig:
    return replace(
        with_a_conscience(config),
        conscience=replace(config.conscience, rule="conscience", until=STEPS),
        roster=RosterConfig("open", start=2, every=5, grace=5, idle=1.0),
    )


@pytest.mark.parametrize("form", [None, with_batch_norm, with_a_conscience, with_an_open_roster])
def test_stopped_again_and_again_and_resumed_is_as_if_never_stopped(
    store: RunStore,
    root: Path,
    config: RunConfig,
    unbroken: Run,
    form: Callable[[RunConfig], RunConfig] | None,
    threads: Callable[[int], None],
) -> None:
    """With two threads and with one in turn, which changes nothing either."""
    if form:
        config = form(config)
        unbroken = store.create("unbroken", config, {})
        train(unbroken, root)
    run = store.create("stopped", config, {})
    steps = sorted(random.Random(2018).sample(range(1, STEPS), 5))
    for turn, stop_at in enumerate([("identity", 2), *(("competing", step) for step in steps)]):
        threads(2 - turn % 2)
        train(run, root, stop_at)
        assert (run.status().phase, run.state()) == ("stopped", "stopped")
    train(run, root)
    assert run.state() == "finished"
    assert is_same(run, unbroken)

    clock = state_of(unbroken)["expert_adam.clock"]
    assert clock[-1] == 0
    assert clock.max() > STEPS / 4
    assert [row["step"] for row in rows_of(unbroken)] == [5, 10, 15, 18]
    if form is with_an_open_roster:
        assert {len(row["plays"]) for row in rows_of(unbroken)} == {1, 2}  # dismissed and hired


@pytest.mark.parametrize("optimiser", ["expert_adam.mean", "expert_adam.square", "discriminator_adam"])
def test_the_comparison_notices_lost_moments(
    store: RunStore, root: Path, at_eleven: Run, unbroken: Run, optimiser: str
) -> None:
    run = copied(at_eleven, store)
    arrays = run.states.read(11)
    for name in arrays:
        if name.startswith(optimiser) and not name.endswith("step"):
            arrays[name] = np.zeros_like(arrays[name])
    run.states.save(11, arrays)
    train(run, root)
    assert not is_same(run, unbroken)


def test_a_crash_between_two_saves_costs_only_the_steps_since(
    store: RunStore, root: Path, config: RunConfig, unbroken: Run
) -> None:
    run = store.create("crashed", config, {})
    with run.trainer.locked():
        for event in trainer.train(run, root):
            if event.phase == "competing" and event.step == 17:
                break  # the process is gone: nothing is saved after step 14
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 18, "wi')  # a row that was being written
    assert run.state() == "crashed"
    train(run, root)
    assert is_same(run, unbroken)


def test_a_damaged_newest_state_falls_back_to_the_one_before(
    store: RunStore, root: Path, at_eleven: Run, unbroken: Run
) -> None:
    run = copied(at_eleven, store)
    newest = max((run.folder / "state").glob("*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    train(run, root)
    assert is_same(run, unbroken)
