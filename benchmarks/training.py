"""How fast is training? Ours against the textbook loop, in turn, in one run; or ours alone over more experts and larger batches.

    python -m benchmarks.training                 a table, and at the end `ratio MEDIAN (MIN-MAX)`
    python -m benchmarks.training --scaling       steps and memory over experts and batch, with a plot in docs/images/

A step of ours draws the batch, applies the mechanisms, plays the round and judges the answers. A run also writes rows."""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.textbook import Textbook
from icm.config import RunConfig, preset
from icm.images.batches import generator_for
from icm.images.digits import data_root, resolve_source
from icm.jobs.prepare import new_learner
from icm.jobs.session import judge
from icm.method import training
from icm.method.engine import choose_device, choose_engine, set_arithmetic

SCALING_EXPERTS = (5, 10, 20, 50, 100)
SCALING_BATCH = (32, 64, 128, 256, 512, 1024)
PLOT = Path(__file__).parents[1] / "docs" / "images" / "scaling.png"


def steps_of(config: RunConfig) -> tuple[Callable[[], None], Callable[[], None], str]:
    """A function for one step of ours, one for one step of the textbook loop, and what ours is computed with, in words.

    Ours draws the batch of its step, as a run does. The textbook loop draws batch 0 each time, and its norm is always batch."""
    device = choose_device(config.device)
    engine = choose_engine(device, config.arithmetic)
    set_arithmetic(engine, device)
    root = data_root()
    config = replace(config, source=resolve_source(config.source, root))
    state, draw = new_learner(config, root, device, engine)
    training.start_competition(state, config.identity, generator_for(config.seed, "perturbation"))
    textbook = Textbook(config.model, config.training.learning_rate, device)

    def ours() -> None:
        batch = draw("batch", state.step, config.training.batch)
        judge(batch, training.train_step(state, batch.canonical, batch.transformed))

    def theirs() -> None:
        batch = draw("batch", 0, config.training.batch)
        textbook.step(batch.canonical, batch.transformed)

    return ours, theirs, f"{device}, {torch.get_num_threads()} threads, {asdict(engine)}"


def seconds(step: Callable[[], None], steps: int, device: str) -> float:
    """Seconds that one step takes, the mean over `steps`."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def compare(config: RunConfig, alternations: int, steps: int, out: Path | None) -> None:
    """Prints the table and the ratio; writes JSON to `out`."""
    ours, theirs, engine = steps_of(config)
    for step in (ours, theirs):
        step()  # not timed: the first step of each also allocates
    rows = []
    for _ in range(alternations):
        mine, textbook = (seconds(step, steps, config.device) for step in (ours, theirs))
        rows.append({"ours": mine, "textbook": textbook, "ratio": textbook / mine})

    model = config.model
    title = f"{model.experts} experts of {model.filters} filters, batch {config.training.batch}; {engine}"
    table = Table("turn", "ours, ms", "textbook, ms", "ratio", title=title)
    for turn, row in enumerate(rows, start=1):
        cells = (f"{1000 * row['ours']:.0f}", f"{1000 * row['textbook']:.0f}", f"{row['ratio']:.2f}")
        table.add_row(str(turn), *cells)
    Console().print(table)
    if out:
        out.write_text(json.dumps({"engine": engine, "turns": rows}, indent=1))
    ratios = [row["ratio"] for row in rows]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def measure(config: RunConfig, steps: int) -> dict[str, float]:
    """Ours alone: the median of seconds a step, and the most memory that the process has held, or torch's tensors on a GPU."""
    ours, _, _ = steps_of(config)
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
        words += ["--filters", config.model.filters, "--norm", config.model.norm]
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
    norm: Literal["none", "group", "batch"] = "none",
    alternations: int = 5,
    steps: int = 4,
    scaling: bool = False,
    single: bool = False,
    out: Path | None = None,
) -> None:
    """How fast is training, against the textbook loop or over sizes?

    Args:
        device: cpu, cuda or mps.
        norm: of the experts; batch is what the preset has and needs every answer with gradient.
        alternations: turns of each.
        steps: steps in a turn.
        scaling: ours alone over experts and batch.
        single: ours alone at one size; prints JSON.
        out: file for the figures as JSON.
    """
    paper = preset("paper")
    config = replace(
        paper,
        device=device,
        model=replace(paper.model, experts=experts, filters=filters, norm=norm),
        training=replace(paper.training, batch=batch),
    )
    if single:
        print(json.dumps(measure(config, steps)))
    elif scaling:
        scale(config, steps, out)
    else:
        compare(config, alternations, steps, out)


if __name__ == "__main__":
    tyro.cli(main)
