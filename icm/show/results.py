"""What studies found, and the rows of the paper that they stand for: docs/results/NAME.json in figures and sentences.

A row names its paper's result as it is recalled, hence "about". What was not run has no figure. No torch, no plotly: the drawings are
in `figures`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, TypeVar

import numpy as np

from icm import files
from icm.config import PAPER_MECHANISMS, SYMBOLS
from icm.errors import ActionableError
from icm.ownership import Roles, roles
from icm.runs.run import SHIPPED
from icm.show import diagnosed

RESULTS = files.PROJECT / "docs" / "results"
SEEDS = "100:105"  # of the command for what was not run
REMEDY = "run its study again, or put back a copy of it"

T = TypeVar("T")
Curves = Mapping[str, Sequence[float | int]]  # by `step`


class ResultsError(ActionableError):
    """A file of results that a page cannot show."""


@dataclass(frozen=True)
class Variant:
    """The runs of one configuration, and their summary."""

    study: str
    name: str
    label: str
    runs: list[dict[str, Any]]
    summary: dict[str, Any]

    def values(self, name: str) -> list[Any]:
        """That field of every run which has it."""
        return [run[name] for run in self.runs if run.get(name) is not None]

    def curves(self, of: str) -> list[Curves]:
        """Of every run that has them the curves on digits, or on letters."""
        return [
            each for run in self.runs for name, each in run.get("curves", {}).items() if set_of(name) == of
        ]


@dataclass(frozen=True)
class Row:
    """One experiment of the paper."""

    number: int
    title: str
    paper: str  # what the paper found, as recalled; empty where it did not ask
    parts: tuple[tuple[str, str], ...]  # study and variant
    field: str  # that a run must have, to be shown
    ours: Callable[[Variant], str]
    beside: tuple[tuple[str, str], ...] = ()  # of another row, for comparison
    together: Callable[[Sequence[Variant]], str] | None = None  # what all variants come to, as Markdown

    def commands(self) -> list[str]:
        """What makes its files, each from nothing."""
        return [f"python -m icm study {study} --seeds {SEEDS}" for study in dict(self.parts)]

    def found(self, results: Mapping[str, Mapping[str, Any]]) -> list[Variant]:
        """Those of its variants of which there are runs with what it shows, then what stands beside them. None where only that is there."""
        own = self._with_runs(self.parts, results)
        return own and [*own, *self._with_runs(self.beside, results)]

    def _with_runs(
        self, parts: Sequence[tuple[str, str]], results: Mapping[str, Mapping[str, Any]]
    ) -> list[Variant]:
        variants = []
        for study, name in parts:
            there = results.get(study, {}).get("variants", {}).get(name)
            runs = [run for run in there["runs"] if run.get(self.field) is not None] if there else []
            if runs:
                label = name if name in (study, *SYMBOLS) else f"{study}, {name}"
                variants.append(Variant(study, name, label, runs, there["summary"]))
        return variants


def set_of(name: str) -> str:
    """Digits or letters: what a set of that name has."""
    return "digits" if name in ("mnist", "builtin") else "letters"


def read(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Every study's results by its name. An ActionableError for a file that cannot be shown."""
    return dict(read_each(folder, _checked, "results of a study", REMEDY))


def _checked(name: str, result: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    for each in result["variants"].values():
        _check(each)
    return name, dict(result)


def read_each(
    folder: Path, read_one: Callable[[str, Mapping[str, Any]], T], what: str, remedy: str
) -> list[T]:
    """What `read_one` makes of each file of a folder and its name, by name. An ActionableError for a file that holds no `what`."""
    found = []
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        result = files.read_json(path, remedy)
        try:
            found.append(read_one(path.stem, result))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} holds no {what} ({error!r}); {remedy}") from error
    return found


def trained_as(command: str, run: str) -> str:
    """The command that trains a run again, under its name; the run in the box has its own already."""
    return command if run == SHIPPED else f"{command} --run-id {run}"


def _check(variant: Mapping[str, Any]) -> None:
    """KeyError or TypeError unless it has what every page of results reads."""
    summary = variant["summary"]
    low, high = summary["one_to_one_interval"]
    _check_numbers(low, high, summary["runs"], summary["one_to_one"], summary["psnr_mean"])
    for run in variant["runs"]:
        _check_numbers(run["seed"], run["psnr"], run["routing"], run["seconds"])
        for text in ("run", "date", "machine", "dtype"):
            if not isinstance(run[text], str):
                raise TypeError(f"{text} is {run[text]!r}")
        if "diagnosed" in run:
            _check_numbers(*diagnosed.counts([run]))


def _check_numbers(*values: object) -> None:
    for value in values:
        if not files.is_number(value):
            raise TypeError(f"{value!r} is no number")


# What a variant that has runs shows, in words.


def one_to_one(each: Variant) -> str:
    first = each.summary["first_step_median"]
    lost = sum(run["first_step"] is not None and not run["one_to_one"] for run in each.runs)
    again = f", and {lost} lost it again" if lost else ""
    since = "" if first is None else f"; one-to-one from step {first:g} on (median){again}"
    low, high = each.summary["one_to_one_interval"]
    return f"{each.summary['one_to_one']} of {each.summary['runs']} (95 %: {100 * low:.0f} to {100 * high:.0f} %){since}"


def sharpened(each: Variant) -> str:
    return (
        f"who wins most of a mechanism has {_largest(each.values('won_first')):.0%} of its images at the start, "
        f"{_largest(each.values('won')):.0%} at the end"
    )


def _largest(shares: Sequence[Sequence[Sequence[float]]]) -> float:
    return mean(mean(max(row) for row in share) for share in shares)


def read_right(each: Variant) -> str:
    return (
        f"at the end {_last(each, 'digits', 'read_original'):.0%} of the originals, {_last(each, 'digits', 'read_transformed'):.0%} of the "
        f"changed and {_last(each, 'digits', 'read_restored'):.0%} of the restored digits are read right (a few dozen through each mechanism)"
    )


def on_letters(each: Variant) -> str:
    return (
        f"on letters the owners' answers reach {_last(each, 'letters', 'psnr_owner'):.1f} dB (doing nothing: "
        f"{_last(each, 'letters', 'psnr_nothing'):.1f}), and {_last(each, 'letters', 'routing_accuracy'):.0%} go to the owner; on digits "
        f"{_last(each, 'digits', 'psnr_owner'):.1f} dB and {_last(each, 'digits', 'routing_accuracy'):.0%}"
    )


def _last(each: Variant, of: str, name: str) -> float:
    return mean(run[name][-1] for run in each.curves(of))


LEAST_GAIN = 5.0  # dB over doing nothing, from which a mechanism counts as undone


def undone(each: Variant) -> str:
    counts = [sum(gain >= LEAST_GAIN for gain in gains(run)) for run in each.runs]
    count, verb = f"{mean(counts):.3g}", "comes" if mean(counts) == 1 else "come"
    return f"{count} of {len(each.runs[0]['quality'])} mechanisms {verb} back at least {LEAST_GAIN:g} dB nearer to the original"


def gains(run: Mapping[str, Any]) -> list[float | int]:
    """By how many dB the answers to each mechanism are nearer to the originals than doing nothing."""
    return [answer - nothing for answer, nothing in zip(run["quality"], run["nothing"])]


def last_mechanism(each: Variant) -> str:
    """How well the last mechanism is undone, which the variant is named after, and whether an expert has it to itself."""
    answers, nothing = (mean(run[field][-1] for run in each.runs) for field in ("quality", "nothing"))
    return f"{answers:.1f} dB, doing nothing {nothing:.1f}; an expert of its own in {sum(map(has_own, each.runs))} of {len(each.runs)}"


def has_own(run: Mapping[str, Any]) -> bool:
    """Whether an expert owns the last mechanism and no other."""
    return len(run["won"]) - 1 in roles_at_end(run).single.values()


def quality(each: Variant) -> str:
    return f"one-to-one in {_hits(each)}, {mean(each.values('psnr')):.1f} dB"


def _hits(each: Variant) -> str:
    """Of the runs that are shown, which need not be all of the summary's."""
    return f"{sum(run['one_to_one'] for run in each.runs)} of {len(each.runs)}"


def roles_at_end(run: Mapping[str, Any]) -> Roles:
    """Who owns what, by the shares of held-out images."""
    return roles(np.array(run["won"]).T)


def idle(run: Mapping[str, Any]) -> int:
    """How many experts win next to nothing."""
    return len(roles_at_end(run).idle)


def several(run: Mapping[str, Any]) -> int:
    """How many experts own two mechanisms or more."""
    return len(roles_at_end(run).overloaded)


def unowned(run: Mapping[str, Any]) -> int:
    """How many mechanisms nobody owns."""
    return len(roles_at_end(run).unowned)


def who_idles(each: Variant) -> str:
    return (
        f"{median(map(idle, each.runs)):g} of {len(each.runs[0]['won'][0])} experts idle at the end (median); every mechanism has an owner "
        f"of its own in {_hits(each)}"
    )


def who_is_left_out(each: Variant) -> str:
    return (
        f"experts that own two mechanisms or more: {median(map(several, each.runs)):g}; mechanisms without an owner: "
        f"{median(map(unowned, each.runs)):g} (medians)"
    )


def faults_found(each: Variant) -> str:
    return diagnosed.in_words(each.runs)


def all_faults_found(found: Sequence[Variant]) -> str:
    every = [run for each in found for run in each.runs]
    return (
        f"{diagnosed.together(every)}\n\nTold by the scores of the answers alone, then held against the mechanisms. "
        f"{diagnosed.held_out(every)}"
    )


ROBUST = (("robust", "robust"),)
BOTH = (("paper", "paper"), *ROBUST)


def twins(study: str) -> tuple[tuple[str, str], ...]:
    return ((study, "paper"), (study, "robust"))


ROWS = (
    Row(
        1,
        "Is there an expert for each mechanism, always?",
        "One-to-one in about 7 of 10 runs; in the others one expert takes two neighbouring shifts, and one idles.",
        (*BOTH, ("quick", "mnist")),
        "seed",
        one_to_one,
    ),
    Row(
        4,
        "Who wins what, at the start and at the end",
        "At first the wins are spread; at the end each mechanism is one expert's. (Ours: experts in the order of what they come to own.)",
        BOTH,
        "won",
        sharpened,
    ),
    Row(
        5,
        "Can a digit reader read what comes back?",
        "About 99 % of the originals, about 40 % of the changed digits, and near 99 % of the answers from about step 600 on.",
        BOTH,
        "curves",
        read_right,
    ),
    Row(
        6,
        "Letters that nobody was trained on",
        "Each expert undoes its mechanism on Omniglot too; the paper gives pictures and no figure.",
        BOTH,
        "curves",
        on_letters,
    ),
    Row(
        7,
        "One large network in place of ten experts",
        "A single network of 32, 64 or 128 filters learns to undo at most one mechanism.",
        tuple(("single", f"filters{filters}") for filters in (32, 64, 128)),
        "quality",
        undone,
        beside=ROBUST,
    ),
    Row(
        8,
        "Larger experts",
        "Experts of 64 and 128 filters still specialise.",
        tuple(("larger", f"filters{filters}") for filters in (64, 128)),
        "psnr",
        quality,
        beside=ROBUST,
    ),
    Row(
        9,
        "Only 64 canonical digits",
        "They still specialise; the reader reads about 96 % of the answers.",
        twins("canonicals"),
        "curves",
        read_right,
    ),
    Row(
        10,
        "Sixteen experts for ten mechanisms",
        "The surplus experts idle.",
        twins("sixteen"),
        "won",
        who_idles,
    ),
    Row(
        11,
        "Six experts for ten mechanisms",
        "Some experts serve several mechanisms that are alike, and some mechanisms stay unserved.",
        twins("six"),
        "won",
        who_is_left_out,
    ),
    Row(
        12,
        "Ten other mechanisms, each beside three of the paper's",
        "",
        tuple(("extended", name) for name in SYMBOLS if name not in PAPER_MECHANISMS),
        "quality",
        last_mechanism,
    ),
    Row(
        13,
        "Are faults of the experts found without the truth?",
        "",
        (*BOTH, ("quick", "mnist"), *twins("sixteen"), *twins("six")),
        "diagnosed",
        faults_found,
        together=all_faults_found,
    ),
)
