"""metrics.jsonl and history.f8 of a run that was killed half-way are damaged; then it is resumed.

It goes on to the networks of the unbroken run. What was lost of the rows is told: that a line is left out, that the rows of
some steps are lost, or that there are too many. A history that differs from the rows is made anew from them. Never a
traceback."""

import json
from collections.abc import Callable

import numpy as np

from icm.errors import ActionableError
from icm.runs.run import Run
from tests.torture import ground as on
from tests.torture.ground import Ground
from tests.torture.rows import Tally

MARKS = (
    "rows: traceback",
    "rows: not resumed",
    "rows: lost or changed without a word",
    "rows: other networks",
)
TRACEBACK, NOT_RESUMED, SILENT, NETWORKS = MARKS
TOLD = ("is left out", "are lost", "images more than")  # a resume prints these words in no other sentence

Change = Callable[[bytes], bytes]


def trial(tally: Tally, place: Ground, run: Run, whole: Run, count: int) -> None:
    from tests.torture.damage import copy_of

    cases = [(name, "metrics.jsonl", change) for name, change in metrics_changes().items()]
    cases += [(name, "history.f8", change) for name, change in history_changes().items()]
    chosen = [cases[index * len(cases) // count] for index in range(count)] if count < len(cases) else cases
    for name, file, change in chosen:
        tally.cases += 1
        copy = copy_of(place, run, "changed")
        path = copy.folder / file
        path.write_bytes(change(path.read_bytes()))
        _judge(tally, f"{file}, {name}", place, copy, whole)


def _judge(tally: Tally, name: str, place: Ground, run: Run, whole: Run) -> None:
    ended = place.resumed(run)
    if "Traceback" in ended.err:
        return tally.miss(TRACEBACK, f"{name}: {ended.lines[-1]}")
    if ended.code != 0:
        return tally.miss(NOT_RESUMED, f"{name}: {' '.join(ended.lines)}")
    ours, theirs = on.state_arrays(run), on.state_arrays(whole)
    if ours is None or theirs is None or not on.same_arrays(ours, theirs):
        tally.miss(NETWORKS, name)
    try:
        rows = on.rows_of(run)
        same = rows == on.rows_of(whole)
        fits = len(on.sums_of(run)) == len(rows)
        fits = fits and (not same or np.array_equal(on.sums_of(run), on.sums_of(whole)))
    except ActionableError as error:
        return tally.miss(SILENT, f"{name}: afterwards {error}")
    told = any(words in ended.out for words in TOLD)
    if not fits or not (same or told):
        tally.miss(SILENT, f"{name}: {'history.f8 does not fit' if not fits else 'rows differ, and no word'}")
    return None


# What becomes of the fourth line of metrics.jsonl, which has about ten.

LINES: dict[str, bytes] = {
    "no JSON": b"{",
    "a word": b"hello",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "a number": b"7",
    "an empty line": b"",
    "blanks": b"   ",
    "not UTF-8": b'\xff\xfe{"step": 4}',
    "zeros": bytes(100),
    "deep": b"[" * 50_000,
    "half a line": b'{"step":4,"seconds":0.1,"images":2,"wi',
    "a long number": b'{"step":' + b"9" * 5000 + b"}",
}
FIELDS: dict[str, tuple[str, object]] = {
    "step a word": ("step", "four"),
    "step null": ("step", None),
    "step negative": ("step", -4),
    "step a fraction": ("step", 4.5),
    "step huge": ("step", 10**30),
    "step true": ("step", True),
    "step of later": ("step", 9),
    "step too large": ("step", 6),  # the rows of steps 5 and 6 come after it
    "images negative": ("images", -2),
    "images huge": ("images", 10**30),
    "images null": ("images", None),
    "seconds a word": ("seconds", "1 s"),
    "seconds not finite": ("seconds", float("inf")),
    "psnr NaN": ("psnr", float("nan")),
    "psnr infinite": ("psnr", float("-inf")),
    "psnr null": ("psnr", None),
    "psnr a list": ("psnr", [9.0]),
    "loss NaN": ("expert_loss", float("nan")),
    "loss a word": ("discriminator_loss", "low"),
    "wins flat": ("wins", [1, 1, 0, 0]),
    "wins a number": ("wins", 2),
    "wins of three experts": ("wins", [[1, 0], [1, 0], [0, 0]]),
    "wins ragged": ("wins", [[1], [0, 1]]),
    "wins negative": ("wins", [[-1, 0], [0, 3]]),
    "wins fractions": ("wins", [[0.5, 0.5], [0.5, 0.5]]),
    "wins words": ("wins", [["a", "b"], ["c", "d"]]),
    "wins huge": ("wins", [[10**30, 0], [0, 0]]),
    "wins of more images": ("wins", [[1, 1], [0, 1]]),
    "wins of fewer images": ("wins", [[1, 0], [0, 0]]),
    "score NaN": ("score", [[float("nan")] * 2] * 2),
    "score empty": ("score", []),
    "a strange field": ("stranger", 1),
}


def metrics_changes() -> dict[str, Change]:
    changes: dict[str, Change] = {f"line {name}": _with_line(line) for name, line in LINES.items()}
    changes |= {f"field {name}": _with_field(*pair) for name, pair in FIELDS.items()}
    return changes | {
        "nothing": lambda content: b"",
        "first half lost": lambda content: b"".join(content.splitlines(keepends=True)[5:]),
        "a row lost": lambda content: b"".join(_without(content.splitlines(keepends=True), 4)),
        "a row twice": lambda content: b"".join(_twice(content.splitlines(keepends=True), 4)),
        "rows in reverse": lambda content: b"".join(content.splitlines(keepends=True)[::-1]),
        "cut in the middle": lambda content: content[: len(content) // 2],
        "a zero tail": lambda content: content[: len(content) // 2] + bytes(len(content) // 2),
        "one line end for all": lambda content: content.replace(b"\n", b" "),
    }


def _without(lines: list[bytes], place: int) -> list[bytes]:
    return lines[:place] + lines[place + 1 :]


def _twice(lines: list[bytes], place: int) -> list[bytes]:
    return lines[: place + 1] + lines[place:]


def _with_line(line: bytes) -> Change:
    def change(content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join([*lines[:3], line, *lines[4:]])

    return change


def _with_field(name: str, value: object) -> Change:
    def change(content: bytes) -> bytes:
        lines = content.split(b"\n")
        row = {**json.loads(lines[3]), name: value}
        return b"\n".join([*lines[:3], json.dumps(row).encode(), *lines[4:]])

    return change


def history_changes() -> dict[str, Change]:
    """A record is 14 numbers for two experts and two mechanisms."""
    record = 8 * 14
    return {
        "nothing": lambda content: b"",
        "two records": lambda content: content[: 2 * record],
        "half a record more": lambda content: content + content[: record // 2],
        "half a record less": lambda content: content[: -record // 2],
        "records of later": lambda content: content + content[-record:] * 3,
        "NaN": lambda content: _numbers(content, np.nan),
        "infinite": lambda content: _numbers(content, np.inf),
        "huge": lambda content: _numbers(content, 1e300),
        "negative": lambda content: _numbers(content, -1.0),
        "zeros": lambda content: bytes(len(content)),
    }


def _numbers(content: bytes, value: float) -> bytes:
    """Every number of the third record becomes `value`."""
    numbers = np.frombuffer(content, "<f8").copy()
    numbers[28:42] = value
    return numbers.tobytes()
