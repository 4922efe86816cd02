"""Every study by its name: a table of configurations, each of which is run over many seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from icm.config import PAPER_MECHANISMS, SYMBOLS, RunConfig
from icm.errors import ActionableError
from icm.presets import preset

EARLY = 350  # steps of a study that looks only at who owns what, which is decided by then
MOST = 16  # experts of an open roster


class UnknownStudy(ActionableError):
    """The name of no study, or of no variant that it has."""


def variants(base: RunConfig, section: str, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, RunConfig]:
    """One configuration for each name in `changes`: `base` with these fields of a section changed."""
    return {
        name: replace(base, **{section: replace(getattr(base, section), **fields)})
        for name, fields in changes.items()
    }


def thin(base: RunConfig) -> RunConfig:
    """`base` with five mechanisms and small networks, which learn in minutes on one core."""
    model = replace(base.model, filters=8, discriminator_filters=8, discriminator_hidden=256)
    mechanisms = ("right", "left", "down", "up", "contrast")
    return replace(
        base,
        mechanisms=mechanisms,
        model=replace(model, experts=len(mechanisms)),
        training=replace(base.training, steps=600),
    )


def opened(base: RunConfig, start: int) -> RunConfig:
    """`base` with an open roster of at most `MOST` experts, of which `start` begin, and time to hire as many as are missing.

    And one more who was dismissed too early: a dismissal and a hire take `grace` steps each, and so does the last one's search for work."""
    roster = replace(base.roster, rule="open", start=start)
    missing = max(0, len(base.mechanisms) - start)
    until = max(base.conscience.until, (missing + 4) * roster.grace if missing else 0)
    return replace(
        base,
        model=replace(base.model, experts=MOST),
        roster=roster,
        conscience=replace(base.conscience, until=until),
        training=replace(base.training, steps=until + base.training.steps - base.conscience.until),
    )


def of_the_paper(robust: RunConfig, paper: RunConfig) -> dict[str, dict[str, RunConfig]]:
    """The paper's other experiments, both ways where that is not too long."""
    both = {"paper": paper, "robust": robust}
    return {
        # One network that has all mechanisms to itself, small and large: it has nobody to leave any of them to.
        "single": {
            f"filters{filters}": replace(
                robust,
                model=replace(robust.model, experts=1, filters=filters),
                conscience=replace(robust.conscience, rule="none"),
            )
            for filters in (32, 64, 128)
        },
        "larger": variants(
            robust, "model", {f"filters{filters}": {"filters": filters} for filters in (64, 128)}
        ),
        # The discriminator sees the same 64 digits again and again.
        "canonicals": {name: replace(each, canonicals=64) for name, each in both.items()},
        # More experts than the ten mechanisms, and fewer.
        "sixteen": {
            name: replace(each, model=replace(each.model, experts=16)) for name, each in both.items()
        },
        "six": {name: replace(each, model=replace(each.model, experts=6)) for name, each in both.items()},
    }


def of_numbers(robust: RunConfig) -> dict[str, dict[str, RunConfig]]:
    """Experts that are too few, too many or of unknown number, mechanisms of unequal frequency, and other mechanisms."""
    others = tuple(name for name in SYMBOLS if name not in PAPER_MECHANISMS)
    return {
        # The conscience takes mechanisms to be equally frequent. The first is drawn so many times as often as each other one.
        "unequal": {
            f"{times:g}to1-{rule}": replace(
                thin(robust),
                frequencies=(times, *[1.0] * (len(thin(robust).mechanisms) - 1)),
                conscience=replace(robust.conscience, rule=rule),
            )
            for times in (2.0, 5.0)
            for rule in ("none", "conscience")
        },
        # More experts than mechanisms, all of which play to the end.
        "surplus": variants(
            thin(robust), "model", {f"{experts}": {"experts": experts} for experts in (5, 8, MOST)}
        ),
        # Fewer experts than mechanisms: somebody has too much to do.
        "fewer": variants(thin(robust), "model", {f"{experts}": {"experts": experts} for experts in (3, 4)}),
        # What a discriminator that knows blanks for no digits costs and brings.
        "blanks": variants(robust, "training", {"none": {}, "blanks8": {"blanks": 8}}),
        # What helps against clothes: to learn from them, or from as many digits as clothes.
        "clothes": {name: replace(robust, source=name) for name in ("fashion", "mixture")},
        # Mechanisms that are not the paper's: each with an expert to spare for it beside three of the paper's, and all at once.
        "extended": {
            **{
                name: replace(
                    robust,
                    mechanisms=("right", "up", "contrast", name),
                    model=replace(robust.model, experts=4),
                )
                for name in others
            },
            "together": replace(robust, mechanisms=others),
        },
        # Rosters that begin with too few experts and with too many: with thin networks, and as large as the paper's.
        "roster": {f"from{start}": opened(thin(robust), start) for start in (4, MOST)},
        "roster-full": {f"from{start}": opened(robust, start) for start in (4, MOST)},
    }


def studies() -> dict[str, dict[str, RunConfig]]:
    """Every study: its configurations by the name of the variant. The seed of each is set when it is run."""
    robust, paper = (replace(preset(name), source="mnist") for name in ("robust", "paper"))
    quick = preset("quick")
    # As `robust` was when the studies of it were run: no gradient is shortened.
    before = replace(robust, training=replace(robust.training, clip=0.0))
    early = replace(before, training=replace(before.training, steps=EARLY, cooldown=0.0))
    return {
        "smoke": {"tiny": replace(preset("tiny"), source="builtin")},
        "robust": {"robust": robust},
        "paper": {"paper": paper},
        "quick": {
            "mnist": replace(quick, source="mnist"),
            "builtin": replace(quick, source="builtin"),
        },
        **of_the_paper(before, paper),
        # What decides how soon there is one expert for each mechanism. Without `none` there would be nothing to compare with.
        "conscience": variants(
            early,
            "conscience",
            {
                "none": {"rule": "none"},
                "rate1": {"rate": 1.0},
                "rate3": {},
                "leak5": {"leak": 0.05},
                "until100": {"until": 100},
                "until200": {"until": 200},
            },
        ),
        "quick-norm": variants(
            replace(quick, source="mnist"),
            "model",
            {"group": {"norm": "group", "statistics": "batch"}, "batch": {}},
        ),
        # How many other images a winner needs beside it for the gradient of its statistics; fewer are cheaper.
        "others": variants(
            early, "model", {"others8": {}, "others4": {"others": 4}, "others16": {"others": 16}}
        ),
        **of_numbers(before),
    }


def configs_of(name: str, only: Sequence[str] = ()) -> dict[str, RunConfig]:
    """The configurations of a study by the name of the variant, those that `only` names where it names any; else UnknownStudy."""
    known = studies()
    if name not in known:
        raise UnknownStudy(f"unknown study {name!r}; known: {', '.join(known)}")
    if strange := [each for each in only if each not in known[name]]:
        raise UnknownStudy(f"study {name} has no variant {strange[0]!r}; known: {', '.join(known[name])}")
    return {variant: config for variant, config in known[name].items() if not only or variant in only}
