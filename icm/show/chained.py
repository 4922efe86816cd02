"""What `icm chains` found of runs, and what is said of it: docs/results/chains/NAME.json. No torch, no Plotly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm import files
from icm.config import mechanism_name
from icm.show.results import RESULTS, read_each

CHAINS = RESULTS / "chains"
REMEDY = "measure it again with icm chains, or put back a copy of it"
NUMBERS = ("psnr", "psnr_nothing", "undone", "rounds")  # that every chain has


@dataclass(frozen=True)
class Chained:
    """How well chains of mechanisms are undone by the experts of one run."""

    name: str
    run: str
    command: str  # that trained the run
    images: int  # of each chain
    undone_from: float  # dB to the original
    date: str
    chains: dict[int, list[dict[str, Any]]]  # by how many mechanisms they have

    def mean(self, depth: int, field: str) -> float:
        of_depth = self.chains[depth]
        return sum(each[field] for each in of_depth) / len(of_depth)

    def pairs(self) -> tuple[list[str], list[list[float | None]]]:
        """The mechanisms, and the share undone by first mechanism, then second; None where a pair was not measured."""
        of_two = {tuple(each["mechanisms"]): float(each["undone"]) for each in self.chains.get(2, [])}
        names = list(dict.fromkeys(first for first, _ in of_two))
        return names, [[of_two.get((first, second)) for second in names] for first in names]


def read(folder: Path = CHAINS) -> list[Chained]:
    """Every run whose chains were measured. ResultsError for a file that cannot be shown."""
    return read_each(folder, _read_one, "chains", REMEDY)


def _read_one(name: str, result: Mapping[str, Any]) -> Chained:
    chains = {int(depth): list(of_depth) for depth, of_depth in result["chains"].items()}
    for each in (each for of_depth in chains.values() for each in of_depth):
        for field in NUMBERS:
            if not files.is_number(each[field]):
                raise TypeError(f"{field} is {each[field]!r}")
    return Chained(
        name,
        str(result["run"]),
        str(result["command"]),
        int(result["images"]),
        float(result["undone_from_dB"]),
        str(result["date"]),
        chains,
    )


def in_words(each: Chained) -> str:
    """For each depth how many come back, and which chain comes back least."""
    return "; ".join(_of_depth(each, depth, of_depth) for depth, of_depth in sorted(each.chains.items()))


def _of_depth(each: Chained, depth: int, of_depth: Sequence[Mapping[str, Any]]) -> str:
    worst = min(of_depth, key=lambda chain: chain["undone"])
    read = ""
    if all(chain.get("read") is not None for chain in of_depth):
        read = f", {each.mean(depth, 'read'):.0%} read right"
    return (
        f"{len(of_depth)} chain{'s' if len(of_depth) > 1 else ''} of {depth}: {each.mean(depth, 'undone'):.0%} of the digits come back{read}, {each.mean(depth, 'psnr'):.1f} dB "
        f"(doing nothing {each.mean(depth, 'psnr_nothing'):.1f}); least {', '.join(map(mechanism_name, worst['mechanisms']))}, {worst['undone']:.0%}"
    )
