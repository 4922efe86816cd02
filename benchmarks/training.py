"""How fast is training? Ours against the textbook loop, in turn, in one run; or ours alone over more experts and larger batches.

    python -m benchmarks.training                 a table, `ratio MEDIAN (MIN-MAX)`, and the time to ten of ten
    python -m benchmarks.training --scaling       steps and memory over experts and batch, with a plot in docs/images/

Where the networks have the size of the paper's, both start from those of the run in the box: there the wins are spread over all
experts. Of fresh networks one wins nearly everything, which flatters a form in which only winners run again.

A step of ours draws the batch, applies the mechanisms, plays the round and judges the answers. A run also writes rows."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.textbook import Textbook
from icm.config import RunConfig
from icm.files import PROJECT
from icm.images.batches import generator_for
from icm.images.digits import data_root, resolve_source
from icm.jobs.prepare import new_learner
from icm.jobs.session import judge
from icm.method import training
from icm.method.engine import choose_device, choose_engine, set_arithmetic
from icm.method.weights import load_weights
from icm.presets import preset
from icm.runs.run import SHIPPED
from icm.runs.store import RunStore

SCALING_EXPERTS = (5, 10, 20, 50, 100)
SCALING_BATCH = (32, 64, 128, 256, 512, 1024)
NEVER = 2000  # steps that a run counts which never gets to ten of ten
PLOT = Path(__file__).parents[1] / "docs" / "images" / "scaling.png"


@dataclass(frozen=True)
class Contestants:
    """Ours and the textbook loop, made ready to be timed."""

    ours: Callable[[], None]  # one step
    textbook: Callable[[], None]  # one step
    engine: str  # what ours is computed with, in words
    specialised: bool  # whether both start from the run in the box


def contestants(config: RunConfig) -> Contestants:
    """Both draw the batch of their step, as a run does. The textbook loop has the norm of ours, and every answer a gradient."""
    device = choose_device(config.device)
    engine = choose_engine(device, config.arithmetic)
    set_arithmetic(engine, device)
    root = data_root()
    config = replace(config, source=resolve_source(config.source, root))
    state, draw, _ = new_learner(config, root, device, engine)
    training.start_competition(state, config.identity, generator_for(config.seed, "perturbation"))
    shipped = RunStore(PROJECT / "checkpoints").open(SHIPPED)
    sizes = [replace(each.model, statistics="batch", others=0) for each in (config, shipped.config())]
    specialised = sizes[0] == sizes[1]
    if specialised:
        arrays = shipped.snapshots.read(shipped.snapshots.steps()[-1])
        load_weights(state.experts, state.discriminator, arrays)
    textbook = Textbook(config.model, config.training.learning_rate, device, config.model.norm)
    textbook.take_weights(state.experts, state.discriminator)
    played = count()

    def ours() -> None:
        batch = draw("batch", state.step, config.training.batch)
        judge(batch, training.train_step(state, batch.canonical, batch.transformed))

    def theirs() -> None:
        batch = draw("batch", next(played), config.training.batch)
        textbook.step(batch.canonical, batch.transformed)

    words = f"{device}, {torch.get_num_threads()} threads, {asdict(engine)}"
    return Contestants(ours, theirs, words, specialised)


def seconds(step: Callable[[], None], steps: int, device: str) -> float:
    """Seconds that one step takes, the mean over `steps`."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def compare(config: RunConfig, alternations: int, steps: int, out: Path | None) -> None:
    """Prints the table, the ratio and, for preset robust as it is, the time to ten of ten; writes JSON to `out`."""
    both = contestants(config)
    for step in (both.ours, both.textbook):
        step()  # not timed: the first step of each also allocates
    rows = []
    for _ in range(alternations):
        mine, textbook = (seconds(step, steps, config.device) for step in (both.ours, both.textbook))
        rows.append({"ours": mine, "textbook": textbook, "ratio": textbook / mine})

    model = config.model
    state = "specialised" if both.specialised else "fresh networks"
    title = (
        f"{model.experts} experts of {model.filters} filters, norm {model.norm}, statistics {model.statistics}, "
        f"batch {config.training.batch}, {state}; {both.engine}"
    )
    table = Table("turn", "ours, ms", "textbook, ms", "ratio", title=title)
    for turn, row in enumerate(rows, start=1):
        cells = (f"{1000 * row['ours']:.0f}", f"{1000 * row['textbook']:.0f}", f"{row['ratio']:.2f}")
        table.add_row(str(turn), *cells)
    Console().print(table)
    if out:
        found = {"engine": both.engine, "specialised": both.specialised, "turns": rows}
        out.write_text(json.dumps(found, indent=1))
    ratios = [row["ratio"] for row in rows]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    if replace(config, device="auto") == preset("robust"):
        print(
            to_ten_of_ten(
                config, *(statistics.median(row[name] for row in rows) for name in ("ours", "textbook"))
            )
        )


def to_ten_of_ten(config: RunConfig, ours: float, textbook: float) -> str:
    """Ours, from the command on: start, identity phase, and as many steps of `ours` seconds as the study `robust` needed on
    average. The textbook loop: steps of `textbook` seconds alone, as many as `paper` needed in its study."""
    robust, paper = (mean_first_step(study) for study in ("robust", "paper"))
    if robust is None or paper is None:
        return "time to ten of ten: docs/results has no study of robust and paper yet"
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        words = ["--preset", "robust", "--training.steps", "1", "--device", config.device, "--store", folder]
        subprocess.run([sys.executable, "-m", "icm", "train", *words], check=True, capture_output=True)
        start = time.perf_counter() - started
    mine, theirs = start + robust * ours, paper * textbook
    return (
        f"time to ten of ten: {mine:.0f} s from the command ({start:.0f} s to the first step, then {robust:.0f} steps), "
        f"textbook loop {theirs:.0f} s ({paper:.0f} steps): {theirs / mine:.1f} times as long"
    )


def mean_first_step(study: str) -> float | None:
    """Mean over the study's seeds of the first step from which ten of ten held; never counts as 2,000. None without a study."""
    path = PROJECT / "docs" / "results" / f"{study}.json"
    if not path.exists():
        return None
    runs = json.loads(path.read_text())["variants"][study]["runs"]
    return statistics.mean(NEVER if run["first_step"] is None else run["first_step"] for run in runs)


def measure(config: RunConfig, steps: int) -> dict[str, float]:
    """Ours alone: the median of seconds a step, and the most memory that the process has held, or torch's tensors on a GPU."""
    ours = contestants(config).ours
    ours()
    each = statistics.median(seconds(ours, 1, config.device) for _ in range(steps))
    on_card = config.device == "cuda"
    held = (
        torch.cuda.max_memory_allocated()
        if on_card
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {"seconds": each, "memory_mb": held / 1e6}


def scale(config: RunConfig, steps: int, out: Path | None) -> None:
    """Measures, prints and plots ours at each size. Each has a process of its own, so that the memory is its own too."""
    rows = []
    sizes = [(experts, 32) for experts in SCALING_EXPERTS] + [(10, batch) for batch in SCALING_BATCH[1:]]
    for experts, batch in sizes:
        words = ["--experts", experts, "--batch", batch, "--steps", steps]
        words += ["--filters", config.model.filters, "--preset", config.preset]
        words += ["--arithmetic", config.arithmetic]
        command = [sys.executable, "-m", "benchmarks.training", "--device", config.device, "--single"]
        done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=True)
        rows.append({"experts": experts, "batch": batch, **json.loads(done.stdout.splitlines()[-1])})
        print(
            f"{experts:4} experts, batch {batch:4}: {1000 * rows[-1]['seconds']:7.0f} ms a step, {rows[-1]['memory_mb']:6.0f} MB"
        )
    if out:
        out.write_text(json.dumps(rows, indent=1))
    plot(rows, PLOT)


def plot(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    chosen = ([row for row in rows if row["batch"] == 32], [row for row in rows if row["experts"] == 10])
    for panel, part, by, title in zip(panels, chosen, ("experts", "batch"), ("batch 32", "10 experts")):
        sizes, times = [row[by] for row in part], [row["seconds"] for row in part]
        panel.loglog(sizes, times, "o-", color="#3f90da", label="measured")
        linear = [times[0] * size / sizes[0] for size in sizes]
        panel.loglog(sizes, linear, ":", color="#94a4a2", label="in proportion to the first")
        for size, value, row in zip(sizes, times, part):
            panel.annotate(
                f"{row['memory_mb'] / 1000:.1f} GB",
                (size, value),
                textcoords="offset points",
                xytext=(6, -10),
                fontsize=8,
            )
        panel.set(xlabel=by, ylabel="seconds a step", title=title, xticks=sizes, xticklabels=map(str, sizes))
        panel.minorticks_off()
        panel.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(
    device: str = "cpu",
    experts: int = 10,
    filters: int = 32,
    batch: int = 32,
    preset_name: Annotated[Literal["paper", "robust"], tyro.conf.arg(name="preset")] = "robust",
    arithmetic: Literal["exact", "fast"] = "fast",
    alternations: int = 5,
    steps: int = 4,
    scaling: bool = False,
    single: bool = False,
    out: Path | None = None,
) -> None:
    """How fast is training, against the textbook loop or over sizes?

    Args:
        device: cpu, cuda or mps.
        preset_name: whose norm and statistics ours has.
        arithmetic: of ours.
        alternations: turns of each.
        steps: steps in a turn.
        scaling: ours alone over experts and batch.
        single: ours alone at one size; prints JSON.
        out: file for the figures as JSON.
    """
    base = preset(preset_name)
    config = replace(
        base,
        device=device,
        arithmetic=arithmetic,
        model=replace(base.model, experts=experts, filters=filters),
        training=replace(base.training, batch=batch),
    )
    if single:
        print(json.dumps(measure(config, steps)))
    elif scaling:
        scale(config, steps, out)
    else:
        compare(config, alternations, steps, out)


if __name__ == "__main__":
    tyro.cli(main)
