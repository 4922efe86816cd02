"""python -m icm train | resume | stop | runs | evaluate | data | speed | reader | export

Exit codes: 0 done, 2 wrong words, 3 the run is already being trained, 1 anything else. A user's mistake is answered by
one line on standard error. torch is imported only by the commands that compute, after the words have been understood."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from icm.config import PRESETS, ConfigError, RunConfig, preset
from icm.errors import ActionableError
from icm.store import Run, RunBusy, RunIdError, RunStore, store_root
from icm.terminal import LOG_EVERY, catch_signals, follow, silence

PROBE_SECONDS = 2.0  # for each preset

Command = TypeVar("Command")


class UsageError(ActionableError):
    """The words on the command line do not fit."""


class Interrupted(ActionableError):
    """Somebody ended the command before it had begun its work."""


@dataclass(frozen=True)
class Where:
    """The folders."""

    store: Path = field(default_factory=store_root)
    """Folder of runs; ICM_STORE, else checkpoints/ in the project, when not given."""
    data_root: Path | None = None
    """Folder of image sets; ICM_DATA_ROOT, else data/ in the project, when not given."""


Places = Annotated[Where, tyro.conf.arg(name="")]
RunName = Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True)
class Train:
    """Trains a new run to its end; Ctrl-C saves and stops."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    where: Places = field(default_factory=Where)
    run_id: str | None = None
    """Name of the run; made from preset, seed and time when not given."""


@dataclass(frozen=True)
class Resume:
    """Goes on with a stopped or crashed run, as if it had never been interrupted: bit for bit on a CPU with the same torch."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)


@dataclass(frozen=True)
class Stop:
    """Asks the trainer of a run to save and stop, and waits for it."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    timeout: float = 60.0
    """Seconds to wait."""


@dataclass(frozen=True)
class Runs:
    """Lists the runs, newest first."""

    where: Places = field(default_factory=Where)
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Evaluate:
    """Measures a run against the true originals, on images that were never trained on."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    on: str | None = None
    """mnist, builtin, omniglot, alphabets, fashion, usps or a folder of pictures; the run's own digits when not given."""
    look: Literal["digits", "plain"] = "digits"
    """How other drawings are brought to the digits' look: ink in a box of 20 pixels, or the picture as it is."""
    step: int | None = None
    """Snapshot to measure; the newest when not given."""
    images: int = 256
    """Held-out images, each sent through every mechanism."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Data:
    """Lists the sets of images, or downloads one by name."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Set to download, such as mnist."""
    where: Places = field(default_factory=Where)


@dataclass(frozen=True)
class Speed:
    """Times every preset on this machine, two seconds each, and keeps the result for the Train page."""

    where: Places = field(default_factory=Where)
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Reader:
    """Trains the digit reader on untouched digits and measures it on held-out ones; minutes, then weights and a card."""

    seed: int = 0
    """0 or more; decides the first weights and the order of the digits."""
    epochs: int = 6
    """Times that every digit is seen."""
    source: Literal["mnist", "builtin"] = "mnist"
    """Digits to train on; the reader that ships with the project is trained on mnist."""
    data_root: Path | None = None
    """Folder of image sets; ICM_DATA_ROOT, else data/ in the project, when not given."""
    out: Path | None = None
    """Folder for weights and card; checkpoints/reader in the project when not given."""


@dataclass(frozen=True)
class Export:
    """Makes a trained run small enough to ship: some snapshots in half precision, and a card of what was measured."""

    run: RunName
    """Name of the run."""
    out: Path
    """Folder to write: a new or an empty one, or an earlier export, which is replaced; not in a store of runs."""
    where: Places = field(default_factory=Where)
    steps: tuple[int, ...] = (0, 100, 300, 500, 1000, 2000)
    """Snapshots to keep."""
    images: int = 1000
    """Held-out digits to measure on, each sent through every mechanism."""
    seeds_tried: str = "not said"
    """How the run was chosen, for its card."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help"):
            print(_help())
            return 0
        if words[0] not in COMMANDS:
            raise UsageError(f"unknown command {words[0]!r}; known: {', '.join(COMMANDS)}")
        return COMMANDS[words[0]](words[1:])
    except (UsageError, ConfigError, RunIdError) as error:
        return _fail(2, error)
    except RunBusy as error:
        return _fail(3, error)
    except ActionableError as error:
        return _fail(1, error)
    except BrokenPipeError:  # whoever read what we print, such as `head`, has read enough
        silence(sys.stdout)
        return 1


def _fail(code: int, error: ActionableError) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(f"icm: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return code


def _help() -> str:
    lines = [f"  {name:<9}{command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join(
        ["usage: python -m icm COMMAND [OPTIONS]", "", *lines, "", "COMMAND --help tells the options."]
    )


def _parse(command: type[Command], words: list[str], default: Any = tyro.MISSING) -> Command:
    """The command's options; UsageError in one sentence instead of tyro's framed paragraph."""
    complaint = io.StringIO()
    keywords = {} if default is tyro.MISSING else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(command, args=words, prog=f"python -m icm {command.__name__.lower()}", **keywords)
    except SystemExit as end:
        if not end.code:
            raise
        # Framed by lines where standard output is UTF-8, else indented.
        framed = [line.strip("│ ") for line in complaint.getvalue().splitlines() if line[:2] in ("│ ", "  ")]
        sentence = [line for line in framed if line.strip("─-")]
        raise UsageError(" ".join(sentence)) from None


# The commands


def train(words: list[str]) -> int:
    """Trains a new run."""
    base = preset(_preset_named(words))
    command = _parse(Train, words, default=Train(config=base))
    signals = catch_signals()

    from icm import data, launch  # torch, only now

    if signals:
        raise Interrupted("interrupted")
    store = RunStore(command.where.store)
    run_id = command.run_id or launch.new_run_id(command.config)
    root = data.data_root(command.where.data_root)
    line = "python -m icm train " + " ".join(words)
    run = launch.create(store, run_id, command.config, root, command=line)
    with run.locked():
        return follow(run, root, signals)


def resume(words: list[str]) -> int:
    """Goes on with a stopped or crashed run."""
    command = _parse(Resume, words)
    run = RunStore(command.where.store).open(command.run)
    run.refuse_shipped()
    signals = catch_signals()
    # Of a trainer that was killed; a later request is meant for us, and a launcher has removed it before it began us.
    left_over = run.stop_requested() and not run.is_being_started()
    # A trainer that was just launched takes its lock here, before the seconds that torch needs to be imported.
    with run.locked():
        if left_over:
            run.clear_stop()

        from icm import data

        root = data.data_root(command.where.data_root)
        return follow(run, root, signals)


def stop(words: list[str]) -> int:
    """Asks a trainer to save and stop."""
    command = _parse(Stop, words)

    from icm import launch

    run = RunStore(command.where.store).open(command.run)
    launch.stop(run, command.timeout)
    print(f"run {run.id} stopped at step {run.status().step}")
    return 0


def runs(words: list[str]) -> int:
    """Lists the runs."""
    command = _parse(Runs, words)
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


def evaluate(words: list[str]) -> int:
    """Measures a run against the true originals."""
    command = _parse(Evaluate, words)
    run = RunStore(command.where.store).open(command.run)
    if command.images < 1:
        raise UsageError(f"--images is {command.images}; use 1 or more")

    from icm import data
    from icm import run as running
    from icm.evaluation import Evaluation

    root = data.data_root(command.where.data_root)
    step, found = running.evaluate_run(run, root, command.step, command.on, command.look, command.images)
    source = command.on or run.config().source
    if command.json:
        print(json.dumps({"run": run.id, "step": step, "source": source, **found.to_json()}, indent=2))
        return 0
    result = found if isinstance(found, Evaluation) else found.other
    table = Table("mechanism", "owner", "wins", "winner, dB", "owner, dB", "nothing, dB", box=None)
    for index, name in enumerate(result.mechanisms):
        owner, own_quality = result.owner[index], result.psnr_owner[index]
        wins = result.win_share[index].max() if owner is None else result.win_share[index, owner]
        table.add_row(
            name,
            "none" if owner is None else f"expert {owner}",
            f"{wins:.1%}",
            f"{result.psnr[index]:.1f}",
            "" if own_quality is None else f"{own_quality:.1f}",
            f"{result.psnr_nothing[index]:.1f}",
        )
    console = Console(markup=False)
    console.print(
        f"run {run.id}, step {step}, {command.images} {'held-out digits' if command.on is None else 'images'} of {source}"
    )
    console.print(table)
    summary = (
        f"one-to-one: {'yes' if result.one_to_one else 'no'}; routing accuracy {result.routing_accuracy:.1%}; "
        f"winners' answers {sum(result.psnr) / len(result.psnr):.1f} dB"
    )
    if not isinstance(found, Evaluation):
        summary += f"; on the digits routing {found.digits.routing_accuracy:.1%}"
    if result.accuracy is not None:
        summary += "; read right: " + ", ".join(
            f"{name} {share:.1%}" for name, share in result.accuracy.items()
        )
    console.print(summary)
    return 0


def data(words: list[str]) -> int:
    """Lists the sets of images, or downloads one."""
    command = _parse(Data, words)

    from icm import data as images
    from icm import sets
    from icm.unseen import SETS

    root = images.data_root(command.where.data_root)
    if command.name is not None:
        images.download(command.name, root)
        print(f"{command.name} is under {root}")
        return 0
    print(f"data root: {root}")
    for name, kind in SETS.items():
        print(f"{name:10} {sets.in_words(name, root)}: {kind.title}")
    return 0


def speed(words: list[str]) -> int:
    """Times every preset on this machine."""
    command = _parse(Speed, words)

    from icm.data import data_root
    from icm.run import measure_pace

    root = data_root(command.where.data_root)
    at_most = {
        name: round(measure_pace(config, root, PROBE_SECONDS).at_most(config), 1)
        for name, config in PRESETS.items()
    }
    RunStore(command.where.store).write_durations(at_most)
    if command.json:
        print(json.dumps(at_most, indent=2))
    else:
        for name, seconds in at_most.items():
            print(f"{name}: at most {seconds:.0f} s")
    return 0


def reader(words: list[str]) -> int:
    """Trains the digit reader."""
    command = _parse(Reader, words)
    if command.epochs < 1:
        raise UsageError(f"--epochs is {command.epochs}; use 1 or more")
    if command.seed < 0:
        raise UsageError(f"--seed is {command.seed}; use 0 or more")
    if command.source != "mnist" and command.out is None:
        raise UsageError(
            f"--source is {command.source}: give --out a folder; the project's reader learns from mnist"
        )

    from icm import classifier
    from icm import data as images

    root = images.data_root(command.data_root)
    digits = images.load_digits(images.resolve_source(command.source, root), root)
    learner = classifier.new_reader(command.seed)
    shown = 0.0
    for done in classifier.train_reader(
        learner, digits.train, digits.train_labels, command.seed, command.epochs
    ):
        if done.step == done.of or time.monotonic() - shown >= LOG_EVERY:
            shown = time.monotonic()
            print(f"reader {done.step} of {done.of}, loss {done.loss:.3f}", flush=True)

    folder = command.out or classifier.SHIPPED
    classifier.save_reader(learner, folder)
    card = classifier.write_card(folder, digits, command.seed, command.epochs)
    print(f"reads {card['test_accuracy']:.2%} of {card['test']}; weights and card are under {folder}")
    return 0


def export(words: list[str]) -> int:
    """Makes a run small enough to ship."""
    command = _parse(Export, words)
    run = RunStore(command.where.store).open(command.run)
    if not command.steps:
        raise UsageError("--steps has no number; name the snapshots to keep, or leave it away")
    if command.images < 1:
        raise UsageError(f"--images is {command.images}; use 1 or more")

    from icm import export as shipping
    from icm.data import data_root

    card = shipping.export(
        run,
        command.out,
        data_root(command.where.data_root),
        command.steps,
        command.images,
        command.seeds_tried,
    )
    size = sum(path.stat().st_size for path in command.out.rglob("*") if path.is_file())
    print(
        f"run {run.id} is in {command.out}, {size / 1e6:.1f} MB; routing {card['digits']['routing_accuracy']:.1%}"
    )
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "resume": resume,
    "stop": stop,
    "runs": runs,
    "evaluate": evaluate,
    "data": data,
    "speed": speed,
    "reader": reader,
    "export": export,
}


def _preset_named(words: list[str]) -> str:
    """The word after --preset; the preset must be known before its fields can be changed."""
    for index, word in enumerate(words):
        if word.startswith("--preset="):
            return word.removeprefix("--preset=")
        if word == "--preset" and index + 1 < len(words):
            return words[index + 1]
    return "paper"
