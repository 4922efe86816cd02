"""The command `python -m tests.torture [--short] [--json] [trial ...]`: plays every trial, or the named ones.

In their full form, unless --short is given. Exit code 1 when a mark is missed."""

import argparse
import contextlib
import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.torture.ground import Ground, ground
from tests.torture.rows import Row
from tests.torture.served import a_browser
from tests.torture.trials import TRIALS, run


def main() -> int:
    given = understood(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, ground(Path(folder)) as place:
        rows = [tried(place, name, given.short) for name in given.trial]
    if given.json:
        print(json.dumps([row.to_json() for row in rows], indent=2))
    else:
        show(rows)
    return 0 if all(row.passed for row in rows) else 1


def understood(words: Sequence[str]) -> argparse.Namespace:
    """What the words ask for; every trial where none is named."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture", description="What must hold under torture."
    )
    parser.add_argument("--short", action="store_true", help="seconds for each trial, as in `make test`")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("trial", nargs="*", help=f"one of {', '.join(TRIALS)}; all when none is named")
    given = parser.parse_args(words)
    unknown = [name for name in given.trial if name not in TRIALS]
    if unknown:
        parser.error(f"unknown trial {unknown[0]!r}; known: {', '.join(TRIALS)}")
    given.trial = given.trial or list(TRIALS)
    return given


def tried(place: Ground, name: str, short: bool) -> Row:
    """Plays a trial and says at once what fell short: the whole takes long."""
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        with a_browser() if TRIALS[name].browser else contextlib.nullcontext() as browser:
            row = run(place, name, short, browser)
    except Exception:  # the other trials are played all the same
        traceback.print_exc()
        row = Row(name, 0, {"ended with a traceback": 1}, 0.0, [], {})
    for words in row.failures:
        print(f"  {words}", file=sys.stderr, flush=True)
    return row


def show(rows: list[Row]) -> None:
    table = Table("trial", "cases", "mark, which must be 0", "reached", "seconds", box=None)
    for row in rows:
        for place, (mark, count) in enumerate(row.marks.items()):
            first = place == 0
            table.add_row(
                row.trial if first else "",
                str(row.cases) if first else "",
                mark,
                str(count),
                f"{row.seconds:.0f}" if first else "",
            )
        for name, figure in row.figures.items():
            table.add_row("", "", name, str(figure), "", style="dim")
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
