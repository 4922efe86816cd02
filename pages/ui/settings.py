"""The form of a run: widgets made from the fields of icm.config, each with the sentence that stands under the field."""

from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import streamlit as st

from icm.config import SECTIONS, ConfigError, RunConfig, field_sentences, preset
from icm.errors import ActionableError
from icm.mechanisms import KINDS, Mechanism, parse
from pages.ui import pictures
from pages.ui.told import told

COLUMNS = 5  # mechanisms in a row
LARGEST = 1e15  # a browser's numbers have gaps beyond 2^53, and steps of a tenth are added
MOST = {"seed": 2**31 - 1, "model.experts": 100, "training.steps": 1_000_000}  # in the boxes above the form


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


def mechanisms_form(base: RunConfig, prefix: str) -> tuple[str, ...]:
    """Every mechanism as a picture with a switch and, when it is on, its strength; returns the specs of those on."""
    chosen = {mechanism.name: mechanism for mechanism in parse(base.mechanisms)}
    specs: list[str] = []
    problem: ActionableError | None = None
    names = list(KINDS)
    for start in range(0, len(names), COLUMNS):
        for column, name in zip(st.columns(COLUMNS), names[start : start + COLUMNS]):
            with column, st.container(border=True):
                kind = KINDS[name]
                on = st.toggle(
                    f"{kind.symbol} {name.replace('_', '-')}",
                    value=name in chosen,
                    key=f"{prefix}:{name}",
                    help=f"{kind.sentence}; strength in {kind.unit}.",
                )
                strength = chosen[name].strength if name in chosen else kind.default
                if on:
                    unit = {"pixels": "px"}.get(kind.unit, kind.unit.split()[0])
                    strength = st.slider(
                        kind.unit,
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

    `elsewhere` are values, by dotted name, that have a widget of their own on the page."""
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
    """What to expect of the number of experts, in plain words; empty when it is the number of mechanisms."""
    experts, mechanisms = config.model.experts, len(config.mechanisms)
    if experts > mechanisms:
        return f"{experts} experts for {mechanisms} mechanisms: at least {experts - mechanisms} should end up idle."
    if experts < mechanisms:
        return f"{experts} experts for {mechanisms} mechanisms: some must serve several, or leave some mechanisms to nobody."
    return ""
