"""What forked children do besides `python -m icm`: each takes words and returns an exit code."""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from icm.cli.main import main
from icm.errors import ActionableError
from icm.jobs import launch, trainer
from icm.runs.errors import RunBusy
from icm.runs.store import RunStore
from tests.torture.hostile import open_pictures

BUSY, TOLD = 3, 4  # exit codes

Actor = Callable[[Sequence[str]], int]


def warm(words: Sequence[str]) -> int:
    """Trains a few steps, which puts the built-in digits into the data root `words[0]`. Prints the modules that this imported."""
    from tests.torture.ground import little

    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as folder:
        run = RunStore(Path(folder)).create("warm", little(steps=2), {})
        with run.trainer.locked():
            list(trainer.train(run, Path(words[0])))
    print("\n".join(sorted(set(sys.modules) - before)))
    return 0


def wait_until(moment: str) -> None:
    """Waits until this time on the clock that all processes of the machine share."""
    while time.monotonic() < float(moment):
        time.sleep(0.0002)


def told(act: Callable[[], object]) -> int:
    """Ends as `icm.cli.main` does: what a person can act on becomes a line and an exit code, all else a traceback."""
    try:
        act()
    except RunBusy as error:
        print(f"busy: {error}", file=sys.stderr)
        return BUSY
    except ActionableError as error:
        print(f"told: {error}", file=sys.stderr)
        return TOLD
    return 0


def start(words: Sequence[str]) -> int:
    """Launches the trainer of run `words[1]` at the time `words[3]`, as a page does."""
    store, run_id, root, moment = words
    run = RunStore(Path(store)).open(run_id)
    wait_until(moment)
    return told(lambda: launch.start(run, Path(root)))


def delete(words: Sequence[str]) -> int:
    store, run_id, moment = words
    wait_until(moment)
    return told(lambda: RunStore(Path(store)).open(run_id).delete())


def extend(words: Sequence[str]) -> int:
    store, run_id, moment, steps = words
    wait_until(moment)
    return told(lambda: RunStore(Path(store)).open(run_id).extend(int(steps)))


def stop(words: Sequence[str]) -> int:
    store, run_id, moment = words
    wait_until(moment)
    return told(lambda: launch.stop(RunStore(Path(store)).open(run_id), timeout=30))


def resume(words: Sequence[str]) -> int:
    """Trains in this process, as `python -m icm resume` does."""
    store, run_id, root, moment = words
    wait_until(moment)
    return main(["resume", run_id, "--store", store, "--data-root", root])


def create(words: Sequence[str]) -> int:
    """Makes the run again, or is told that it is there."""
    from tests.torture.ground import little

    store, run_id, root, moment = words
    wait_until(moment)
    return told(lambda: launch.create(RunStore(Path(store)), run_id, little(), Path(root), command="races"))


def look(words: Sequence[str]) -> int:
    """Asks two runs how they are until `words[3]`, without a pause. Prints each answer "alive" with its begin and end, then how
    often it looked."""
    store, idle, visited, until = words
    runs = {run_id: RunStore(Path(store)).open(run_id) for run_id in (idle, visited)}
    looks = 0
    while time.monotonic() < float(until):
        for run_id, run in runs.items():
            begun = time.monotonic()
            alive = (
                run.trainer.is_alive() if looks % 2 else run.state() in ("preparing", "running", "stalled")
            )
            if alive:
                print(run_id, begun, time.monotonic())
        looks += 1
    print("looks", 2 * looks, 0)
    return 0


def visit(words: Sequence[str]) -> int:
    """Takes the lock of a run's launcher and that of its trainer in turn until `words[2]`. Prints "launched" or "trained" when
    it held the lock, "refused" when it did not get it, with begin and end."""
    store, run_id, until = words
    run = RunStore(Path(store)).open(run_id)
    while time.monotonic() < float(until):
        for held, take in (("launched", run.trainer.starting), ("trained", run.trainer.locked)):
            begun = time.monotonic()
            try:
                with take():
                    time.sleep(0.004)
                print(held, begun, time.monotonic())
            except RunBusy:
                print("refused", begun, time.monotonic())
            time.sleep(0.015)
    return 0


TASKS: dict[str, Actor] = {
    "warm": warm,
    "start": start,
    "delete": delete,
    "extend": extend,
    "stop": stop,
    "resume": resume,
    "create": create,
    "look": look,
    "visit": visit,
    "open_pictures": open_pictures,
}
