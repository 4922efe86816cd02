"""The command study: many runs over many seeds, measured and summed up.

torch takes seconds to import, so it is imported inside the command, after its options are checked."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from icm.cli.options import Study
from icm.cli.terminal import catch_signals
from icm.cli.words import UsageError, at_least_one, parse
from icm.runs.store import RunStore

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.jobs.study import Progress

MOST_SEEDS = 10_000


def study(words: list[str]) -> int:
    """Runs a study: a table of settings over many seeds."""
    command = parse(Study, words)
    at_least_one("--workers", command.workers)
    if command.on not in ("local", "ray") and not command.on.startswith("ray://"):
        raise UsageError(
            f"--on is {command.on!r}; use local, ray, or the address of a cluster, ray://HOST:PORT"
        )
    seeds, signals = seeds_of(command.seeds), catch_signals()

    from icm.images.digits import data_root
    from icm.jobs import study as studies
    from icm.jobs.on_ray import tasks

    store, root = RunStore(command.where.store), data_root(command.where.data_root)
    console, findings = Console(markup=False), []
    asked = studies.Study(command.name, seeds, store, root, command.only, lambda: bool(signals))
    here = command.on == "local"
    with (
        studies.threads(asked, command.workers)
        if here
        else tasks(asked, command.on, command.workers) as submit
    ):
        for progress in asked.run(submit, command.workers):
            findings.append(progress.finding)
            console.print(_in_words(progress), soft_wrap=True)
    result = studies.write_results(command.name, findings, command.out or studies.RESULTS)
    console.print(_table(result))
    return 0


def seeds_of(words: str) -> list[int]:
    """`0:20` is 0 to 19; `3,7,11` is these three. UsageError for anything else."""
    try:
        first, colon, end = words.partition(":")
        seeds = range(int(first), int(end)) if colon else [int(each) for each in words.split(",")]
    except ValueError:
        seeds = []
    if seeds[MOST_SEEDS:]:
        raise UsageError(f"--seeds is {words!r}; use at most {MOST_SEEDS:,} seeds")
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds is {words!r}; use a range such as 0:20, or seeds such as 3,7,11")
    return list(seeds)


def _in_words(progress: "Progress") -> str:
    found, left = progress.finding, progress.seconds_left
    how = "one-to-one" if found.one_to_one else "not one-to-one"
    since = "never" if found.first_step is None else f"step {found.first_step}"
    time_left = "" if left is None else f", about {timedelta(seconds=round(left))} left"
    return (
        f"{progress.done} of {progress.of}: {found.run} {how}, from {since}, "
        f"routing {found.routing:.1%}, {found.psnr:.1f} dB, {found.seconds:.0f} s{time_left}"
    )


def _table(result: dict[str, Any]) -> Table:
    table = Table("variant", "one-to-one", "95 %", "first step, median", "routing", "PSNR, dB", box=None)
    for name, each in result["variants"].items():
        found = each["summary"]
        low, high = found["one_to_one_interval"]
        first = found["first_step_median"]
        table.add_row(
            name,
            f"{found['one_to_one']} of {found['runs']}",
            f"{low:.0%} to {high:.0%}",
            "never" if first is None else f"{first:.0f}" + _between(found["first_step_median_interval"], "g"),
            f"{found['routing_mean']:.1%}",
            f"{found['psnr_mean']:.2f}" + _between(found["psnr_mean_interval"], ".2f"),
        )
    return table


def _between(interval: list[float] | None, form: str) -> str:
    return "" if interval is None else f" ({interval[0]:{form}} to {interval[1]:{form}})"
