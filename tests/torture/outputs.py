"""Output that cannot be printed: a closed stream, a reader that has gone, a full log. The training goes on to its end."""

import os
import subprocess
from collections.abc import Callable

from icm.runs.run import Run
from tests.torture import disks
from tests.torture import ground as on
from tests.torture.ground import Ground
from tests.torture.rows import Tally

MARK = "output: a training that its output ended"


def _forked(**options: object) -> Callable[[Tally, Ground, str], None]:
    def play(tally: Tally, place: Ground, name: str) -> None:
        child = place.forks.icm(*place.train("printing", on.little()), **options)
        _judge(tally, place, name, child.wait(60).code)

    return play


def _without_reader(tally: Tally, place: Ground, name: str) -> None:
    """A real command, piped into a reader that ends at once."""
    environment = {**os.environ, **on.environment(place.folder, place.root)}
    words = on.command(*place.train("printing", on.little()))
    with subprocess.Popen(
        words, cwd=on.PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        process.stdout.close()
        code = process.wait(60)
    _judge(tally, place, name, code)


def _full_log(tally: Tally, place: Ground, name: str) -> None:
    """The log lies on a full disk, the store does not."""
    disk = place.folder / "disk"
    with disks.small_disk(disk, 1) as mounted:
        if mounted:
            (disk / "log.txt").touch()
            disks.fill(disk, 0)
        log = str(disk / "log.txt") if mounted else "/dev/full"
        child = place.forks.icm(*place.train("printing", on.little()), out=log, err=log)
        _judge(tally, place, name, child.wait(60).code)


def _judge(tally: Tally, place: Ground, name: str, code: int) -> None:
    folder = place.store.root / "printing"
    phase = Run(folder).status().phase if folder.is_dir() else "no run"
    if code != 0 or phase != "finished":
        tally.miss(MARK, f"{name}: {phase}, exit code {code}")


CASES: dict[str, Callable[[Tally, Ground, str], None]] = {
    "closed": _forked(close=(1,)),
    "and errors closed": _forked(close=(1, 2)),
    "full device": _forked(out="/dev/full"),
    "and errors to a full device": _forked(out="/dev/full", err="/dev/full"),
    "reader gone": _without_reader,
    "full log": _full_log,
}
