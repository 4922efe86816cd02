"""The disk fails a trainer: it is full or read-only, or a person removes or replaces what lies under the trainer.

The trainer ends with an exit code other than 0 and one line with path and remedy. The last saved state can be read, unless it
is what was taken away. "failed" is written down where that is possible, "finished" never; what was removed does not come back in
part. Output that cannot be printed is the exception: it ends nothing (`outputs`)."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from icm.errors import ActionableError
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.torture import disks, outputs
from tests.torture import ground as on
from tests.torture.forks import Child, Ended
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally

MARKS = (
    "exit code 0",
    "says finished",
    "failed is not recorded",
    "the saved state is lost",
    "a traceback, or not one line",
    "no path or no remedy in the line",
    "a folder that comes back, or is written into",
    "left-over files",
)
EXIT, FINISHED, NOT_FAILED, LOST, LINES, NO_PATH, COMES_BACK, LEFT_OVER = MARKS
STEPS = 90  # so many that the trainer still has some to do when the disk fails
DISK = 4  # MB

SHORT = (
    "folder deleted, row 2",
    "folder replaced, row 2",
    "metrics.jsonl a folder, row 2",
    "state a file, row 2",
    "full disk, 0 bytes left, row 9",
    "output: closed",
)


@dataclass(frozen=True)
class Case:
    name: str
    play: Callable[[Tally, Ground, str], None]


@dataclass(frozen=True)
class Harm:
    """Something that is done to the folder of a run under its trainer."""

    does: Callable[[Run], object]
    takes_state: bool = False  # whether the saved states are taken away
    takes_folder: bool = False  # whether nothing of the run is where it was


def trial(place: Ground, names: tuple[str, ...] | None) -> Row:
    """Plays every case, or the named ones."""
    tally = Tally.of("disk", *MARKS, outputs.MARK)
    on.unbroken(place, on.little())
    for number, case in enumerate(each for each in plan() if names is None or each.name in names):
        tally.cases += 1
        case.play(tally, place.within(f"case-{number}"), case.name)
    assert names is None or tally.cases == len(names)
    return tally.row()


def plan() -> list[Case]:
    """Sixty cases."""
    cases = [
        Case(f"{name}, {moment}", _harmed(harm, moment))
        for name, harm in HARMS.items()
        for moment in (("identity", "row 2") if harm.takes_folder else ("row 2", "row 9"))
    ]
    cases += [
        Case(f"full disk, {leave} bytes left, {moment}", _full(leave, moment))
        for leave in (0, 4096, 12_288, 40_960)
        for moment in ("identity", "row 2", "row 9")
    ]
    cases += [
        Case(f"no file over {size} bytes", _limited(size)) for size in (300, 700, 2000, 6000, 12_000, 20_000)
    ]
    cases += [
        Case(f"read-only: {name}, {moment}", _read_only(name, moment))
        for name in READ_ONLY
        for moment in ("start", "row 9")
    ]
    return cases + [Case(f"output: {name}", play) for name, play in outputs.CASES.items()]


# What a person does under the trainer


def _remove(folder: Path) -> None:
    """Deletes the folder as somebody would who tries again while a trainer is writing into it."""
    deadline = time.monotonic() + 10
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=time.monotonic() < deadline)


def _move_away(run: Run) -> None:
    run.folder.rename(run.folder.with_name("moved"))


def _replace(run: Run) -> None:
    """Another run takes the name."""
    other = run.folder.parents[2] / "runs" / on.UNBROKEN
    shutil.copytree(other, run.folder.with_name("prepared"))
    _move_away(run)
    run.folder.with_name("prepared").rename(run.folder)


def _as_file(name: str) -> Callable[[Run], None]:
    def does(run: Run) -> None:
        (run.folder / name).rename(run.folder.parents[1] / "taken")
        (run.folder / name).write_text("")

    return does


def _as_folder(name: str) -> Callable[[Run], None]:
    def does(run: Run) -> None:
        (run.folder / name).unlink(missing_ok=True)
        (run.folder / name).mkdir()

    return does


def _without(name: str) -> Callable[[Run], None]:
    def does(run: Run) -> None:
        path = run.folder / name
        # Moved first: the trainer may be writing into it.
        path.rename(run.folder.parents[1] / "taken")

    return does


def _other_config(run: Run) -> None:
    text = (run.folder / "config.json").read_text()
    other = run.folder / "config.new"
    other.write_text(text.replace('"seed": 0', '"seed": 1'))
    other.replace(run.folder / "config.json")


HARMS = {
    "folder deleted": Harm(lambda run: _remove(run.folder), takes_state=True, takes_folder=True),
    "folder moved away": Harm(_move_away, takes_folder=True),
    "folder replaced": Harm(_replace, takes_folder=True),
    "store moved away": Harm(
        lambda run: run.folder.parent.rename(run.folder.parents[1] / "moved"), takes_folder=True
    ),
    "state a file": Harm(_as_file("state"), takes_state=True),
    "state deleted": Harm(_without("state"), takes_state=True),
    "snapshots a file": Harm(_as_file("snapshots")),
    "snapshots deleted": Harm(_without("snapshots")),
    "metrics.jsonl a folder": Harm(_as_folder("metrics.jsonl")),
    "metrics.jsonl deleted": Harm(_without("metrics.jsonl")),
    "history.f8 deleted": Harm(_without("history.f8")),
    "config.json replaced": Harm(_other_config),
    "config.json deleted": Harm(_without("config.json")),
    "lock deleted": Harm(_without("lock")),
}


def _harmed(harm: Harm, moment: str) -> Callable[[Tally, Ground, str], None]:
    def play(tally: Tally, place: Ground, name: str) -> None:
        run, child = _begun(place.store, place, moment)
        saved = on.newest_state(run.folder)
        harm.does(run)
        ended = child.wait(60)
        _judge_end(tally, name, ended, run)
        if harm.takes_folder:
            moved = [place.folder / "runs" / "moved", place.folder / "moved" / run.id]
            _judge_gone(tally, name, run, replaced=harm.does is _replace)
            if not harm.takes_state and saved is not None:
                _judge_state(tally, name, next(each for each in moved if each.is_dir()), saved)
            return
        _judge_recorded(tally, name, run)
        if not harm.takes_state and saved is not None:
            _judge_state(tally, name, run.folder, saved)

    return play


# A disk that takes no more


def _full(leave: int, moment: str) -> Callable[[Tally, Ground, str], None]:
    def play(tally: Tally, place: Ground, name: str) -> None:
        disk = place.folder / "disk"
        with disks.small_disk(disk, DISK) as mounted:
            tally.figures["full disk"] = (
                "a small tmpfs" if mounted else "always the same: no file over 12,000 bytes"
            )
            if not mounted:
                return _limited(12_000)(tally, place, name)
            run, child = _begun(RunStore(disk / "runs"), place, moment)
            saved = on.newest_state(run.folder)
            disks.fill(disk, leave)
            ended = child.wait(60)
            _judge_end(tally, name, ended, run)
            _judge_recorded(tally, name, run)
            _judge_state(tally, name, run.folder, saved)
            if left := on.strange_files(run):
                tally.miss(LEFT_OVER, f"{name}: {', '.join(left)}")

    return play


def _limited(size: int) -> Callable[[Tally, Ground, str], None]:
    """No file of the trainer may grow over `size` bytes."""

    def play(tally: Tally, place: Ground, name: str) -> None:
        words = place.train("harmed", on.little(steps=STEPS))
        ended = place.forks.icm(*words, largest_file=size).wait(60)
        run = Run(place.store.root / "harmed")
        _judge_end(tally, name, ended, run)
        if run.folder.is_dir():
            _judge_recorded(tally, name, run)
            _judge_state(tally, name, run.folder, None)
            if left := on.strange_files(run):
                tally.miss(LEFT_OVER, f"{name}: {', '.join(left)}")

    return play


# A folder that may not be written

READ_ONLY = {"run folder": ".", "state": "state", "snapshots": "snapshots", "metrics.jsonl": "metrics.jsonl"}


def _read_only(what: str, moment: str) -> Callable[[Tally, Ground, str], None]:
    def play(tally: Tally, place: Ground, name: str) -> None:
        run, child = _begun(place.store, place, "row 9", humble=True)
        path = run.folder / READ_ONLY[what]
        saved = on.newest_state(run.folder)
        if moment == "start":
            child.kill()
            child.wait()
        path.chmod(0o555 if path.is_dir() else 0o444)
        if moment == "start":
            child = place.forks.icm("resume", run.id, *place.there(), humble=True)
        ended = child.wait(60)
        path.chmod(0o755 if path.is_dir() else 0o644)
        # A resume may write the file of rows anew, which the folder allows.
        if what == "metrics.jsonl" and moment == "start" and ended.code == 0:
            return
        _judge_end(tally, name, ended, run)
        if what != "run folder":
            _judge_recorded(tally, name, run)
        _judge_state(tally, name, run.folder, saved)

    return play


def _begun(store: RunStore, place: Ground, moment: str, humble: bool = False) -> tuple[Run, Child]:
    """A run whose trainer has come to the identity phase, or to a row of the competition."""
    child = place.forks.icm(*place.train("harmed", on.little(steps=STEPS), store), humble=humble)
    run = Run(store.root / "harmed")
    on.wait_for(moment, run.folder, child)
    return run, child


# What must hold afterwards


def _judge_end(tally: Tally, name: str, ended: Ended, run: Run) -> None:
    if ended.code == 0:
        tally.miss(EXIT, name)
        return
    if len(ended.lines) != 1 or "Traceback" in ended.err:
        tally.miss(LINES, f"{name}: {len(ended.lines)} lines, the last: {''.join(ended.lines[-1:])[:120]}")
        return
    line = ended.lines[0]
    if str(run.folder.parent) not in line or "; " not in line:
        tally.miss(NO_PATH, f"{name}: {line}")


def _judge_recorded(tally: Tally, name: str, run: Run) -> None:
    try:
        phase = run.status().phase
    except ActionableError as error:
        phase = str(error)
    if phase == "finished":
        tally.miss(FINISHED, name)
    elif phase != "failed":
        tally.miss(NOT_FAILED, f"{name}: {phase}")


def _judge_state(tally: Tally, name: str, folder: Path, saved: Path | None) -> None:
    """The newest state can be read, and is no older than the one `saved` before."""
    path = on.newest_state(folder)
    if path is None:
        if saved is not None:
            tally.miss(LOST, f"{name}: no state")
        return
    try:
        on.read_state(path)
    except ActionableError as error:
        tally.miss(LOST, f"{name}: {error}")
    if saved is not None and path.name < saved.name:
        tally.miss(LOST, f"{name}: {path.name} is older than {saved.name}")


def _judge_gone(tally: Tally, name: str, run: Run, replaced: bool) -> None:
    if replaced:
        other = Run(run.folder.parents[2] / "runs" / on.UNBROKEN)
        changed = [
            each
            for each in on.files_of(run) | on.files_of(other)
            if not (other.folder / each).is_dir() and on.content(run, each) != on.content(other, each)
        ]
        if changed:
            tally.miss(COMES_BACK, f"{name}: the other run has changed in {', '.join(sorted(changed))}")
    elif run.folder.exists():
        tally.miss(COMES_BACK, f"{name}: there is {', '.join(sorted(on.files_of(run)))}")
