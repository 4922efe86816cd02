"""What `icm chains` found of runs, and what is said of it: docs/results/chains/NAME.json. No torch, no Plotly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm import files
from icm.config import mechanism_name
from icm.show.results import RESULTS, read_each, trained_as

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

    def commands(self) -> list[str]:
        """What makes all of it again: the run, and its chains of each length."""
        chains = f"python -m icm chains {self.run} --images {self.images} --out docs/results/chains/{self.name}.json"
        of_each = (f"{chains} --depth {depth} --most {len(of)}" for depth, of in sorted(self.chains.items()))
        return [trained_as(self.command, self.run), *of_each]

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
    return "; ".join(
        _of_depth(depth, of_depth, each.undone_from) for depth, of_depth in sorted(each.chains.items())
    )


def _of_depth(depth: int, of_depth: Sequence[Mapping[str, Any]], undone_from: float) -> str:
    """Of those chains that leave something to undo: to the right and to the left is back where it was."""
    changed = [chain for chain in of_depth if chain["psnr_nothing"] < undone_from]
    cancel = len(of_depth) - len(changed)
    beside = f" ({cancel} more cancel{'s' if cancel == 1 else ''} out)" if cancel else ""
    chains = f"{len(changed)} chain{'' if len(changed) == 1 else 's'} of {depth}{beside}"
    if not changed:
        return chains
    worst = min(changed, key=lambda chain: chain["undone"])
    read = ""
    if all(chain.get("read") is not None for chain in changed):
        read = f", {_mean(changed, 'read'):.0%} read right"
    return (
        f"{chains}: {_mean(changed, 'undone'):.0%} of the digits come back{read}, {_mean(changed, 'psnr'):.1f} dB (doing nothing "
        f"{_mean(changed, 'psnr_nothing'):.1f}); least {', '.join(map(mechanism_name, worst['mechanisms']))}, {worst['undone']:.0%}"
    )


def _mean(chains: Sequence[Mapping[str, Any]], field: str) -> float:
    return sum(each[field] for each in chains) / len(chains)
