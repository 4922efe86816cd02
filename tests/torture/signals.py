"""A trainer is told to end by SIGINT, SIGTERM or SIGHUP, at any moment after its start.

It ends by itself and says at most one line. A run that was made is saved ("stopped", or "finished"), and a resume takes it to
the same end as the unbroken run. Before a run is made nothing of it is there. Only before our first line runs does Python answer
Ctrl-C itself, with a traceback that names no file of ours."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from icm.errors import ActionableError
from icm.runs.run import Run
from tests.torture import ground as on
from tests.torture.forks import Ended
from tests.torture.ground import Ground
from tests.torture.rows import Tally

MARKS = (
    "signal: did not end by itself",
    "signal: traceback or more than a line",
    "signal: a run that is not saved",
    "signal: not the unbroken run afterwards",
)
STAYS, WORDS, UNSAVED, UNEQUAL = MARKS
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EARLY = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds after the start of a real command
PATIENCE = 60.0  # seconds

Moment = tuple[str, Callable[[Path], bool]]


def trial(tally: Tally, place: Ground, moments: int) -> None:
    """Sends each signal at `moments` moments. At the first third of them a real command has just been started."""
    whole = place.store.open(on.UNBROKEN)
    random.seed(13)
    early = random.sample(EARLY, min(len(EARLY), max(1, moments // 3)))
    for number in SIGNALS:
        for seconds in early:
            run_id = f"{number.name.lower()}-{round(1000 * seconds)}-ms"
            _judge(tally, place, run_id, _told_early(place, run_id, number, seconds), whole)
        for turn in range(moments - len(early)):
            words, has_come = _moment(turn)
            run_id = f"{number.name.lower()}-{turn}-{words}"
            _judge(tally, place, run_id, _told_at(place, run_id, number, has_come), whole)


def _moment(turn: int) -> Moment:
    """A step of the competition, the creation, the preparation, the identity phase and the first snapshot, in turn."""
    step = random.randrange(1, 16)
    kinds: list[Moment] = [
        (f"competition-{step}", lambda folder: on.text(folder / "metrics.jsonl").count("\n") >= step),
        ("made", lambda folder: (folder / "config.json").is_file()),
        ("prepared", lambda folder: "engine" in on.text(folder / "environment.json")),
        ("identity", lambda folder: '"identity"' in on.text(folder / "status.json")),
        ("race", lambda folder: on.newest_snapshot(folder) is not None),
    ]
    return kinds[turn % len(kinds)]


def _told_early(place: Ground, run_id: str, number: signal.Signals, seconds: float) -> Ended | None:
    words = on.command(*place.train(run_id, on.little()))
    environment = {**os.environ, **on.environment(place.folder, place.root)}
    # Whoever was started in the background ignores Ctrl-C, and its children would too.
    before = signal.signal(number, signal.default_int_handler)
    process = subprocess.Popen(
        words, cwd=on.PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    signal.signal(number, before)
    time.sleep(seconds)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return Ended(process.returncode, out, err)


def _told_at(
    place: Ground, run_id: str, number: signal.Signals, has_come: Callable[[Path], bool]
) -> Ended | None:
    child = place.forks.icm(*place.train(run_id, on.little()))
    deadline = time.monotonic() + PATIENCE
    while not has_come(place.store.root / run_id) and not child.ended() and time.monotonic() < deadline:
        pass
    child.kill(number)
    ended = child.wait(PATIENCE)
    return None if ended.code == -signal.SIGKILL else ended


def _judge(tally: Tally, place: Ground, run_id: str, ended: Ended | None, whole: Run) -> None:
    tally.cases += 1
    if ended is None:
        tally.miss(STAYS, f"{run_id}: still there after {PATIENCE:g} s")
        return
    if len(ended.lines) > 1 and not _is_pythons_own(ended.err):
        tally.miss(WORDS, f"{run_id}: {ended.lines[-1]}")
    folder = place.store.root / run_id
    if not (folder / "config.json").is_file():
        if folder.exists():
            tally.miss(UNSAVED, f"{run_id}: half a folder")
        return
    run = place.store.open(run_id)
    try:
        phase = run.status().phase
    except ActionableError as error:
        phase = str(error)
    if phase not in ("stopped", "finished") or on.newest_state(run.folder) is None:
        tally.miss(UNSAVED, f"{run_id}: {phase}, {len(list((run.folder / 'state').glob('*')))} states")
    again = place.resumed(run)
    what = on.differences(run, whole) if again.code == 0 else again.lines[-1:]
    if what:
        tally.miss(UNEQUAL, f"{run_id}: {', '.join(what)}")


def _is_pythons_own(err: str) -> bool:
    """Whether it is a traceback of Python's own start. Files of the virtual environment run then; they lie in the project but are
    not ours."""
    ours = [f'File "{on.PROJECT}/{folder}/' for folder in ("icm", "tests")]
    return "Traceback" in err and not any(frame in err for frame in ours)
