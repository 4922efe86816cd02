"""The trainer: the one place where the learner meets the store. A run is trained, recorded, saved, stopped and resumed here.

`train` yields what happened, step by step. Whoever consumes it shows the progress."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from icm.errors import ActionableError
from icm.images.batches import generator_for
from icm.jobs.prepare import prepare
from icm.jobs.session import Progress, TrainerSession, judge
from icm.method.training import identity_phase, review_roster, start_competition, train_step
from icm.runs.film import film_due
from icm.runs.run import Run
from icm.runs.status import Phase, Status

# When the networks are kept, for pages that ask them as they were: (up to step, every so many steps). Dense while experts still take
# mechanisms from one another, sparse once that is decided. No run has more than 10**9 steps (MOST_STEPS in config.py).
SNAPSHOTS = ((100, 25), (300, 50), (1000, 100), (10**9, 250))


# Rows that are written whatever the configuration says: (up to step, every so many steps). Later its own interval alone holds.
# The drama is early, and a row every fifth step is too coarse to tell who takes what from whom.
EARLY_ROWS = ((50, 1), (200, 2))


def row_due(step: int, last: int, every: int) -> bool:
    """Where networks are kept a row is due too: a page tells from it who played then, and with which bias."""
    early = any(step <= up_to and step % often == 0 for up_to, often in EARLY_ROWS)
    return early or step % every == 0 or snapshot_due(step, last)


def snapshot_due(step: int, last: int) -> bool:
    every = next(every for up_to, every in SNAPSHOTS if step <= up_to)
    return step % every == 0 or step == last


def train(run: Run, root: Path, asked_to_stop: Callable[[], bool] | None = None) -> Iterator[Progress]:
    """Trains `run` from where it is to its end, or until a stop is asked for. The caller holds `run.trainer.locked()`.

    However it ends, a resume goes on from the newest state as if nothing had happened. `asked_to_stop` is called after every
    step; where none is given, a file STOP in the run's folder is the request."""
    run.refuse_shipped()
    before = _status_of(run)
    try:
        yield from _train(run, root, asked_to_stop or run.trainer.stop_requested)
    except Exception as error:
        _record_failure(run, error, before)
        raise


def _status_of(run: Run) -> Status | None:
    with suppress(ActionableError):
        return run.status()
    return None


def _record_failure(run: Run, error: Exception, before: Status | None) -> None:
    """Writes down why the run ended, if its folder still takes that. The error is raised by the caller either way.

    A run that failed while it was made ready keeps its step of `before`. If it was finished or stopped, it stays so;
    otherwise it has failed."""
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
        if run.trainer.is_in_place():
            run.write_status(phase, at.step if at else 0, at.of if at else 0, said)


def _train(run: Run, root: Path, asked_to_stop: Callable[[], bool]) -> Iterator[Progress]:
    config = run.config()
    of = config.training.steps
    run.write_status("preparing", 0, of, "reading the images")
    yield Progress("preparing", 0, of, 0.0)

    session = prepare(run, config, root, asked_to_stop)
    for notice in session.notices:
        yield Progress("preparing", 0, of, 0.0, notice=notice)
    if not session.state.competing:
        yield from _identity(session)
    else:  # the trainer may have been killed between the state of step 0 and what follows it
        if snapshot_due(session.state.step, of) and session.state.step not in run.snapshots.steps():
            session.save_snapshot()
        if session.state.step not in run.film.steps():
            session.save_film(of)
    if session.state.competing:
        yield from _competition(session)


def _identity(session: TrainerSession) -> Iterator[Progress]:
    """The identity phase, to the start of the competition or to a stop."""
    state, heartbeat = session.state, session.heartbeat
    identity, seed = session.config.identity, session.config.seed
    for _ in identity_phase(
        state, lambda step: session.draw("identity", step, identity.batch).transformed, identity
    ):
        session.save_film(identity.steps)
        if state.identity_steps % session.config.recording.state_every == 0:
            session.save_state()
        heartbeat.beat("identity", state.identity_steps, identity.steps)
        yield Progress("identity", state.identity_steps, identity.steps, heartbeat.speed)
        if session.asked_to_stop():
            yield session.stop("identity", state.identity_steps, identity.steps)
            return
    start_competition(state, identity, generator_for(seed, "perturbation"))
    session.save_state()  # before the snapshot: a run with a snapshot always has a state to go on from
    session.save_snapshot()
    session.save_film(session.config.training.steps)


def _competition(session: TrainerSession) -> Iterator[Progress]:
    """The competition, to its end or to a stop."""
    run, state, heartbeat = session.run, session.state, session.heartbeat
    recording, of = session.config.recording, session.config.training.steps
    # Later pictures belong to a future that was given up; others may have been due while the run was to be shorter.
    run.film.keep(lambda step: step <= state.step and film_due(step, of))
    while state.step < of:
        # Before the step, so that its row, networks and film are of the same experts.
        if state.roster:
            generator = generator_for(session.config.seed, "perturbation", state.step)
            review_roster(state, session.config.identity, generator)
        started = time.perf_counter()
        batch = session.draw("batch", state.step, session.config.training.batch)
        output = train_step(state, batch.canonical, batch.transformed)
        session.uncounted.append(judge(batch, output))
        has_row = row_due(state.step, of, recording.every)
        if has_row:
            session.count()
        session.window.seconds += time.perf_counter() - started

        record = session.write_row() if has_row else None
        if snapshot_due(state.step, of):
            session.save_snapshot()
        session.save_film(of)
        if state.step % recording.state_every == 0 or state.step == of:
            session.save_state()
        heartbeat.beat("competing", state.step, of)
        yield Progress("competing", state.step, of, heartbeat.speed, record)
        if state.step < of and session.asked_to_stop():
            yield session.stop("competing", state.step, of)
            return

    run.trainer.check_place()
    run.write_status("finished", of, of)
    yield Progress("finished", of, of, heartbeat.speed)
