"""What a trial reports: how many cases it tried, and how often each mark was missed. Every count must be 0."""

import time
from dataclasses import dataclass, field
from typing import Any

FAILURES_KEPT = 12  # so many are told in words; the marks count all of them


@dataclass(frozen=True)
class Row:
    """The result of a trial."""

    trial: str
    cases: int
    marks: dict[str, int]
    seconds: float
    failures: list[str]
    figures: dict[str, Any]  # measured on the way; they decide nothing

    @property
    def passed(self) -> bool:
        return self.cases > 0 and not any(self.marks.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "trial": self.trial,
            "cases": self.cases,
            "marks": self.marks,
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
            "failures": self.failures,
            "figures": self.figures,
        }


@dataclass
class Tally:
    """Counts while a trial goes on."""

    trial: str
    marks: dict[str, int]
    cases: int = 0
    failures: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, trial: str, *marks: str) -> "Tally":
        return cls(trial, dict.fromkeys(marks, 0))

    def miss(self, mark: str, words: str) -> None:
        """One case fell short of `mark`."""
        self.marks[mark] += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(f"{mark}: {words}")

    def row(self) -> Row:
        seconds = time.monotonic() - self.begun
        return Row(self.trial, self.cases, dict(self.marks), seconds, list(self.failures), dict(self.figures))
