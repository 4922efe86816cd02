"""Makes a run ready to be trained: its images, its networks and their optimisers.

Networks and optimisers are new, or those of the newest state of the run that can be used."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import torch

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.images.batches import Batch, draw_batch, generator_for, split_halves
from icm.images.digits import load_digits, named_source
from icm.images.mechanisms import parse
from icm.jobs.session import Draw, Heartbeat, Shown, TrainerSession
from icm.measure.evaluation import changed_digits
from icm.method.engine import DeviceError, Engine, choose_device, choose_engine, set_arithmetic
from icm.method.state import TrainState, init_state, load_arrays
from icm.presets import command_line
from icm.runs.errors import START_ANEW, StoreError
from icm.runs.history import HistoryWriter, shape_of
from icm.runs.records import Rows, Window, read_rows
from icm.runs.run import Run

PACKAGES = ("torch", "torchvision", "numpy", "streamlit")


def prepare(run: Run, config: RunConfig, root: Path, asked_to_stop: Callable[[], bool]) -> TrainerSession:
    """A session that goes on from the newest state that is whole and fits, or from the start. Later rows are dropped.

    The caller holds the run's lock. ActionableError when the run cannot go on; then it stays as it was."""
    run.prepare_folders()
    device = _device_of(run, config)
    notices = _other_torch(run)
    engine, environment = _settle_engine(run, device, config.arithmetic)
    state, draw, shown = new_learner(config, root, device, engine)
    shape = shape_of(config)
    window = Window(shape)
    notices += _load_newest(run, state, window)

    rows = read_rows(run.rows.lines(), shape, state.step)
    notices += rows.damaged + _missing_rows(rows, window, state.step, config.training.batch)
    run.rows.replace(rows.lines)
    run.write_environment(environment)
    run.film.save_digits(*(images[:, 0].numpy() for images in (shown.original, shown.transformed)))
    return TrainerSession(
        run=run,
        config=config,
        state=state,
        window=window,
        history=HistoryWriter(run.rows.history_file, shape, rows.records),
        draw=draw,
        heartbeat=Heartbeat(run),
        asked_to_stop=asked_to_stop,
        notices=notices,
        uncounted=[],
        shown=shown,
    )


def new_learner(
    config: RunConfig, root: Path, device: torch.device, engine: Engine
) -> tuple[TrainState, Draw, Shown]:
    """Networks and optimisers that have learnt nothing yet, the function that draws the run's batches, and the film's digits."""
    mechanisms = parse(config.mechanisms)
    digits = load_digits(named_source(config.source), root)
    halves = split_halves(digits.train, config.seed, config.canonicals, device)

    def draw(stream: str, step: int, size: int) -> Batch:
        generator = generator_for(config.seed, stream, step, device)
        return draw_batch(halves, mechanisms, size, generator, config.frequencies)

    state = init_state(config, generator_for(config.seed, "weights"), device, engine)
    return state, draw, Shown(*changed_digits(digits.test, mechanisms))


def _load_newest(run: Run, state: TrainState, window: Window) -> list[str]:
    """Changes `state` and `window` to the newest state that is whole and fits. Returns a sentence for each one passed over.

    StoreError when no state can be used and the run has states, rows or snapshots: only a run with none of them starts anew."""
    refused = []
    for step in reversed(run.states.steps()):
        try:
            saved = run.states.read(step)
            if not window.fits(saved):
                raise StoreError("it has no rows of this run under way")
            load_arrays(state, saved)
        except ActionableError as error:
            refused.append(f"the state of step {step} is passed over: {error}")
            continue
        window.load_arrays(saved)
        run.states.prune(step)  # a trainer that was killed right after a save leaves one too many
        return refused
    if refused:
        raise StoreError(f"run {run.id} has no state that can be used: {'; '.join(refused)}; {START_ANEW}")
    run.refuse_stateless()
    return []


def _missing_rows(rows: Rows, window: Window, step: int, batch: int) -> list[str]:
    """A sentence when rows and window together do not hold `step` times `batch` images."""
    counted = sum(row.images for row in rows.records) + int(window.images.sum())
    lost = step * batch - counted
    if lost > 0:
        return [
            f"the rows of {ceil(lost / batch):,} of the {step:,} steps so far are lost: "
            "wins and lines have a gap there, the networks have not"
        ]
    if lost < 0:
        return [
            f"the rows count {-lost:,} images more than the {step:,} steps so far had: wins and lines are wrong there"
        ]
    return []


def _device_of(run: Run, config: RunConfig) -> torch.device:
    """The device to train on. A run that has begun stays on its kind of device, since another kind draws other numbers."""
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


def _settle_engine(run: Run, device: torch.device, arithmetic: str) -> tuple[Engine, dict[str, Any]]:
    """Sets the engine for this process. Returns it and what environment.json shall say from now on.

    The engine decides how numbers are rounded, so a resume takes the one that the run began with. Threads do not."""
    environment = {"created": run.created, **run.environment()}
    if "engine" not in environment:
        environment["engine"] = asdict(choose_engine(device, arithmetic))
    try:
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
        threads=torch.get_num_threads(),
        card=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )
    return engine, environment
