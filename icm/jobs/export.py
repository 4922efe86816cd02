"""Makes a trained run small enough to ship: some snapshots in half precision, its rows, its film, and a card of what was measured.

The card (card.json) is what a page says about the run: data, seed, date, versions and how many seeds were tried. Of the newest
snapshot it has who wins what, PSNR and the digit reader's figures, on the run's own digits and on other images. Of every
snapshot up to it, shipped or not, it has mean PSNR and routing on each set."""

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from icm import files
from icm.images.digits import named_source
from icm.images.mechanisms import parse
from icm.images.unseen import SETS, load_unseen
from icm.measure.evaluation import networks
from icm.measure.transfer import evaluate_sets, in_half, over_steps
from icm.presets import command_line
from icm.runs.errors import StoreError
from icm.runs.run import Run
from icm.runs.store import RunStore, store_root

USUAL = (0, 100, 300, 500, 1000, 2000)  # steps whose snapshots are shipped where none are named
KEPT = ("config.json", "environment.json", "status.json", "metrics.jsonl", "history.f8")
HALVING_MAY_COST = 0.1  # dB of PSNR, mean over mechanisms
MOST_ELSEWHERE = 1000  # images of each other set, each sent through every mechanism
# All that an earlier export may hold.
MADE = {*KEPT, "label.txt", "card.json", "snapshots", "film", "lock", "start.lock"}
OVER_STEPS_IMAGES = 32  # images of each set at every snapshot, each sent through every mechanism


def export(
    run: Run, folder: Path, root: Path, steps: Sequence[int], images: int, seeds_tried: str
) -> dict[str, Any]:
    """Writes the snapshots of `steps`, the rows and the settings to `folder` in place of an earlier export. Returns the card.

    Where `steps` is empty, these are `usual_steps`. The newest is measured on at most `images` images, every snapshot up to it on
    `OVER_STEPS_IMAGES`. StoreError when half precision would cost `HALVING_MAY_COST` or more, when the folder is not ours to
    replace, and while the run is being trained."""
    check_place(folder, run)
    check_ended(run)
    config, steps = run.config(), steps or usual_steps(run)
    mechanisms, newest = parse(config.mechanisms), max(steps)
    own = named_source(config.source)
    digits = load_unseen(own, root, "digits", images)
    (whole,) = evaluate_sets(*networks(config, run.snapshots.read(newest)), mechanisms, [digits])
    halves = {step: in_half(run.snapshots.read(step)) for step in steps}
    others = [name for name, kind in SETS.items() if kind.here(root) and name not in ("mnist", "builtin")]
    unseen = [load_unseen(name, root, "digits", min(images, MOST_ELSEWHERE)) for name in others]
    shipped, *elsewhere = evaluate_sets(*networks(config, halves[newest]), mechanisms, [digits, *unseen])
    cost = abs(float(np.mean(whole.psnr)) - float(np.mean(shipped.psnr)))
    earlier = run.card()
    if earlier is not None:
        # The run is itself an export: its networks are in half precision already, and the cost was measured then.
        cost, seeds_tried = earlier["half_precision_costs_dB"], earlier["seeds_tried"]
    if cost >= HALVING_MAY_COST:
        raise StoreError(f"half precision costs run {run.id} {cost:.2f} dB; export fewer snapshots whole")

    environment = run.environment()
    card = {
        "command": command_line(config),
        "seed": config.seed,
        "seeds_tried": seeds_tried,
        "data": config.source,
        "date": date.today().isoformat(),
        "threads": environment["threads"],
        "packages": environment["packages"],
        "step": newest,
        "images": len(digits.pixels),
        "half_precision_costs_dB": round(cost, 4),
        "digits": shipped.to_json(),
        "elsewhere": {name: found.to_json() for name, found in zip(others, elsewhere)},
        "over_steps_images": OVER_STEPS_IMAGES,
        "over_steps": over_steps(run, newest, [own, *others], root, OVER_STEPS_IMAGES, halved=True),
    }
    _write(run, folder, halves, card)
    return card


def usual_steps(run: Run) -> list[int]:
    """The newest snapshot, and those of `USUAL` that the run has."""
    usual = set(USUAL) & set(run.snapshots.steps())
    return sorted({*usual, run.snapshots.newest_unless(None)})


def check_ended(run: Run) -> None:
    """StoreError while the run is being trained: status, rows and film would be of different moments."""
    if run.trainer.is_alive():
        raise StoreError(f"run {run.id} is being trained; stop it, or export it when it has ended")


def check_place(folder: Path, run: Run) -> None:
    """StoreError unless the folder is missing, empty or an earlier export. It may lie in no store of runs and contain none."""
    place = folder.resolve()
    stores = {run.folder.parent.resolve(), store_root().resolve()}
    inside = [each for each in (place, *place.parents) if each in stores or _holds_runs(each)]
    if inside:
        raise StoreError(f"{folder} lies in {inside[0]}, a store of runs; choose an --out elsewhere")
    if any(place in store.parents for store in stores):
        raise StoreError(f"{folder} contains a store of runs; choose an --out elsewhere")
    with files.on_disk(folder, "read"):
        found = set(os.listdir(folder)) if os.path.lexists(folder) else set()
    if found and not ("card.json" in found and found <= MADE):
        raise StoreError(f"{folder} is not empty and no earlier export; choose an empty or a new --out")


def _holds_runs(folder: Path) -> bool:
    """Whether the folder holds runs other than exports."""
    runs = [run.folder for run in RunStore(folder).runs()]
    return any((run / "status.json").is_file() and not (run / "card.json").exists() for run in runs)


def _copy(file: Path, folder: Path) -> None:
    """Copies the file into the folder. FileError where it is a link, which may lead anywhere."""
    with files.on_disk(file, "read"):
        content = files.read_bytes(file)
    with files.on_disk(folder, "written"):
        (folder / file.name).write_bytes(content)


def _write(
    run: Run, folder: Path, snapshots: Mapping[int, dict[str, np.ndarray]], card: dict[str, Any]
) -> None:
    """Writes a folder beside `folder`, then renames it. So an export that fails leaves an earlier one as it was."""
    folder = folder.resolve()
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    before = beside.with_suffix(".old")
    try:
        with files.on_disk(folder, "written"):
            (beside / "snapshots").mkdir(parents=True)
            (beside / "film").mkdir()
        check_ended(run)  # minutes have passed, and somebody may have gone on with it
        for name in sorted(run.film.names()):
            _copy(run.film.folder / f"{name}.webp", beside / "film")
        for name in KEPT:
            if name != "history.f8" or run.rows.history_file.exists():  # without it the rows are read
                _copy(run.folder / name, beside)
        made = Run(beside)
        made.rename("shipped with the project")
        made.write_environment(
            {**run.environment(), "command": card["command"]}
        )  # theirs may name places of one machine
        for step, arrays in snapshots.items():
            made.snapshots.save(step, arrays)
        made.write_card(card)
        check_place(folder, run)  # minutes have passed, and somebody may have put something there
        with files.on_disk(folder, "written"):
            try:
                if folder.exists():
                    folder.rename(before)
                beside.rename(folder)
            finally:
                if before.exists() and not folder.exists():  # interrupted between the two renames
                    before.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
