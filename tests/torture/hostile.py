"""Hostile pictures are opened as the Draw page opens them: each becomes an array or one sentence, soon and in little memory."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icm.images.sketch import LONGEST, PictureError, canonical, open_picture
from tests.torture.ground import Ground
from tests.torture.hostile_pictures import pictures
from tests.torture.rows import Row, Tally

MARKS = ("neither a picture nor a sentence", "over a second", "over 256 MB", "the process died")
NEITHER, SLOW, LARGE, DIED = MARKS
SECONDS, MEGABYTES = 1.0, 256


def trial(place: Ground, count: int) -> Row:
    """`count` pictures, in a process of their own: a decoder may die."""
    tally = Tally.of("pictures", *MARKS)
    ended = place.forks.start("open_pictures", str(count)).wait(600)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    if ended.code != 0 or len(rows) != count:
        tally.miss(DIED, f"after {len(rows)} of {count}: exit code {ended.code} {' '.join(ended.lines[-1:])}")
    for row in rows:
        tally.cases += 1
        if row["error"]:
            tally.miss(NEITHER, f"{row['name']}: {row['error']}")
        if row["seconds"] > SECONDS:
            tally.miss(SLOW, f"{row['name']}: {row['seconds']:.1f} s")
        if row["megabytes"] > MEGABYTES:
            tally.miss(LARGE, f"{row['name']}: {row['megabytes']} MB")
    if rows:
        tally.figures["opened"] = sum(row["opened"] for row in rows)
        tally.figures["slowest, seconds"] = round(max(row["seconds"] for row in rows), 2)
        tally.figures["largest, MB"] = max(row["megabytes"] for row in rows)
    return tally.row()


def open_pictures(words: Sequence[str]) -> int:
    """Opens as many as `words[0]` says; a line of JSON for each."""
    for name, data in pictures(int(words[0])):
        before, begun = _forget_peak(), time.process_time()
        opened, error = False, ""
        try:
            grey = open_picture(data)
            opened = True
            if not (0 <= grey.min() <= grey.max() <= 1 and max(grey.shape) <= LONGEST):
                error = f"{grey.shape}, {grey.min()} to {grey.max()}"
            elif not np.isfinite(canonical(grey)).all():
                error = "what the networks would see is not finite"
        except PictureError as refusal:
            error = "" if "\n" not in str(refusal) else f"two lines: {refusal}"
        except BaseException as other:  # whatever a decoder throws is counted
            error = f"{type(other).__name__}: {other}"
        seconds, megabytes = time.process_time() - begun, (_kilobytes("VmHWM") - before) // 1024
        row = {"name": name, "opened": opened, "seconds": seconds, "megabytes": megabytes, "error": error}
        print(json.dumps(row), flush=True)
    return 0


def _forget_peak() -> int:
    """The memory in use now, in kilobytes, from which the peak is counted anew; 0 where the system does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _kilobytes("VmRSS")


def _kilobytes(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
