"""What `icm clothes` found of runs, and what is said of it: docs/results/clothes/NAME.json. No torch, no Plotly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm import files
from icm.show.results import RESULTS, read_each

CLOTHES = RESULTS / "clothes"
REMEDY = "measure it again with icm clothes, or put back a copy of it"
AS_THEY_ARE = "as they are"
TITLES = {"fashion": "Clothes", "mnist": "Digits", "builtin": "Digits"}


@dataclass(frozen=True)
class Version:
    """A set of images after one change. All but `gained` in [0, 1]."""

    change: str
    routing: float  # share of the images that go to the owner of the mechanism
    gained: float  # dB of the owners' answers over doing nothing
    size: float  # longer side of the ink's box, as a part of the picture's
    ink: float  # part of the picture
    brightness: float  # of the ink


@dataclass(frozen=True)
class Clothes:
    """How clothes and digits fare in one run as they are, and after what makes each more like the other."""

    name: str
    run: str
    command: str  # that trained the run
    images: int  # of each set
    date: str
    versions: dict[str, list[Version]]  # by set

    def of(self, name: str, change: str) -> Version:
        """KeyError where the set has no such version."""
        return {each.change: each for each in self.versions[name]}[change]

    def title(self, name: str) -> str:
        return TITLES.get(name, name)


def read(folder: Path = CLOTHES) -> list[Clothes]:
    """Every run of which clothes were measured. ResultsError for a file that cannot be shown."""
    return read_each(folder, _read_one, "clothes", REMEDY)


def _read_one(name: str, result: Mapping[str, Any]) -> Clothes:
    versions = {of: [_version(each) for each in of_set] for of, of_set in result["versions"].items()}
    found = Clothes(
        name, str(result["run"]), str(result["command"]), int(result["images"]), str(result["date"]), versions
    )
    for of in versions:
        found.of(of, AS_THEY_ARE)
    return found


def _version(said: Mapping[str, Any]) -> Version:
    for field in ("routing_accuracy", "psnr_owner", "psnr_nothing", "size", "ink", "brightness"):
        if not files.is_number(said[field]):
            raise TypeError(f"{field} is {said[field]!r}")
    return Version(
        str(said["change"]),
        said["routing_accuracy"],
        said["psnr_owner"] - said["psnr_nothing"],
        said["size"],
        said["ink"],
        said["brightness"],
    )


def in_words(each: Clothes) -> str:
    """For each set how many images go to the owner as they are, and after the two changes that matter most."""
    return "; ".join(_of_set(each, name) for name in each.versions)


def _of_set(each: Clothes, name: str) -> str:
    before = each.of(name, AS_THEY_ARE)
    changed = [version for version in each.versions[name] if version is not before]
    changed.sort(key=lambda version: abs(version.routing - before.routing), reverse=True)
    said = [f"{each.title(name).lower()} {AS_THEY_ARE}: {before.routing:.0%} go to the owner"]
    return ", ".join([*said, *(f"{version.change}: {version.routing:.0%}" for version in changed[:2])])
