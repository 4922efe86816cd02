"""The trials by name, with the sizes of their full and their short form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from tests.torture import crashes, crowd, damage, disk, hostile, races, small_files, strangers
from tests.torture.ground import Ground
from tests.torture.rows import Row


@dataclass(frozen=True)
class Trial:
    """What is tried, and how often; both forms run the same code."""

    play: Callable[..., Row]
    full: dict[str, Any]
    short: dict[str, Any]
    browser: bool = False  # whether it needs one


TRIALS: dict[str, Trial] = {
    "crashes": Trial(
        crashes.trial,
        full={"kills": 200, "in_saves": 60, "in_creations": 20, "real": 10, "moments": 24},
        short={"kills": 6, "in_saves": 2, "in_creations": 1, "real": 0, "moments": 1},
    ),
    "disk": Trial(disk.trial, full={"names": None}, short={"names": disk.SHORT}),
    "damage": Trial(
        damage.trial,
        full={"changes": 480, "malformed": 92, "rows": 63},
        short={"changes": 40, "malformed": 10, "rows": 6},
    ),
    "small_files": Trial(
        small_files.trial,
        full={"names": None, "workers": 2},
        short={"names": small_files.SHORT, "workers": 1},
    ),
    "races": Trial(
        races.trial,
        full={"rounds": 20, "starters": 20, "turns": 100, "reading": 60.0},
        short={"rounds": 1, "starters": 8, "turns": 5, "reading": 3.0},
    ),
    "strangers": Trial(
        strangers.trial,
        full={"links_tried": 40, "labels": 20, "payloads": 19, "queries": 300},
        short={"links_tried": 4, "labels": 3, "payloads": 4, "queries": 20},
        browser=True,
    ),
    "pictures": Trial(hostile.trial, full={"count": 449}, short={"count": 30}),
    "crowd": Trial(
        crowd.trial,
        full={"tabs": 4, "clients": 16, "seconds": 300.0, "timed": True},
        short={"tabs": 2, "clients": 2, "seconds": 12.0, "timed": False},
        browser=True,
    ),
}


def run(place: Ground, name: str, short: bool, browser: Browser | None = None) -> Row:
    """Plays a trial in a store of its own."""
    trial = TRIALS[name]
    sizes = trial.short if short else trial.full
    if trial.browser:
        return trial.play(place.within(name), browser, **sizes)
    return trial.play(place.within(name), **sizes)
