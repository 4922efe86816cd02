"""How much of what is wrong with the experts of a study's runs the diagnosis without the truth found: counts, and sentences of them.

A run has its counts by kind of fault, as `icm.measure.faults` makes them: found, named wrongly, missed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

KINDS = {"idle": "idle", "overloaded": "with two kinds", "duplicates": "pairs that share one"}
# Runs on which the rule was tried while it was made; docs/LOG.md tells of each.
IN_SIGHT = {"robust-robust-s118", *(f"six-robust-s{seed}" for seed in range(100, 106))}


class Counts(NamedTuple):
    """Of one kind of fault, or of all."""

    found: int
    wrongly: int
    missed: int

    @property
    def there(self) -> int:
        """How many there are by the truth."""
        return self.found + self.missed

    @property
    def named(self) -> int:
        """How many the diagnosis names."""
        return self.found + self.wrongly


def counts(runs: Iterable[Mapping[str, Any]], kinds: Iterable[str] = KINDS) -> Counts:
    """Of these kinds of fault in all these runs."""
    every = [run["diagnosed"][kind] for run in runs for kind in kinds]
    return Counts(*(sum(column) for column in zip(*every)))


def columns(run: Mapping[str, Any]) -> dict[str, int]:
    """The counts of one run by names such as `idle missed`; none where it was not diagnosed."""
    return {
        f"{kind} {name}": number
        for kind, numbers in run.get("diagnosed", {}).items()
        for name, number in zip(Counts._fields, numbers)
    }


def in_words(runs: Sequence[Mapping[str, Any]]) -> str:
    """What was found in the runs of one configuration."""
    of_kinds = {words: counts(runs, (kind,)) for kind, words in KINDS.items()}
    found = [f"{words} {each.found} of {each.there}" for words, each in of_kinds.items() if each.there]
    wrongly = counts(runs).wrongly
    return f"{', '.join(found) or 'nothing is at fault'}; named wrongly: {wrongly or 'none'}"


def together(runs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: of every kind of fault, in all runs, how many are found and how many of those named are so."""
    lines = [f"| in {len(runs)} runs | found | so, of those named |", "|---|---|---|"]
    for kind, words in KINDS.items():
        each = counts(runs, (kind,))
        lines.append(f"| {words} | {each.found} of {each.there} | {each.found} of {each.named} |")
    return "\n".join(lines)


def held_out(runs: Sequence[Mapping[str, Any]]) -> str:
    """What was found in the runs that the rule was not made with, as a sentence or two."""
    others = [run for run in runs if run["run"] not in IN_SIGHT]
    if not others:
        return "The rule was made with all of these runs in sight."
    found = counts(others)
    said = f"finds {found.found} of {found.there} faults and names {found.wrongly or 'none'} wrongly"
    if len(others) == len(runs):
        return f"The rule was made with none of these runs in sight; it {said}."
    return f"The rule was made with {len(runs) - len(others)} of these runs in sight; in the other {len(others)} it {said}."
