"""Saved networks and rows are damaged, and every damage is noticed: nothing is used in silence that is not what was saved.

States and snapshots are flipped, cut, zeroed, lengthened or malformed (`malformed`), metrics.jsonl and history.f8 are damaged
(`damaged_rows`). A damaged state is passed over for the older one, and the run ends as the unbroken one; a damaged snapshot is
refused in one line; damaged rows are told, and the run resumes. There is never a traceback."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from icm.errors import ActionableError
from icm.runs.run import Run
from tests.torture import damaged_rows
from tests.torture import ground as on
from tests.torture.forks import Ended
from tests.torture.ground import Ground
from tests.torture.malformed import malformed_files
from tests.torture.rows import Row, Tally

MARKS = (
    "traceback",
    "silent: used, though it is not what was saved",
    "not resumed from the older state",
    "not refused",
)
TRACEBACK, SILENT, NOT_RESUMED, NOT_REFUSED = MARKS
HALF_WAY = "half-way"
RESUMED = "damaged states resumed from, of each kind of change"
KINDS = 5  # of change, in turn
RESUMED_EVERY = 16  # damaged states; no multiple of KINDS, so that every kind has its turn

Reader = Callable[[Path], dict[str, np.ndarray]]


def trial(place: Ground, changes: int, malformed: int, rows: int) -> Row:
    """`changes` of five kinds, `malformed` safetensors files, `rows` damaged metrics and histories."""
    tally = Tally.of("damage", *MARKS, *damaged_rows.MARKS)
    tally.figures[RESUMED] = [0] * KINDS
    random.seed(14)
    whole = on.unbroken(place, on.little())
    run = stopped_half_way(place)
    for number in range(changes):
        tally.cases += 1
        _changed(tally, place, run, whole, number)
    chosen = _spread(malformed_files(), malformed)
    for number, (name, make) in enumerate(chosen):
        tally.cases += 1
        if number % 2:
            _malformed_snapshot(tally, place, run, name, make)
        else:
            _malformed_state(tally, place, run, whole, name, make)
    damaged_rows.trial(tally, place, run, whole, rows)
    return tally.row()


def stopped_half_way(place: Ground) -> Run:
    """A run that was killed with two states and a few rows after the newer one."""
    child = place.forks.icm(*place.train(HALF_WAY, on.little()))
    on.wait_for("row 10", place.store.root / HALF_WAY, child)
    child.kill()
    child.wait()
    run = place.store.open(HALF_WAY)
    assert len(list((run.folder / "state").glob("*.safetensors"))) == 2
    return run


def _spread(found: list, count: int) -> list:
    """`count` of them, evenly chosen."""
    return [found[index * len(found) // count] for index in range(count)] if count < len(found) else found


def copy_of(place: Ground, run: Run, name: str) -> Run:
    folder = place.store.root / name
    shutil.rmtree(folder, ignore_errors=True)
    return Run(shutil.copytree(run.folder, folder))


# Flips, cuts and zeros


def _damaged(content: bytes, kind: int) -> bytes:
    """A bit is flipped, anywhere or in the header; the end is cut off; it is zeroed, as after a power cut; or bytes are added."""
    place = random.randrange(len(content))
    if kind == 0:
        return _flipped(content, place)
    if kind == 1:
        return _flipped(content, random.randrange(min(len(content), 2000)))
    if kind == 2:
        return content[:place]
    if kind == 3:
        return content[:place] + bytes(len(content) - place)
    return content + content[: random.randrange(1, 64)]


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << random.randrange(8))]) + content[place + 1 :]


def _changed(tally: Tally, place: Ground, run: Run, whole: Run, number: int) -> None:
    """Damages one file, a state and a snapshot in turn, and reads it as icm does. Some of the states are resumed from as well."""
    turn, state = number // 2, number % 2 == 0
    path = on.newest_state(run.folder) if state else on.newest_snapshot(run.folder)
    assert path
    sound = path.read_bytes()
    damaged = _damaged(sound, turn % KINDS)
    if damaged == sound:
        return
    read = on.read_state if state else on.read_snapshot
    kept = read(path)
    name = f"{path.parent.name} {number}"
    copy = copy_of(place, run, "changed")
    damaged_path = copy.folder / path.relative_to(run.folder)
    damaged_path.write_bytes(damaged)
    try:
        found = read(damaged_path)
        if not on.same_arrays(found, kept):
            tally.miss(SILENT, name)
    except ActionableError:
        pass  # as it should be
    except Exception as error:  # whatever a parser throws is counted
        tally.miss(TRACEBACK, f"{name}: {type(error).__name__}: {error}")
    if state and turn % RESUMED_EVERY == 0:
        tally.figures[RESUMED][turn % KINDS] += 1
        _judge_resumed(tally, name, copy, whole, place.resumed(copy))


# Malformed files


def _malformed_state(
    tally: Tally, place: Ground, run: Run, whole: Run, name: str, make: Callable[[bytes], bytes]
) -> None:
    copy = copy_of(place, run, "malformed")
    path = on.newest_state(copy.folder)
    assert path
    path.write_bytes(make(path.read_bytes()))
    _judge_resumed(tally, f"state, {name}", copy, whole, place.resumed(copy))


def _judge_resumed(tally: Tally, name: str, run: Run, whole: Run, ended: Ended) -> None:
    """It went on from the older state, to the unbroken run."""
    if "Traceback" in ended.err:
        tally.miss(TRACEBACK, f"{name}: {ended.lines[-1]}")
    elif ended.code != 0:
        tally.miss(NOT_RESUMED, f"{name}: {' '.join(ended.lines)}")
    elif what := on.differences(run, whole):
        tally.miss(SILENT, f"{name}: {', '.join(what)} differ")


def _malformed_snapshot(
    tally: Tally, place: Ground, run: Run, name: str, make: Callable[[bytes], bytes]
) -> None:
    copy = copy_of(place, run, "malformed")
    path = on.newest_snapshot(copy.folder)
    assert path
    path.write_bytes(make(path.read_bytes()))
    ended = place.forks.icm("evaluate", copy.id, *place.there(), "--images", "2", "--json").wait()
    if "Traceback" in ended.err:
        tally.miss(TRACEBACK, f"snapshot, {name}: {ended.lines[-1]}")
    elif ended.code == 0:
        tally.miss(SILENT, f"snapshot, {name}: measured")
    elif len(ended.lines) != 1:
        tally.miss(NOT_REFUSED, f"snapshot, {name}: {len(ended.lines)} lines")
