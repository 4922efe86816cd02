"""Commands about runs: train, resume, stop, runs.

torch takes seconds to import, so it is imported inside the commands that need it."""

import json
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from icm.cli.options import Resume, Runs, Stop, Train
from icm.cli.terminal import catch_signals, follow
from icm.cli.words import UsageError, parse, preset_named
from icm.errors import ActionableError
from icm.presets import preset
from icm.runs.run import Run
from icm.runs.store import RunStore


class Interrupted(ActionableError):
    """Somebody ended the command before it had begun its work."""


def train(words: list[str]) -> int:
    """Trains a new run."""
    base = preset(preset_named(words))
    command = parse(Train, words, default=Train(config=base))
    signals = catch_signals()

    from icm.images.digits import data_root
    from icm.images.mechanisms import named_here
    from icm.jobs import launch

    if signals:
        raise Interrupted("interrupted")
    config = replace(command.config, mechanisms=named_here(command.config.mechanisms))
    store = RunStore(command.where.store)
    run_id = command.run_id or launch.new_run_id(config)
    root = data_root(command.where.data_root)
    line = "python -m icm train " + " ".join(words)
    run = launch.create(store, run_id, config, root, command=line)
    with run.trainer.locked():
        return follow(run, root, signals)


def resume(words: list[str]) -> int:
    """Goes on with a stopped or crashed run."""
    command = parse(Resume, words)
    run = RunStore(command.where.store).open(command.run)
    run.refuse_shipped()
    signals = catch_signals()
    # A STOP that is here already was meant for a trainer that was killed; one that comes later is meant for us. A launcher has
    # removed the old one before it started us, so while a launcher waits every STOP is meant for us.
    left_over = run.trainer.stop_requested() and not run.trainer.is_being_started()
    # The lock is taken before torch is imported, which takes seconds: a launcher waits for the lock.
    with run.trainer.locked():
        if left_over:
            run.trainer.clear_stop()

        from icm.images.digits import data_root

        root = data_root(command.where.data_root)
        return follow(run, root, signals)


def stop(words: list[str]) -> int:
    """Asks a trainer to save and stop."""
    command = parse(Stop, words)
    if not command.timeout >= 0:  # it may be nan
        raise UsageError(f"--timeout is {command.timeout:g}; use 0 or more seconds")

    from icm.jobs import launch

    run = RunStore(command.where.store).open(command.run)
    launch.stop(run, command.timeout)
    print(f"run {run.id} stopped at step {run.status().step}")
    return 0


def runs(words: list[str]) -> int:
    """Lists the runs."""
    command = parse(Runs, words)
    rows = [_row(run) for run in RunStore(command.where.store).runs()]
    if command.json:
        print(json.dumps(rows, indent=2))
        return 0
    table = Table("run", "state", "preset", "seed", "source", "step", "of", box=None)
    for row in rows:
        table.add_row(
            *(str(row.get(name, "")) for name in ("run", "state", "preset", "seed", "source", "step", "of"))
        )
    Console(markup=False).print(table if rows else "no run yet; python -m icm train --preset quick makes one")
    return 0


def _row(run: Run) -> dict[str, Any]:
    try:
        config, status, state = run.config(), run.status(), run.state()
    except ActionableError as error:
        return {"run": run.id, "state": "unreadable", "error": str(error)}
    return {
        "run": run.id,
        "state": state,
        "phase": status.phase,
        "preset": config.preset,
        "seed": config.seed,
        "source": config.source,
        "step": status.step,
        "of": status.of,
    }
