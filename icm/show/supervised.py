"""What `icm supervised` found, and what is said of it: docs/results/supervised/NAME.json. No torch, no Plotly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from icm import files
from icm.config import PAPER_MECHANISMS, mechanism_name
from icm.show.results import LEAST_GAIN, RESULTS, read_each

SUPERVISED = RESULTS / "supervised"
REMEDY = "measure it again with icm supervised, or put back a copy of it"

# Who brings a mechanism back: by whether the taught network does, and whether the experts do.
WHO = {
    (True, True): "both bring back",
    (True, False): "only the taught network brings back",
    (False, True): "only the experts bring back",
    (False, False): "neither brings back",
}

Quality = Mapping[str, Sequence[float]]  # dB of the winners' answers by mechanism, one for each run


@dataclass(frozen=True)
class Supervised:
    """How well networks that are taught with pairs undo each mechanism, in dB to the originals."""

    name: str
    command: str
    steps: int
    batch: int  # pairs a step
    images: int  # of each mechanism
    date: str
    psnr: dict[str, float]  # by mechanism
    psnr_nothing: dict[str, float]


def read(folder: Path = SUPERVISED) -> list[Supervised]:
    """Every measurement of taught networks. ResultsError for a file that cannot be shown."""
    return read_each(folder, _read_one, "taught networks", REMEDY)


def _read_one(name: str, result: Mapping[str, Any]) -> Supervised:
    mechanisms = result["mechanisms"]
    for each in mechanisms.values():
        for field in ("psnr", "psnr_nothing"):
            if not files.is_number(each[field]):
                raise TypeError(f"{field} is {each[field]!r}")
    return Supervised(
        name,
        str(result["command"]),
        int(result["steps"]),
        int(result["batch"]),
        int(result["images"]),
        str(result["date"]),
        {mechanism: each["psnr"] for mechanism, each in mechanisms.items()},
        {mechanism: each["psnr_nothing"] for mechanism, each in mechanisms.items()},
    )


def of_experts(results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Quality]:
    """By study what the competing experts reach: with the paper's mechanisms, and with each other one beside three of these."""
    found: dict[str, dict[str, list[float]]] = {}
    for study in ("paper", "robust", "extended"):
        for variant, each in results.get(study, {}).get("variants", {}).items():
            for quality in (run["quality"] for run in each["runs"] if run.get("quality") is not None):
                own = {variant: quality[-1]} if study == "extended" else dict(zip(PAPER_MECHANISMS, quality))
                for mechanism, value in own.items():
                    found.setdefault(study, {}).setdefault(mechanism, []).append(value)
    return found


def in_words(each: Supervised, experts: Mapping[str, Quality]) -> list[str]:
    """Which mechanisms come back, by at least `LEAST_GAIN` dB in the mean: from the taught network and the experts, from one, from none."""
    kinds: dict[tuple[bool, bool], list[str]] = {}
    for mechanism, psnr in each.psnr.items():
        nothing = each.psnr_nothing[mechanism]
        reached = [mean(quality[mechanism]) for quality in experts.values() if mechanism in quality]
        if not reached:
            continue
        kind = (psnr - nothing >= LEAST_GAIN, max(reached) - nothing >= LEAST_GAIN)
        kinds.setdefault(kind, []).append(mechanism_name(mechanism))
    return [f"{who} {', '.join(kinds[kind])}" for kind, who in WHO.items() if kind in kinds]
