"""The form for a new run: widgets made from the fields of icm.config, with the sentences under the fields as help."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from icm.config import PAPER_MECHANISMS, SECTIONS, ConfigError, RunConfig, field_sentences, mechanism_title
from icm.errors import ActionableError
from icm.images.digits import Source, sources_here
from icm.images.mechanisms import Mechanism, kinds, parse
from icm.jobs.devices import devices as devices_here
from icm.presets import preset
from pages.ui import decisions, pictures
from pages.ui.decisions import MOST_EXPERTS, MOST_SEED
from pages.ui.html import plain
from pages.ui.run_view import SOURCES, counted
from pages.ui.told import told

COLUMNS = 5  # mechanisms in a row
# A browser's numbers have gaps beyond 2^53, about 9e15, and a click on + adds a tenth of the value.
LARGEST = 1e15
HELP = field_sentences(RunConfig)
OFFERED: dict[Source, str] = {
    "mnist": "MNIST, 60,000 digits",
    "builtin": "Built-in digits, 4,000",
    "fashion": "Fashion-MNIST, 8,000 clothes",
    "mixture": "Digits and clothes, 8,000 each",
}
MOST = {
    "seed": MOST_SEED,
    "model.experts": MOST_EXPERTS,
    "training.steps": 1_000_000,
}  # in the boxes above the form


def refuse_unshowable(config: RunConfig) -> None:
    """ConfigError for values that a run may have and the form cannot show."""
    parse(config.mechanisms)
    preset(config.preset)
    numbers = {"seed": config.seed} | {
        f"{name}.{field}": value
        for name in SECTIONS
        for field, value in vars(getattr(config, name)).items()
        if isinstance(value, int | float)
    }
    for name, value in numbers.items():
        if value > MOST.get(name, LARGEST):
            raise ConfigError(f"{name} {value} is too large for this form; use the command line")


@dataclass(frozen=True)
class Above:
    """What the boxes above the form hold."""

    seed: int
    source: Source
    device: str
    in_sections: dict[str, int]  # values of fields that have a box here, by dotted name


def boxes_above(base: RunConfig, like: str | None, root: Path, prefix: str) -> Above:
    """Seed, experts, steps, images and device: what most people change.

    Warns when the images or the device of the run `like` are not here."""
    sources: dict[str, Source] = {OFFERED[name]: name for name in sources_here(root)}
    here = "mnist" in sources.values()
    devices = devices_here()
    first, second, between, third, fourth = st.columns([2, 2, 2, 3, 4])
    seed = _count(first, "Seed", 0, MOST["seed"], base.seed, 1, HELP["seed"], prefix)
    experts = _count(
        second, "Experts", 1, MOST["model.experts"], base.model.experts, 1, _help("model", "experts"), prefix
    )
    steps = _count(
        between,
        "Steps",
        1,
        MOST["training.steps"],
        base.training.steps,
        50,
        _help("training", "steps"),
        prefix,
    )
    wished = next((name for name, each in sources.items() if each == base.source), None)
    source = third.selectbox(
        "Images",
        list(sources),
        index=0 if wished is None else list(sources).index(wished),
        help=HELP["source"],
        key=f"{prefix}:source",
    )
    device = fourth.selectbox(
        "Device",
        list(devices),
        index=list(devices).index(base.device) if base.device in devices else len(devices) - 1,
        format_func=devices.__getitem__,
        help=HELP["device"],
        key=f"{prefix}:device",
    )
    if like and base.source != "auto" and wished is None:
        instead = "MNIST" if here else "the built-in digits"
        st.warning(
            f"Run {plain(like)} learned from {SOURCES[base.source]}, which is not here; a new run would learn from {instead}.",
            icon=":material/database_off:",
        )
    if like and base.device != "auto" and base.device not in devices:
        st.warning(
            f"Run {plain(like)} was trained on {base.device}, which is not here; a new run would be trained on {device}.",
            icon=":material/memory:",
        )
    if not here:
        st.caption(
            f"MNIST is not under {plain(root)}, so the built-in digits are used; "
            "`python -m icm data mnist` downloads all 60,000."
        )
    return Above(seed, sources[source], device, {"model.experts": experts, "training.steps": steps})


def _count(
    place: DeltaGenerator, label: str, least: int, most: int, value: int, step: int, help: str, prefix: str
) -> int:
    """A box for a whole number."""
    return int(
        place.number_input(
            label,
            min_value=least,
            max_value=most,
            value=value,
            step=step,
            help=help,
            key=f"{prefix}:{label.lower()}",
        )
    )


def _help(section: str, field: str) -> str:
    return field_sentences(SECTIONS[section])[field]


def mechanisms_form(base: RunConfig, prefix: str) -> tuple[str, ...]:
    """Shows every mechanism as a picture with a switch and, when it is on, its strength. Returns the specs of those on."""
    chosen = {mechanism.name: mechanism for mechanism in parse(base.mechanisms)}
    specs: list[str] = []
    problem: ActionableError | None = None
    more = st.toggle(
        "More than the paper's ten",
        value=not {*chosen} <= {*PAPER_MECHANISMS},
        key=f"{prefix}:more",
        help="Beside three of the paper's ten, experts came to undo only speckle of these: Results shows what became of the others.",
    )
    known = kinds()
    names = decisions.offered(known, (), (), more)
    for start in range(0, len(names), COLUMNS):
        for column, name in zip(st.columns(COLUMNS), names[start : start + COLUMNS]):
            with column, st.container(border=True):
                kind = known[name]
                on = st.toggle(
                    f"{kind.symbol} {mechanism_title(name)}",
                    value=name in chosen,
                    key=f"{prefix}:{name}",
                    help=f"{kind.sentence}; strength in {kind.unit}.",
                )
                strength = chosen[name].strength if name in chosen else kind.default
                if on:
                    unit = {"pixels": "px"}.get(kind.unit, kind.unit.split()[0])
                    strength = st.slider(
                        f"{mechanism_title(name)}, {kind.unit}",
                        kind.low,
                        kind.high,
                        strength,
                        kind.step,
                        format=f"%g {unit}",
                        key=f"{prefix}:{name}:strength",
                        label_visibility="collapsed",
                    )
                    specs.append(Mechanism(name, strength).spec)
                try:
                    st.html(pictures.before_and_after(Mechanism(name, strength).spec))
                except ActionableError as error:
                    problem = error
    if problem is not None:
        told(problem)  # once: the same is wrong with every picture
    return tuple(specs)


def all_settings(base: RunConfig, elsewhere: dict[str, Any], prefix: str) -> RunConfig:
    """`base` with every field of every section as a person has set it; ConfigError when a value cannot be run.

    `elsewhere` are values, by dotted name, of fields whose widget is elsewhere on the page."""
    changed: dict[str, Any] = {}
    for tab, (name, section) in zip(st.tabs([name.capitalize() for name in SECTIONS]), SECTIONS.items()):
        with tab:
            st.caption(section.__doc__ or "")
            now = getattr(base, name)
            sentences, types = field_sentences(section), get_type_hints(section)
            values = {}
            columns = st.columns(2)
            for index, each in enumerate(fields(section)):
                if f"{name}.{each.name}" in elsewhere:
                    values[each.name] = elsewhere[f"{name}.{each.name}"]
                    continue
                with columns[index % 2]:
                    values[each.name] = _widget(
                        each.name.replace("_", " "),
                        types[each.name],
                        getattr(now, each.name),
                        key=f"{prefix}:{name}.{each.name}",
                        sentence=sentences[each.name],
                    )
            changed[name] = values
    return replace(base, **{name: SECTIONS[name](**values) for name, values in changed.items()})


def _widget(label: str, kind: Any, value: Any, key: str, sentence: str) -> Any:
    label = label.capitalize()
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(label, options, index=options.index(value), key=key, help=sentence)
    if kind is bool:
        return st.toggle(label, value=value, key=key, help=sentence)
    if kind is int:
        return int(st.number_input(label, value=value, step=1, key=key, help=sentence))
    return float(
        st.number_input(
            label, value=float(value), step=value / 10 or 0.01, format="%g", key=key, help=sentence
        )
    )


def about_experts(config: RunConfig) -> str:
    """What to expect of the number of experts, in plain words; empty when it is fixed at the number of mechanisms."""
    experts, mechanisms = config.model.experts, len(config.mechanisms)
    if config.roster.rule == "open":
        return (
            f"An open roster: {config.roster.start} of at most {experts} experts begin, others are hired and dismissed, and for "
            f"{mechanisms} mechanisms {mechanisms} should play in the end."
        )
    if experts > mechanisms:
        return (
            f"{counted(experts, 'expert')} for {counted(mechanisms, 'mechanism')}: without a conscience {experts - mechanisms} may idle; "
            "with one most of those too many were seen to share a mechanism (Results)."
        )
    if experts < mechanisms:
        return f"{counted(experts, 'expert')} for {counted(mechanisms, 'mechanism')}: some must serve several, or leave some mechanisms to nobody."
    return ""


def about_conscience(config: RunConfig) -> str:
    """A warning where the run ends while the conscience still decides winners; else empty."""
    steps, until = config.training.steps, config.conscience.until
    if config.conscience.rule == "none" or steps > until:
        return ""
    return (
        f"The conscience helps until step {until:,} and the run ends at step {steps:,}: who owns what would never be decided by "
        f"the score alone. Let it end by step {steps // 2:,} (All settings, conscience), or train longer."
    )
