"""How long a run takes here: the speed of a preset, timed on a learner that is thrown away afterwards."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from icm.config import RunConfig
from icm.images.batches import generator_for
from icm.jobs.prepare import new_learner
from icm.jobs.process import Job, start_job
from icm.method import training
from icm.method.engine import choose_device, choose_engine, set_arithmetic
from icm.runs.store import RunStore


@dataclass(frozen=True)
class Pace:
    """Seconds that one step of each phase takes on this machine, as timed."""

    identity: float
    competition: float

    def at_most(self, config: RunConfig) -> float:
        """Seconds that a run takes if its identity phase uses up all its steps."""
        return config.identity.steps * self.identity + config.training.steps * self.competition


def measure_pace(config: RunConfig, root: Path, seconds: float) -> Pace:
    """Trains a new learner on the built-in digits for about `seconds` and times its steps. Nothing is kept.

    The first step of each phase is not counted."""
    device = choose_device(config.device)
    engine = choose_engine(device, config.arithmetic)
    set_arithmetic(engine, device)
    state, draw, _ = new_learner(replace(config, source="builtin"), root, device, engine)

    def identity() -> None:
        images = draw("identity", 0, config.identity.batch).transformed
        training.identity_step(state, images, target_error=0.0)  # no expert ever stops: the slowest case

    def competition() -> None:
        batch = draw("batch", state.step, config.training.batch)
        float(training.train_step(state, batch.canonical, batch.transformed).expert_loss)

    copying = _seconds_each(identity, seconds / 4)
    training.start_competition(state, config.identity, generator_for(config.seed, "perturbation"))
    return Pace(identity=copying, competition=_seconds_each(competition, 3 * seconds / 4))


def _seconds_each(step: Callable[[], None], seconds: float) -> float:
    step()
    started, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - started < seconds:
        step()
        steps += 1
    return (time.perf_counter() - started) / steps


def start_timing(store: RunStore, root: Path) -> Job:
    """Times the presets in a process of its own; `store.durations()` has the result some ten seconds later."""
    return start_job(["speed"], store.root, root)
