"""Commands that measure, fetch and ship: evaluate, chains, clothes, data, speed, export.

torch takes seconds to import, so it is imported inside the commands, after their options are checked."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from icm import files
from icm.cli.options import Chains, Clothes, Data, Evaluate, Export, Speed
from icm.cli.words import UsageError, at_least_one, parse
from icm.presets import PRESETS, command_line
from icm.runs.run import Run
from icm.runs.store import RunStore

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.measure.chains import Chain
    from icm.measure.clothes import Version
    from icm.measure.evaluation import Evaluation

PROBE_SECONDS = 2.0  # for each preset
DIAGNOSED = 100  # images of each mechanism that a diagnosis is made from


def evaluate(words: list[str]) -> int:
    """Measures a run against the true originals."""
    command = parse(Evaluate, words)
    run = RunStore(command.where.store).open(command.run)
    at_least_one("--images", command.images)
    if command.over_steps < 0:
        raise UsageError(f"--over-steps is {command.over_steps}; use 0 for none, or 1 or more")

    from icm.images.digits import data_root, named_source
    from icm.measure.diagnosis import diagnose
    from icm.measure.faults import faults, some_of
    from icm.measure.transfer import evaluate_run, over_steps

    root = data_root(command.where.data_root)
    step, found = evaluate_run(run, root, command.step, command.on, command.look, command.images)
    result = found[-1]
    own = named_source(run.config().source)
    source = command.on or own
    rows = []
    if command.over_steps:
        sets = [own] if source == own else [own, source]
        rows = over_steps(run, step, sets, root, command.over_steps, command.look)
    if command.json:
        digits = {"digits": found[0].to_json()} if len(found) > 1 else {}
        over = {"over_steps": rows} if rows else {}
        mechanisms = len(found[0].mechanisms)
        scores = some_of(found[0].scores, mechanisms, DIAGNOSED)
        diagnosed = faults(scores, mechanisms).counts(diagnose(scores))
        said = {"run": run.id, "step": step, "source": source, **digits, **result.to_json(), **over}
        said["diagnosed"] = diagnosed
        print(json.dumps(said, indent=2))
        return 0
    console = Console(markup=False)
    kind = "held-out digits" if command.on is None else "images"
    measured = result.scores.shape[1] // len(result.mechanisms)
    console.print(f"run {run.id}, step {step}, {measured} {kind} of {source}")
    console.print(_by_mechanism(result))
    console.print("; ".join(_in_sum(found)))
    if rows:
        console.print(_over_steps(rows))
    return 0


def _over_steps(rows: list[dict[str, Any]]) -> Table:
    """A line for each snapshot and set."""
    table = Table("step", "set", "owner, dB", "nothing, dB", "routing", "read right, restored", box=None)
    for row in rows:
        read = row.get("read_restored")
        table.add_row(
            f"{row['step']:,}",
            row["set"],
            f"{row['psnr_owner']:.1f}",
            f"{row['psnr_nothing']:.1f}",
            f"{row['routing_accuracy']:.1%}",
            "" if read is None else f"{read:.1%}",
        )
    return table


def _by_mechanism(result: "Evaluation") -> Table:
    """A line for each mechanism."""
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
    return table


def _in_sum(found: "list[Evaluation]") -> list[str]:
    """The figures of the last set in words, and the routing on the digits where that set is another."""
    result = found[-1]
    words = [
        f"one-to-one: {'yes' if result.one_to_one else 'no'}",
        f"routing accuracy {result.routing_accuracy:.1%}",
        f"winners' answers {sum(result.psnr) / len(result.psnr):.1f} dB",
        f"sure of {result.doubt.sure:.1%} of the winners"
        + ("" if not result.doubt.sure else f", {result.doubt.sure_and_right:.1%} of them right"),
        f"calibration error {result.doubt.expected_error:.1%}",
    ]
    if len(found) > 1:
        words.append(f"on the digits routing {found[0].routing_accuracy:.1%}")
    if result.accuracy is not None:
        read = ", ".join(f"{name} {share:.1%}" for name, share in result.accuracy.items())
        words.append(f"read right: {read}")
    return words


def chains(words: list[str]) -> int:
    """Measures how well mechanisms applied one after the other are undone."""
    command = parse(Chains, words)
    run = RunStore(command.where.store).open(command.run)
    config = run.config()
    if not 1 <= command.depth <= len(config.mechanisms):
        raise UsageError(
            f"--depth is {command.depth}; use 1 to {len(config.mechanisms)}, the mechanisms of the run"
        )
    at_least_one("--most", command.most)
    at_least_one("--images", command.images)

    from icm.images.digits import data_root
    from icm.measure.chains import UNDONE, chains_of_run

    step = run.snapshots.newest_unless(command.step)
    root = data_root(command.where.data_root)
    found, images = chains_of_run(run, root, step, command.depth, command.most, command.images)
    console = Console(markup=False)
    console.print(_by_chain(found))
    undone = sum(each.undone for each in found) / len(found)
    console.print(
        f"{len(found)} chains of {command.depth}, {images} digits each: {undone:.1%} undone, to {UNDONE:.0f} dB and more"
    )
    if command.out is not None:
        same = {"run": run.id, "step": step, "images": images, "undone_from_dB": UNDONE}
        result = {
            **same,
            "command": command_line(config),
            "date": date.today().isoformat(),
            "chains": {**_chains_in(command.out, same), str(command.depth): [asdict(each) for each in found]},
        }
        write_result(command.out, result)
    return 0


def _chains_in(out: Path, same: dict[str, Any]) -> dict[str, Any]:
    """The chains in an earlier result, by depth; none where it says anything else of these things."""
    before = files.read_json(out, "move it away") if out.exists() else {}
    return before.get("chains", {}) if all(before.get(name) == value for name, value in same.items()) else {}


def clothes(words: list[str]) -> int:
    """Measures why experts of digits fail on clothes."""
    command = parse(Clothes, words)
    run = RunStore(command.where.store).open(command.run)
    at_least_one("--images", command.images)

    from icm.images.digits import data_root
    from icm.measure.clothes import why

    step = run.snapshots.newest_unless(command.step)
    found = why(run, data_root(command.where.data_root), step, command.images)
    Console(markup=False).print(_by_change(found))
    if command.out is not None:
        versions: dict[str, list[dict[str, Any]]] = {}
        for each in found:
            look = {name: round(value, 3) for name, value in asdict(each.look).items()}
            versions.setdefault(each.of, []).append(
                {"change": each.change, **look, **each.figures, **each.doubt}
            )
        result = {
            "run": run.id,
            "command": command_line(run.config()),
            "step": step,
            "images": found[0].images,
            "date": date.today().isoformat(),
            "versions": versions,
        }
        write_result(command.out, result)
    return 0


def write_result(out: Path, result: dict[str, Any]) -> None:
    """Writes JSON, and makes the folder that it lies in."""
    with files.on_disk(out, "written"):
        out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(out, result)


def _by_change(found: "Sequence[Version]") -> Table:
    """A line for each set after each change."""
    table = Table(
        "of",
        "change",
        "size",
        "ink",
        "bright",
        "texture",
        "owner",
        "dB",
        box=None,
    )
    for each in found:
        look, figures = each.look, each.figures
        table.add_row(
            each.of,
            each.change,
            *(f"{value:.2f}" for value in (look.size, look.ink, look.brightness, look.texture)),
            f"{figures['routing_accuracy']:.1%}",
            f"{figures['psnr_owner'] - figures['psnr_nothing']:.1f}",
        )
    return table


def _by_chain(found: "list[Chain]") -> Table:
    """A line for each chain, the worst first."""
    table = Table("chain", "undone", "dB", "nothing, dB", "rounds", "read right", box=None)
    for each in sorted(found, key=lambda each: each.undone):
        table.add_row(
            ", ".join(each.mechanisms),
            f"{each.undone:.0%}",
            f"{each.psnr:.1f}",
            f"{each.psnr_nothing:.1f}",
            f"{each.rounds:.1f}",
            "" if each.read is None else f"{each.read:.0%}",
        )
    return table


def data(words: list[str]) -> int:
    """Lists the sets of images, or downloads one."""
    command = parse(Data, words)

    from icm.images import sets
    from icm.images.digits import data_root
    from icm.images.download import download
    from icm.images.unseen import SETS

    root = data_root(command.where.data_root)
    if command.name is not None:
        download(command.name, root)
        print(f"{command.name} is under {root}")
        return 0
    print(f"data root: {root}")
    for name, kind in SETS.items():
        print(f"{name:10} {sets.in_words(name, root)}: {kind.title}")
    return 0


def speed(words: list[str]) -> int:
    """Times every preset on this machine."""
    command = parse(Speed, words)

    from icm.images.digits import data_root
    from icm.jobs.pace import measure_pace

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
            print(f"{name}: about {seconds:.0f} s")
    return 0


def export(words: list[str]) -> int:
    """Makes a run small enough to ship, or a moving picture of it."""
    command = parse(Export, words)
    run = RunStore(command.where.store).open(command.run)
    if command.to is not None:
        if command.out is not None or command.steps:
            raise UsageError(
                "--to makes a moving picture and takes no --out and no --steps; give one command for each"
            )
        return export_film(run, command.to)
    if command.out is None:
        raise UsageError(
            "neither --to nor --out is given; use --to film.webp for a moving picture, --out for a folder to ship"
        )
    at_least_one("--images", command.images)

    from icm.images.digits import data_root
    from icm.jobs import export as shipping

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


def export_film(run: Run, to: Path) -> int:
    """Writes the moving picture of a run."""
    if to.suffix != ".webp":
        raise UsageError(f"--to is {to}; use a name that ends in .webp")

    from icm.show.moving import moving_picture

    picture = moving_picture(run)
    with files.on_disk(to, "written"):
        to.write_bytes(picture)
    print(f"run {run.id} is in {to}, {len(picture) / 1e6:.1f} MB")
    return 0
