"""One description, three forms: dataclass, JSON, words on the command line."""

from dataclasses import fields, replace

import pytest

from icm import config, presets
from icm.cli.options import Train
from icm.cli.words import parse, preset_named
from icm.config import (
    ConfigError,
    ConscienceConfig,
    IdentityConfig,
    ModelConfig,
    RosterConfig,
    RunConfig,
    TrainingConfig,
)
from icm.presets import PRESETS


def opened(**roster: int) -> RunConfig:
    return RunConfig(conscience=ConscienceConfig("conscience"), roster=RosterConfig("open", **roster))


@pytest.mark.parametrize("name", PRESETS)
def test_json_gives_the_same_configuration_back(name: str) -> None:
    assert config.from_json(config.to_json(PRESETS[name])) == PRESETS[name]


def test_frequencies_come_back_from_json_and_from_the_command_line() -> None:
    uneven = replace(PRESETS["tiny"], frequencies=(2.0, 1.0, 0.5))
    data = config.to_json(uneven)
    assert config.from_json({**data, "frequencies": [2, 1, 0.5]}) == uneven
    with pytest.raises(ConfigError, match="frequencies is"):
        config.from_json({**data, "frequencies": ["2", 1, 0.5]})
    words = presets.command_line(uneven).split()[4:]
    assert parse(Train, words, default=Train(config=PRESETS["tiny"])).config == uneven


def test_json_of_another_schema_or_with_unknown_keys_is_refused() -> None:
    data = config.to_json(PRESETS["tiny"])
    with pytest.raises(ConfigError, match="schema is 99; this version reads 1"):
        config.from_json({**data, "schema": 99})
    with pytest.raises(ConfigError, match="colour"):
        config.from_json({**data, "colour": "red"})


def test_a_run_of_before_the_conscience_does_what_it_did() -> None:
    data = config.to_json(PRESETS["paper"])
    del data["conscience"], data["roster"], data["frequencies"]
    for name in ("cooldown", "blanks", "clip"):
        del data["training"][name]
    for name in ("statistics", "others"):
        del data["model"][name]
    assert config.from_json(data) == PRESETS["paper"]
    assert (PRESETS["paper"].conscience.rule, PRESETS["paper"].model.statistics) == ("none", "batch")


def test_a_setting_that_is_no_more_may_have_been_off_but_not_on() -> None:
    data = config.to_json(PRESETS["tiny"])
    data["training"]["losers_in_turn"] = 0
    assert config.from_json(data) == PRESETS["tiny"]
    data["training"]["losers_in_turn"] = 3
    with pytest.raises(ConfigError, match=r"training\.losers_in_turn is unknown in this version"):
        config.from_json(data)


def test_the_command_line_that_a_page_shows_makes_the_configuration_it_shows() -> None:
    changed = replace(
        PRESETS["quick"],
        seed=7,
        mechanisms=("right=3", "noise"),
        model=replace(PRESETS["quick"].model, experts=3, filters=8),
        training=replace(PRESETS["quick"].training, losers_are_fake=False),
    )
    line = presets.command_line(changed)
    assert line == (
        "python -m icm train --preset quick --seed 7 --mechanisms right=3 noise "
        "--model.experts 3 --model.filters 8 --training.no-losers-are-fake"
    )
    words: list[str] = [*line.split()[4:]]
    base = PRESETS[preset_named(words)]
    assert parse(Train, words, default=Train(config=base)).config == changed


@pytest.mark.parametrize("section", [RunConfig, *config.SECTIONS.values()])
def test_every_field_has_a_sentence(section: type) -> None:
    sentences = config.field_sentences(section)
    plain = [field.name for field in fields(section) if field.name not in config.SECTIONS]
    assert list(sentences) == plain
    assert all(sentence.endswith(".") for sentence in sentences.values())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ModelConfig(experts=0), "model.experts is 0; use 1 to 100"),
        (lambda: ModelConfig(norm="group", filters=6), "6 is not a multiple of 4"),
        (lambda: TrainingConfig(learning_rate=float("nan")), "learning_rate is nan"),
        (lambda: RunConfig(mechanisms=()), "name at least one"),
        (lambda: RunConfig(frequencies=(1.0,)), "frequencies has 1 numbers for 10 mechanisms; give one each"),
        (
            lambda: RunConfig(mechanisms=("noise",), frequencies=(0.0,)),
            "frequencies has 0.0; use 0.001 to 1,000",
        ),
        (lambda: IdentityConfig(target_error=float("inf")), "identity.target_error is inf; use 1 or less"),
        (lambda: TrainingConfig(cooldown=1.5), "training.cooldown is 1.5; use 0 to 1"),
        (lambda: TrainingConfig(clip=-1.0), "training.clip is -1.0; use 0 for none, or up to 1,000,000"),
        (lambda: RunConfig(roster=RosterConfig(rule="open")), "conscience.rule is none: nobody would"),
        (lambda: opened(start=11), "roster.start is 11; use 1 to 10, the experts there are"),
        (lambda: opened(every=7), "roster.every is 7; use a multiple of recording.every, 5"),
        (lambda: ModelConfig(statistics="sample"), "model.norm none has no statistics; use norm batch"),
        (lambda: ConscienceConfig(leak=0.0), "conscience.leak is 0.0; use a value above 0"),
        (lambda: RunConfig(seed=-1), "seed is -1; use 0 to"),
        (lambda: presets.preset("fast"), "unknown preset 'fast'; known: tiny, quick, robust, paper"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_value_and_the_remedy(make, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make()


def test_paper_is_the_papers_setting() -> None:
    paper = PRESETS["paper"]
    assert (paper.model.experts, len(paper.mechanisms), paper.model.filters) == (10, 10, 32)
    assert paper.model.norm == "batch"
    assert (paper.training.batch, paper.training.steps, paper.training.learning_rate) == (32, 2000, 1e-3)
    assert (paper.identity.start, paper.identity.steps, paper.identity.target_error) == (
        "independent",
        500,
        0.002,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "1"),
        ("seed", True),
        ("seed", None),
        ("mechanisms", "right"),
        ("mechanisms", [1]),
        ("device", "abacus"),
        ("model", []),
        ("model.experts", 3.5),
        ("model.norm", ["none"]),
        ("training.steps", {}),
        ("training.learning_rate", "fast"),
        ("training.losers_are_fake", 1),
        ("recording", None),
    ],
)
def test_a_value_of_another_type_is_told_by_the_name_of_its_field(name: str, value: object) -> None:
    data = config.to_json(RunConfig())
    section, _, field = name.rpartition(".")
    (data[section] if section else data)[field] = value
    with pytest.raises(ConfigError, match=name):
        config.from_json(data)


def test_a_field_that_is_missing_or_unknown_is_named() -> None:
    data = config.to_json(RunConfig())
    with pytest.raises(ConfigError, match=r"model\.wings is unknown in this version"):
        config.from_json({**data, "model": {**data["model"], "wings": 2}})
    del data["training"]["steps"]
    with pytest.raises(ConfigError, match=r"training\.steps is missing in this version"):
        config.from_json(data)


def test_a_whole_number_is_taken_where_a_fraction_may_stand() -> None:
    data = config.to_json(RunConfig())
    data["training"]["learning_rate"] = 1
    assert config.from_json(data).training.learning_rate == 1
