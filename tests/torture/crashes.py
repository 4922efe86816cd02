"""A trainer is killed, or told to end, at any moment: nothing is lost and the rest of the training is what it would have been.

Killed (-9) at random moments of a training from its creation to its end, at moments inside the save of a state, and while
its folder is being made: the run resumes to its end and equals the unbroken run bit for bit, with the same files. In the full
form 10 of 200 kills meet a real command, the others a forked trainer (`forks`). Signals are in `signals`."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.torture import ground as on
from tests.torture import signals
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally

MARKS = (
    "lost: no run, or no state where one was saved",
    "unreadable: the resume fails",
    "unequal: not the unbroken run",
    "left-over files",
    "traceback",
    "a kill that was meant to come inside a save did not",
)
LOST, UNREADABLE, UNEQUAL, LEFT_OVER, TRACEBACK, OUTSIDE = MARKS
PATIENCE = 60.0  # seconds for a trainer to come to a moment
TRAINERS = 10  # so many may be tried until a kill comes inside a save; one was enough each time


def trial(place: Ground, kills: int, in_saves: int, in_creations: int, real: int, moments: int) -> Row:
    """`kills` in all: `in_saves` inside a save, `in_creations` while the folder is made, `real` of real commands, the others at
    random moments. Then each signal at `moments` moments."""
    tally = Tally.of("crashes", *MARKS, *signals.MARKS)
    random.seed(12)
    whole = on.unbroken(place, on.little())
    lasts = _seconds_of_a_training(place)
    plan: list[Callable[[Ground, str], bool]] = (
        [_inside_a_save] * in_saves
        + [_inside_a_creation] * in_creations
        + [_real_at_random] * real
        + [_at_random(lasts)] * (kills - in_saves - in_creations - real)
    )
    left_temporary = 0
    for turn, kill in enumerate(plan):
        tally.cases += 1
        run_id = f"{kill.__name__.strip('_').replace('_', '-')}-{turn}"
        left_one = kill(place, run_id)
        left_temporary += left_one
        if kill is _inside_a_save and not left_one:
            tally.miss(OUTSIDE, run_id)
        _judge(tally, place, run_id, whole)
    tally.figures["killed trainers that left a temporary file"] = left_temporary
    signals.trial(tally, place, moments)
    left = _left_in_the_store(place)
    if left:
        tally.miss(LEFT_OVER, f"in the store, after the next run was made: {', '.join(left)}")
    return tally.row()


def _seconds_of_a_training(place: Ground) -> float:
    begun = time.monotonic()
    assert place.forks.icm(*place.train("timed", on.little())).wait().code == 0
    return time.monotonic() - begun


def _at_random(lasts: float) -> Callable[[Ground, str], bool]:
    def at_random(place: Ground, run_id: str) -> bool:
        child = place.forks.icm(*place.train(run_id, on.little()))
        time.sleep(random.random() * lasts)
        child.kill()
        child.wait()
        return _has_temporaries(place, run_id)

    return at_random


def _inside_a_save(place: Ground, run_id: str) -> bool:
    """Killed while a temporary file lies among the states. The trainer is halted as soon as one appears. Where the save has ended
    by then, the trainer goes on and the next save is waited for."""
    folder = place.store.root / run_id
    for _ in range(TRAINERS):
        made = (folder / "config.json").is_file()
        words = ("resume", run_id, *place.there()) if made else place.train(run_id, on.little())
        child = place.forks.icm(*words)
        skip = random.randrange(4)  # so many saves are let pass
        deadline = time.monotonic() + PATIENCE
        before = False
        while time.monotonic() < deadline:
            now = _saves_a_state(folder)
            if not now and child.ended():
                break
            skip -= now and not before
            before = now
            if now and skip < 0:
                child.kill(signal.SIGSTOP)
                if _saves_a_state(folder):
                    break
                child.kill(signal.SIGCONT)
                before = False
        child.kill()
        child.wait()
        if _saves_a_state(folder):
            return True
        if folder.is_dir() and Run(folder).status().phase == "finished":
            shutil.rmtree(folder)  # there are no more saves in it
    return False


def _saves_a_state(folder: Path) -> bool:
    """Whether a temporary file lies among the states."""
    try:
        return any(name.startswith(".") for name in os.listdir(folder / "state"))
    except FileNotFoundError:
        return False


def _inside_a_creation(place: Ground, run_id: str) -> bool:
    """Killed as soon as anything new lies in the store."""
    before = set(os.listdir(place.store.root))
    child = place.forks.icm(*place.train(run_id, on.little()))
    while set(os.listdir(place.store.root)) <= before and not child.ended():
        pass
    time.sleep(random.random() * 0.004)
    child.kill()
    child.wait()
    return _has_temporaries(place, run_id)


def _real_at_random(place: Ground, run_id: str) -> bool:
    """A real command, killed at a step of its training."""
    words = on.command(*place.train(run_id, on.little()))
    environment = {**os.environ, **on.environment(place.folder, place.root)}
    with subprocess.Popen(words, cwd=on.PROJECT, env=environment, stdout=subprocess.DEVNULL) as process:
        rows = place.store.root / run_id / "metrics.jsonl"
        wanted = random.randrange(16)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            if rows.is_file() and rows.read_bytes().count(b"\n") >= wanted:
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return _has_temporaries(place, run_id)


def _has_temporaries(place: Ground, run_id: str) -> bool:
    folder = place.store.root / run_id
    return folder.is_dir() and bool(on.strange_files(Run(folder)))


def _judge(tally: Tally, place: Ground, run_id: str, whole: Run) -> None:
    """The run is resumed, or begun anew where the kill came before it was made, and compared."""
    folder = place.store.root / run_id
    had_state = folder.is_dir() and on.newest_state(folder) is not None
    made = (folder / "config.json").is_file()
    words = ("resume", run_id, *place.there()) if made else place.train(run_id, on.little())
    ended = place.forks.icm(*words).wait()
    if "Traceback" in ended.err:
        tally.miss(TRACEBACK, f"{run_id}: {ended.lines[-1]}")
    if ended.code != 0:
        mark = UNREADABLE if made else LOST
        tally.miss(mark, f"{run_id}, {'resumed' if made else 'made anew'}: {' '.join(ended.lines[-1:])}")
        return
    run = place.store.open(run_id)
    if had_state and on.newest_state(run.folder) is None:
        tally.miss(LOST, f"{run_id}: its states are gone")
    for what in on.differences(run, whole):
        tally.miss(UNEQUAL, f"{run_id}: {what} differ")
    left = on.files_of(run) ^ on.files_of(whole)
    if left:
        tally.miss(LEFT_OVER, f"{run_id}: {', '.join(sorted(left))}")


def _left_in_the_store(place: Ground) -> list[str]:
    """What the making of one more run does not clear away."""
    last = RunStore(place.store.root).create("last", on.little(), {})
    assert last.folder.is_dir()
    return on.strange_entries(place.store)
