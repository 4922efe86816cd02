"""Many at once: trainers started together, deletions against starts, readers beside trainers.

Of twenty simultaneous starts one gets the run and the others are told so. Delete, extend, stop, resume and create, each from a
process of its own at about the same time, leave a run that is listed and can be deleted, or a free name. No actor ends in a
traceback. Readers never take each other for a trainer, and never keep a trainer or its launcher out."""

import os
import random
import re
import subprocess
import time

from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.torture import ground as on
from tests.torture.actors import BUSY
from tests.torture.forks import Child
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally

MARKS = (
    "starts: not exactly one trainer",
    "starts: a traceback",
    "husks",
    "a traceback",
    "readers: false alive",
    "readers: a trainer or its launcher kept out",
)
NOT_ONE, START_TRACEBACK, HUSKS, TRACEBACK, FALSE_ALIVE, KEPT_OUT = MARKS
HEAD_START = 0.15  # seconds for the processes of a turn to be there
READERS = 6


def trial(place: Ground, rounds: int, starters: int, turns: int, reading: float) -> Row:
    """`rounds` of `starters` simultaneous starts, `turns` of actors on one run, then readers for `reading` seconds."""
    tally = Tally.of("races", *MARKS)
    random.seed(15)
    for number in range(rounds):
        tally.cases += 1
        _starts(tally, place.within(f"starts-{number}"), starters)
    against = place.within("against")
    for number in range(turns):
        tally.cases += 1
        _against_one_another(tally, against, number)
    tally.cases += 1
    _readers(tally, place.within("readers"), reading)
    return tally.row()


# One run, many starts


def _starts(tally: Tally, place: Ground, starters: int) -> None:
    run = place.store.create("wanted", on.little(steps=100_000), {})
    moment = str(time.monotonic() + HEAD_START + 0.02 * starters)
    words = (str(place.store.root), run.id, str(place.root), moment)
    children = [place.forks.start("start", *words) for _ in range(starters)]
    seen: set[int] = set()
    while not all(child.ended() for child in children):
        seen |= trainers_of(run)
        time.sleep(0.05)
    ends = [child.wait() for child in children]
    codes = [end.code for end in ends]
    if codes.count(0) != 1 or codes.count(BUSY) != starters - 1 or len(seen | trainers_of(run)) != 1:
        tally.miss(NOT_ONE, f"{codes.count(0)} were told that they started it, {len(seen)} trainers, {codes}")
    for end in ends:
        if "Traceback" in end.err:
            tally.miss(START_TRACEBACK, end.lines[-1])
    run.trainer.request_stop()
    on.wait_while(run.trainer.is_alive)


def trainers_of(run: Run) -> set[int]:
    """The processes whose command trains this run of this store."""
    words = f"icm resume {run.id} --store {run.folder.parent} "
    found = subprocess.run(["pgrep", "-f", re.escape(words)], capture_output=True, text=True, check=False)
    return {int(word) for word in found.stdout.split()}


# Delete, extend, stop, resume, create


def _against_one_another(tally: Tally, place: Ground, number: int) -> None:
    """Three to six actors on one run within some milliseconds; half of the runs are being trained already."""
    store, root, run_id = str(place.store.root), str(place.root), f"fought-over-{number}"
    run = place.store.create(run_id, on.little(), {})
    children: dict[str, Child] = {}
    if number % 2:
        children["trainer"] = place.forks.start("resume", store, run_id, root, "0")
        on.wait_for(random.choice(("identity", "row 2", "row 12")), run.folder, children["trainer"])
    begin = time.monotonic() + HEAD_START
    actors = [
        "delete",
        *random.choices(("delete", "extend", "stop", "resume", "create"), k=random.randint(2, 5)),
    ]
    for index, actor in enumerate(actors):
        moment = str(begin + random.random() * random.choice((0.003, 0.05, 0.3)))
        more = {"resume": (root, moment), "create": (root, moment), "extend": (moment, str(20 + index))}
        words = more.get(actor, (moment,))
        children[f"{actor} {index}"] = place.forks.start(actor, store, run_id, *words)
    for name, child in children.items():
        ended = child.wait(90)
        if "Traceback" in ended.err or ended.code < 0:
            tally.miss(
                TRACEBACK, f"turn {number}, {name}: {' '.join(ended.lines[-1:])} (exit code {ended.code})"
            )
    for words in husks(place, run_id):
        tally.miss(HUSKS, f"turn {number}, {', '.join(actors)}: {words}")


def husks(place: Ground, run_id: str) -> list[str]:
    """What is wrong afterwards: a folder that is no run, a name that cannot be made, or left-overs once the run is gone."""
    found = []
    folder = place.store.root / run_id
    if folder.exists():
        listed = [run.id for run in RunStore(place.store.root).runs()]
        deleted = place.forks.start("delete", str(place.store.root), run_id, "0").wait()
        if run_id not in listed or deleted.code != 0 or folder.exists():
            inside = ", ".join(sorted(os.listdir(folder))) if folder.is_dir() else "nothing"
            found.append(f"a folder that is no run, with {inside}")
    made = place.forks.start("create", str(place.store.root), run_id, str(place.root), "0").wait()
    if made.code != 0:
        found.append(f"the name cannot be made: {' '.join(made.lines)}")
    gone = place.forks.start("delete", str(place.store.root), run_id, "0").wait()
    left = [name for name in os.listdir(place.store.root) if run_id in name]
    if gone.code == 0 and left:
        found.append(f"left in the store: {', '.join(left)}")
    return found


# Readers beside trainers


def _readers(tally: Tally, place: Ground, seconds: float) -> None:
    """Six readers of two runs: one that nobody trains, one whose locks are taken for some milliseconds now and then."""
    for run_id in ("idle", "visited"):
        run = place.store.create(run_id, on.little(), {})
        run.write_status("competing", 5, 60)
    store, until = str(place.store.root), str(time.monotonic() + seconds)
    readers = [place.forks.start("look", store, "idle", "visited", until) for _ in range(READERS)]
    visits = _spans(place.forks.start("visit", store, "visited", until).wait(seconds + 60).out)
    trained = [(begun, ended) for what, begun, ended in visits if what == "trained"]
    refused = [each for each in visits if each[0] == "refused"]
    looks = 0
    for reader in readers:
        ended = reader.wait(60)
        if ended.code != 0:
            tally.miss(TRACEBACK, f"reader: {' '.join(ended.lines[-1:])}")
        for what, begun, end in _spans(ended.out):
            if what == "looks":
                looks += int(begun)
            elif what == "idle" or not any(begun <= last and first <= end for first, last in trained):
                tally.miss(FALSE_ALIVE, f"{what} called alive while nobody trained it")
    for _ in refused:
        tally.miss(KEPT_OUT, "a lock was refused while only readers looked")
    tally.figures |= {"looks": looks, "locks taken meanwhile": len(visits) - len(refused)}


def _spans(out: str) -> list[tuple[str, float, float]]:
    lines = [line.split() for line in out.splitlines()]
    return [(words[0], float(words[1]), float(words[2])) for words in lines if len(words) == 3]
