"""The one place where training meets the store: a run is trained here, recorded, saved, stopped and resumed.

`train` is an iterator of what happened; whoever consumes it draws the progress."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from math import ceil
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from icm import data, training
from icm.config import RunConfig, command_line
from icm.errors import ActionableError
from icm.evaluation import EVALUATION_IMAGES, Evaluation, networks, psnr
from icm.history import HistoryWriter
from icm.mechanisms import parse
from icm.models import DeviceError, Engine, choose_device, choose_engine, set_arithmetic, weights
from icm.records import StepRecord, Window, read_rows
from icm.shapes import Logits, MechanismIndex, Winner
from icm.store import START_ANEW, Phase, Run, Status, StoreError
from icm.transfer import Transfer, measure, transfer
from icm.unseen import Look, load_unseen

HEARTBEAT = 0.5  # seconds between two writes of status.json
PACKAGES = ("torch", "torchvision", "numpy", "streamlit")

Draw = Callable[[str, int, int], data.Batch]  # stream of random numbers, step, images

# The time slider: dense while the race is open, sparse when it is decided. (up to step, every)
SNAPSHOTS = ((100, 25), (200, 50), (500, 100), (10**9, 250))


@dataclass(frozen=True)
class Progress:
    """What a consumer of `train` sees: where the run is, and the row just written, if one was."""

    phase: Phase
    step: int
    of: int
    steps_per_second: float
    record: StepRecord | None = None
    notice: str = ""  # a sentence that a person should read: what was found damaged, what was lost


def snapshot_due(step: int, last: int) -> bool:
    every = next(every for up_to, every in SNAPSHOTS if step <= up_to)
    return step % every == 0 or step == last


def train(run: Run, root: Path, asked_to_stop: Callable[[], bool] | None = None) -> Iterator[Progress]:
    """Trains `run` from where it is to its end, or until a stop is asked for. The caller holds `run.locked()`.

    Every way out leaves a state from which a resume goes on as if nothing had happened. `asked_to_stop` is asked after
    every step; without it the run's folder is."""
    run.refuse_shipped()
    before = _status_of(run)
    try:
        yield from _train(run, root, asked_to_stop or run.stop_requested)
    except Exception as error:
        _record_failure(run, error, before)
        raise


def _status_of(run: Run) -> Status | None:
    with suppress(ActionableError):
        return run.status()
    return None


def _record_failure(run: Run, error: Exception, before: Status | None) -> None:
    """Writes down why the run ended, if its folder still takes that; the error itself is raised either way.

    A run that could not be made ready to go on is where it was `before`: finished, stopped, or failed at that step."""
    now, words = _status_of(run), " ".join(str(error).split())
    phase: Phase = "failed"
    at, said = now, words
    if before is not None and now is not None and now.phase == "preparing":
        at = before
        if before.phase == "finished":
            phase, said = "finished", before.message
        elif before.phase == "stopped":
            phase, said = "stopped", f"could not go on: {words}"
    with suppress(ActionableError):
        if run.is_in_place():
            run.write_status(phase, at.step if at else 0, at.of if at else 0, said)


class Pulse:
    """Writes the heartbeat and measures steps per second over the time since the beat before."""

    def __init__(self, run: Run) -> None:
        self.run, self.speed = run, 0.0
        self.phase: Phase = "preparing"
        self.last, self.step = time.monotonic(), 0

    def beat(self, phase: Phase, step: int, of: int) -> None:
        """Writes at most every `HEARTBEAT` seconds, and at once when the phase changes. Ends a run whose folder is gone."""
        self.run.check_place()
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.last, self.step, self.speed = phase, now, step, 0.0
        elif now - self.last >= HEARTBEAT:
            latest = (step - self.step) / (now - self.last)
            self.speed = latest if self.speed == 0 else 0.8 * self.speed + 0.2 * latest
            self.last, self.step = now, step
        else:
            return
        self.run.write_status(phase, step, of, steps_per_second=self.speed)


@dataclass(frozen=True)
class Outcome:
    """What a row needs of one step, where the truth meets the result, outside the learner."""

    winner: Winner
    mechanism: MechanismIndex
    logits: Logits
    psnr: Float[Tensor, " batch"]
    expert_loss: Float[Tensor, ""]
    discriminator_loss: Float[Tensor, ""]


@dataclass(frozen=True)
class Sitting:
    """A run made ready to be trained from where it is."""

    run: Run
    config: RunConfig
    state: training.TrainState
    window: Window
    history: HistoryWriter
    draw: Draw
    pulse: Pulse
    uncounted: list[Outcome]  # still on the device: reading it at every step would make the device wait
    asked_to_stop: Callable[[], bool]
    notices: list[str]  # what was found when the run was made ready

    def count(self) -> None:
        """Puts what the last steps did into the window."""
        for outcome in self.uncounted:
            self.window.add(
                winner=outcome.winner.cpu().numpy(),
                mechanism=outcome.mechanism.cpu().numpy(),
                logits=outcome.logits.cpu().numpy(),
                psnr=outcome.psnr.cpu().numpy(),
                losses=(float(outcome.expert_loss), float(outcome.discriminator_loss)),
            )
        self.uncounted.clear()

    def save_state(self) -> None:
        """Rows first: a state must never know more steps than the rows beside it."""
        self.count()
        arrays = {**training.to_arrays(self.state), **self.window.to_arrays()}
        self.run.check_place()
        self.run.flush_rows()
        self.run.save_state(self.state.step, arrays)

    def save_snapshot(self) -> None:
        self.run.save_snapshot(self.state.step, weights(self.state.experts, self.state.discriminator))

    def stop(self, phase: Phase, step: int, of: int) -> Progress:
        """Saves what a resume needs and says so."""
        self.save_state()
        self.run.clear_stop()
        self.run.write_status("stopped", step, of, f"stopped during {phase}")
        return Progress("stopped", step, of, self.pulse.speed)


def _train(run: Run, root: Path, asked_to_stop: Callable[[], bool]) -> Iterator[Progress]:
    config = run.config()
    of = config.training.steps
    run.write_status("preparing", 0, of, "reading the images")
    yield Progress("preparing", 0, of, 0.0)

    sitting = _prepare(run, config, root, asked_to_stop)
    for notice in sitting.notices:
        yield Progress("preparing", 0, of, 0.0, notice=notice)
    if not sitting.state.competing:
        yield from _identity(sitting)
    if sitting.state.competing:
        yield from _competition(sitting)


def _prepare(run: Run, config: RunConfig, root: Path, asked_to_stop: Callable[[], bool]) -> Sitting:
    """Images, networks and optimisers, fresh or as the newest usable state has them; later rows are dropped."""
    run.prepare_folders()
    device = _device_of(run, config)
    notices = _other_torch(run)
    engine = _settle_environment(run, device, config.arithmetic)
    state, draw = fresh(config, root, device, engine)
    experts, mechanisms = config.model.experts, len(config.mechanisms)
    window = Window(experts, mechanisms)
    notices += _load_newest(run, state, window)

    rows = read_rows(run.metric_lines(), experts, mechanisms, until=state.step)
    notices += rows.damaged
    counted = sum(row.images for row in rows.records) + int(window.images.sum())
    lost = state.step * config.training.batch - counted
    if lost > 0:
        notices.append(
            f"the rows of {ceil(lost / config.training.batch):,} of the {state.step:,} steps so far are lost: "
            "wins and lines have a gap there, the networks have not"
        )
    elif lost < 0:
        notices.append(
            f"the rows count {-lost:,} images more than the {state.step:,} steps so far had: wins and lines are wrong there"
        )
    run.write_metrics(rows.lines)
    history = HistoryWriter(run.history_file, experts, mechanisms, rows.records)
    sitting = Sitting(
        run, config, state, window, history, draw, Pulse(run), [], asked_to_stop, notices=notices
    )
    if state.competing and snapshot_due(state.step, config.training.steps):
        if state.step not in run.snapshot_steps():  # the trainer was killed between state and snapshot
            sitting.save_snapshot()
    return sitting


def _load_newest(run: Run, state: training.TrainState, window: Window) -> list[str]:
    """Changes `state` and `window` to the newest state that is whole and fits; a sentence for each one passed over.

    StoreError when none can be used though the run has come further than its start."""
    refused = []
    for step in reversed(run.state_steps()):
        try:
            saved = run.saved_state(step)
            if not window.fits(saved):
                raise StoreError("it has no rows of this run under way")
            training.load_arrays(state, saved)
        except ActionableError as error:
            refused.append(f"the state of step {step} is passed over: {error}")
            continue
        window.load_arrays(saved)
        run.prune_states(step)  # a trainer that was killed right after a save leaves one too many
        return refused
    if refused:
        raise StoreError(f"run {run.id} has no state that can be used: {'; '.join(refused)}; {START_ANEW}")
    run.refuse_stateless()
    return []


def _device_of(run: Run, config: RunConfig) -> torch.device:
    """The device to train on: a run that has begun stays on the kind of device it began on, where its numbers are the same."""
    began = run.environment().get("device")
    like_it = f"to train one like it here: {command_line(replace(config, device='auto'))}"
    if began is None:
        try:
            return choose_device(config.device)
        except DeviceError as error:
            raise DeviceError(
                f"run {run.id} is to be trained on {config.device}, which is not available here; {like_it}"
            ) from error
    try:
        kind = torch.device(began).type
    except (TypeError, RuntimeError) as error:
        raise StoreError(f"run {run.id}: environment.json names no device but {began!r}") from error
    if config.device not in ("auto", kind):
        raise DeviceError(f"run {run.id} began on {kind} and cannot go on on {config.device}; {like_it}")
    try:
        return choose_device(kind)
    except (DeviceError, KeyError) as error:
        raise DeviceError(
            f"run {run.id} began on {kind}, which is not available here, and goes on only there; {like_it}"
        ) from error


def fresh(
    config: RunConfig, root: Path, device: torch.device, engine: Engine
) -> tuple[training.TrainState, Draw]:
    """Networks and optimisers that have learnt nothing yet, and what draws the run's batches."""
    mechanisms = parse(config.mechanisms)
    digits = data.load_digits(data.named_source(config.source), root)
    halves = data.split_halves(digits.train, config.seed, device)

    def draw(stream: str, step: int, size: int) -> data.Batch:
        generator = data.generator_for(config.seed, stream, step, device)
        return data.draw_batch(halves, mechanisms, size, generator)

    return training.init_state(config, data.generator_for(config.seed, "weights"), device, engine), draw


def _identity(sitting: Sitting) -> Iterator[Progress]:
    """The identity phase, to the start of the competition or to a stop."""
    state, pulse = sitting.state, sitting.pulse
    identity, seed = sitting.config.identity, sitting.config.seed
    for _ in training.identity_steps(
        state, lambda step: sitting.draw("identity", step, identity.batch).transformed, identity
    ):
        pulse.beat("identity", state.identity_step, identity.steps)
        yield Progress("identity", state.identity_step, identity.steps, pulse.speed)
        if sitting.asked_to_stop():
            yield sitting.stop("identity", state.identity_step, identity.steps)
            return
    training.start_competition(state, identity, data.generator_for(seed, "copies"))
    sitting.save_state()  # before the snapshot: a run with a snapshot always has a state to go on from
    sitting.save_snapshot()


def _competition(sitting: Sitting) -> Iterator[Progress]:
    """The competition, to its end or to a stop."""
    run, state, window, pulse = sitting.run, sitting.state, sitting.window, sitting.pulse
    recording, of = sitting.config.recording, sitting.config.training.steps
    while state.step < of:
        started = time.perf_counter()
        batch = sitting.draw("batch", state.step, sitting.config.training.batch)
        output = training.train_step(state, batch.canonical, batch.transformed)
        sitting.uncounted.append(outcome_of(batch, output))
        row_due = state.step % recording.every == 0 or state.step == of
        if row_due:
            sitting.count()
        window.seconds += time.perf_counter() - started

        record = None
        if row_due:
            run.check_place()
            record = window.take(state.step)
            run.append_metrics(record.to_json())
            sitting.history.append(record)
        if snapshot_due(state.step, of):
            sitting.save_snapshot()
        if state.step % recording.state_every == 0 or state.step == of:
            sitting.save_state()
        pulse.beat("competing", state.step, of)
        yield Progress("competing", state.step, of, pulse.speed, record)
        if state.step < of and sitting.asked_to_stop():
            yield sitting.stop("competing", state.step, of)
            return

    run.check_place()
    run.write_status("finished", of, of)
    yield Progress("finished", of, of, pulse.speed)


def outcome_of(batch: data.Batch, output: training.StepOutput) -> Outcome:
    contest = output.contest
    winning = contest.answers[contest.winner, torch.arange(len(contest.winner), device=contest.winner.device)]
    return Outcome(
        winner=contest.winner,
        mechanism=batch.mechanism,
        logits=contest.logits,
        psnr=psnr(winning, batch.original),
        expert_loss=output.expert_loss,
        discriminator_loss=output.discriminator_loss,
    )


def _other_torch(run: Run) -> list[str]:
    """A sentence when the run was trained with another torch so far."""
    packages, now = run.environment().get("packages"), version("torch")
    before = packages.get("torch") if isinstance(packages, dict) else None
    if before in (None, now):
        return []
    return [
        f"the run was trained with torch {before} so far and goes on with torch {now}: "
        "from here on it may round otherwise than an unbroken run"
    ]


def _settle_environment(run: Run, device: torch.device, arithmetic: str) -> Engine:
    """Writes down what this sitting computes with. Engine and thread count decide the rounding: a resume takes the first ones."""
    environment = {"created": run.created, **run.environment()}
    threads = environment.setdefault("threads", torch.get_num_threads())
    if "engine" not in environment:
        environment["engine"] = asdict(choose_engine(device, arithmetic))
    try:
        torch.set_num_threads(threads)
        engine = Engine(**environment["engine"])
        if engine.experts not in ("loop", "stacked") or engine.dtype not in ("float32", "bfloat16"):
            raise TypeError(f"unknown engine {engine}")
        set_arithmetic(engine, device)
    except (TypeError, RuntimeError) as error:
        raise StoreError(
            f"run {run.id}: environment.json does not fit this version ({error}); {START_ANEW}"
        ) from error
    environment.update(
        device=str(device),
        card=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )
    run.write_environment(environment)
    return engine


@dataclass(frozen=True)
class Pace:
    """Seconds a step on this machine, timed."""

    identity: float
    competition: float

    def at_most(self, config: RunConfig) -> float:
        """Seconds that a run takes if its identity phase uses up all its steps."""
        return config.identity.steps * self.identity + config.training.steps * self.competition


def measure_pace(config: RunConfig, root: Path, seconds: float) -> Pace:
    """Plays a run that is kept nowhere for about `seconds`, the first step of each phase not counted."""
    device = choose_device(config.device)
    engine = choose_engine(device, config.arithmetic)
    set_arithmetic(engine, device)
    state, draw = fresh(replace(config, source="builtin"), root, device, engine)

    def identity() -> None:
        images = draw("identity", 0, config.identity.batch).transformed
        training.identity_step(state, images, target_error=0.0)

    def competition() -> None:
        batch = draw("batch", state.step, config.training.batch)
        float(training.train_step(state, batch.canonical, batch.transformed).expert_loss)

    copying = _seconds_each(identity, seconds / 4)
    training.start_competition(state, config.identity, data.generator_for(config.seed, "copies"))
    return Pace(identity=copying, competition=_seconds_each(competition, 3 * seconds / 4))


def _seconds_each(step: Callable[[], None], seconds: float) -> float:
    step()
    started, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - started < seconds:
        step()
        steps += 1
    return (time.perf_counter() - started) / steps


def evaluate_run(
    run: Run,
    root: Path,
    step: int | None,
    on: str | None = None,
    look: Look = "digits",
    images: int = EVALUATION_IMAGES,
) -> tuple[int, Evaluation | Transfer]:
    """The snapshot of `step`, or the newest, measured on `images` images that were never trained on.

    On the run's own held-out digits, or on another set beside them."""
    config = run.config()
    step = step if step is not None else max(run.snapshot_steps(), default=0)
    nets, mechanisms = networks(config, run.snapshot(step)), parse(config.mechanisms)
    source = data.named_source(config.source)
    digits = load_unseen(source, root, look, images)
    if on is None or on == source:
        return step, measure(*nets, mechanisms, digits)
    return step, transfer(*nets, mechanisms, digits, load_unseen(on, root, look, images))
