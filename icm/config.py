"""The configuration of a run: mechanisms, networks, steps and what is recorded, frozen; to and from JSON.

The command line, the form on the Train page and `config.json` all come from the classes below (the presets: icm/presets.py):
the sentence under a field is its help text everywhere. Sizes follow the paper (Parascandolo et al., 2018, section 4)."""

import ast
import inspect
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin, get_type_hints

from icm.errors import ActionableError

SCHEMA = 1
MOST_STEPS = 10**9  # as far as SNAPSHOTS in jobs/trainer.py goes

# What stands for each mechanism in pictures and lists, the paper's ten first.
SYMBOLS = {
    "right": "→",
    "left": "←",
    "down": "↓",
    "up": "↑",
    "down_right": "↘",
    "down_left": "↙",
    "up_right": "↗",
    "up_left": "↖",
    "contrast": "◐",
    "noise": "░",
    "rotation": "↻",
    "scale": "⤡",
    "shear": "▱",
    "flip": "⇄",
    "wave": "∿",
    "elastic": "≋",
    "blur": "◌",
    "occlusion": "■",
    "speckle": "⁘",
    "gamma": "γ",
}
PAPER_MECHANISMS = tuple(SYMBOLS)[:10]


def mechanism_title(spec: str) -> str:
    """A mechanism as a person reads it: `down_right=6` becomes `down-right=6`, and `mine.py:twist` becomes `twist`."""
    return spec.rpartition(":")[2].replace("_", "-")


def mechanism_name(spec: str) -> str:
    """The mechanism without its strength, as a person reads it: `down_right=6` becomes `down-right`."""
    return mechanism_title(spec.partition("=")[0])


class ConfigError(ActionableError, ValueError):
    """A configuration that cannot be run; the message is one sentence with the value and the remedy."""


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ConfigError(sentence)


@cache
def _choices(section: type) -> dict[str, tuple[str, ...]]:
    """The fields of a configuration class that hold one of some words, and these words."""
    kinds = get_type_hints(section).items()
    return {name: get_args(kind) for name, kind in kinds if get_origin(kind) is Literal}


def _require_choices(settings: object, prefix: str = "") -> None:
    """ConfigError when a field that holds one of some words holds another; `prefix` is the name of the section."""
    for name, words in _choices(type(settings)).items():
        value = getattr(settings, name)
        known = f"{', '.join(words[:-1])} or {words[-1]}"
        _require(value in words, f"{prefix}{name} is {value!r}; use {known}")


@dataclass(frozen=True)
class ModelConfig:
    """The experts and the discriminator."""

    experts: int = 10
    """Number of experts N'; may differ from the number of mechanisms."""
    filters: int = 32
    """Filters in each hidden convolution of an expert."""
    norm: Literal["none", "group", "batch"] = "none"
    """Normalisation inside the experts; batch is the paper's."""
    statistics: Literal["batch", "sample"] = "batch"
    """Images through which norm batch learns: the whole batch, as in the paper, or those an expert won and a few others, which is quicker."""
    others: int = 8
    """How many other images statistics sample takes beside those an expert won."""
    discriminator_filters: int = 16
    """Filters in the discriminator's first three convolutions; later ones have two and four times as many."""
    discriminator_hidden: int = 1024
    """Width of the discriminator's dense layer."""

    def __post_init__(self) -> None:
        _require(1 <= self.experts <= 100, f"model.experts is {self.experts}; use 1 to 100")
        _require(1 <= self.filters <= 512, f"model.filters is {self.filters}; use 1 to 512")
        _require_choices(self, "model.")
        _require(
            self.norm != "group" or self.filters % 4 == 0,
            f"model.norm group makes 4 groups; model.filters {self.filters} is not a multiple of 4",
        )
        _require(
            self.statistics == "batch" or self.norm == "batch",
            f"model.statistics is sample and model.norm {self.norm} has no statistics; use norm batch or statistics batch",
        )
        _require(0 <= self.others <= 4096, f"model.others is {self.others}; use 0 to 4096")
        _require(
            1 <= self.discriminator_filters <= 256,
            f"model.discriminator_filters is {self.discriminator_filters}; use 1 to 256",
        )
        _require(
            1 <= self.discriminator_hidden <= 8192,
            f"model.discriminator_hidden is {self.discriminator_hidden}; use 1 to 8192",
        )


@dataclass(frozen=True)
class IdentityConfig:
    """Approximate identity initialisation: before the race every expert learns to copy its input."""

    start: Literal["independent", "shared"] = "independent"
    """independent trains every expert by itself; shared trains one and gives the others perturbed copies."""
    steps: int = 500
    """Steps after which the race begins even if the error is still above the target."""
    batch: int = 8
    """Transformed images a step; copying is easy, and every expert that still learns it answers all of them."""
    target_error: float = 0.002
    """Mean squared error on transformed images, averaged over some ten steps, at which an expert stops."""
    perturbation: float = 0.05
    """Relative standard deviation of the noise on each weight of a shared start."""

    def __post_init__(self) -> None:
        _require_choices(self, "identity.")
        _require(0 <= self.steps <= MOST_STEPS, f"identity.steps is {self.steps}; use 0 to {MOST_STEPS:,}")
        _require(1 <= self.batch <= 4096, f"identity.batch is {self.batch}; use 1 to 4096")
        _require(0 < self.target_error <= 1, f"identity.target_error is {self.target_error}; use 1 or less")
        _require(0 <= self.perturbation <= 1, f"identity.perturbation is {self.perturbation}; use 0 to 1")


@dataclass(frozen=True)
class ConscienceConfig:
    """Help for experts that win too little, in the early steps; assumes that all mechanisms are equally frequent."""

    rule: Literal["none", "conscience"] = "none"
    """none lets the score alone decide, as in the paper; conscience adds a bias to the score of an expert that wins less than its share, and takes some from one that wins more."""
    rate: float = 3.0
    """How much bias a step adds, in logits, for a share of wins that is one too small."""
    leak: float = 0.02
    """Part of each bias that is forgotten at every step."""
    until: int = 200
    """Step after which no bias is added; what is left leaks away, and then the score alone decides."""

    def __post_init__(self) -> None:
        _require_choices(self, "conscience.")
        _require(0 <= self.rate <= 1000, f"conscience.rate is {self.rate}; use 0 to 1000")
        _require(0 < self.leak <= 1, f"conscience.leak is {self.leak}; use a value above 0, at most 1")
        _require(0 <= self.until <= MOST_STEPS, f"conscience.until is {self.until}; use 0 to {MOST_STEPS:,}")


@dataclass(frozen=True)
class RosterConfig:
    """Who plays: as many experts as there are, or as many as the competition finds work for."""

    rule: Literal["fixed", "open"] = "fixed"
    """fixed lets every expert play, as in the paper; open dismisses experts that the others can do without and hires others, up to the number of experts."""
    start: int = 4
    """How many experts of an open roster play at first."""
    every: int = 20
    """Steps between two looks at who is needed."""
    grace: int = 100
    """Steps that an expert plays before it can be dismissed, and without a change before another one is hired, unless all have work."""
    idle: float = 0.1
    """An expert is dismissed that would win less than this part of an equal share by its score alone."""
    twins: float = 4.0
    """An expert is a twin, and dismissed, where its answers are nearer to another's than to most by so many dB, and the next best score is nearly as good."""
    vain: int = 2
    """How many hires in a row may be in vain, somebody being dismissed after each, before nobody is hired any more."""

    def __post_init__(self) -> None:
        _require_choices(self, "roster.")
        _require(1 <= self.start <= 100, f"roster.start is {self.start}; use 1 to 100")
        _require(1 <= self.every <= MOST_STEPS, f"roster.every is {self.every}; use 1 to {MOST_STEPS:,}")
        _require(1 <= self.grace <= MOST_STEPS, f"roster.grace is {self.grace}; use 1 to {MOST_STEPS:,}")
        _require(0 <= self.idle <= 1, f"roster.idle is {self.idle}; use 0 to 1")
        _require(0 < self.twins <= 100, f"roster.twins is {self.twins}; use a value above 0, at most 100")
        _require(0 <= self.vain <= 100, f"roster.vain is {self.vain}; use 0 to 100")


@dataclass(frozen=True)
class TrainingConfig:
    """The competition."""

    steps: int = 2000
    """Steps of the competition."""
    batch: int = 32
    """Transformed images a step, and as many canonical ones."""
    learning_rate: float = 1e-3
    """Adam's step size, for every expert and for the discriminator."""
    cooldown: float = 0.0
    """Part of the steps, at the end, over which the step size falls to zero, which makes the answers cleaner; 0 keeps it, as in the paper."""
    clip: float = 0.0
    """Largest norm of an expert's gradient: a larger one is shortened to it, so that no odd batch moves an expert far; 0 for none, as in the paper."""
    losers_are_fake: bool = True
    """Whether the answers of losing experts count as fakes for the discriminator, as in the paper."""
    blanks: int = 0
    """Blank and nearly blank images among the discriminator's fakes at each step, since a blank is no digit; 0, as in the paper."""

    def __post_init__(self) -> None:
        _require(1 <= self.steps <= MOST_STEPS, f"training.steps is {self.steps}; use 1 to {MOST_STEPS:,}")
        _require(1 <= self.batch <= 4096, f"training.batch is {self.batch}; use 1 to 4096")
        rate = self.learning_rate
        _require(0 < rate <= 1, f"training.learning_rate is {rate}; use a value above 0, at most 1")
        _require(0 <= self.cooldown <= 1, f"training.cooldown is {self.cooldown}; use 0 to 1")
        _require(0 <= self.clip <= 1e6, f"training.clip is {self.clip}; use 0 for none, or up to 1,000,000")
        _require(0 <= self.blanks <= self.batch, f"training.blanks is {self.blanks}; use 0 to {self.batch}")


@dataclass(frozen=True)
class RecordingConfig:
    """What a run writes and how often."""

    every: int = 5
    """Steps between two rows of metrics.jsonl; at first there are more, every step to 50 and every second to 200, and wherever networks are kept."""
    state_every: int = 50
    """Steps between two states that a crashed run can be resumed from."""

    def __post_init__(self) -> None:
        for name, steps in asdict(self).items():
            _require(1 <= steps <= MOST_STEPS, f"recording.{name} is {steps}; use 1 to {MOST_STEPS:,}")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes."""

    preset: str = "paper"
    """Name of the preset that the other values started from."""
    seed: int = 0
    """Seed of everything random: weights, halves of the data, batches, noise."""
    source: Literal["auto", "mnist", "builtin", "fashion", "mixture"] = "auto"
    """Images to learn from; auto takes MNIST where the data root has it, else the built-in digits, of which 4,000 are learned from; fashion is clothes, mixture as many digits as clothes."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto takes a GPU when there is one."""
    arithmetic: Literal["exact", "fast"] = "fast"
    """exact computes in float32 and gives the same bits each time; fast may use TensorFloat-32 on a GPU, and bfloat16 on a CPU where a short timing finds it quicker."""
    mechanisms: tuple[str, ...] = PAPER_MECHANISMS
    """Transformations to invert, each a name or name=strength, such as noise=0.1, or your own, such as mine.py:twist."""
    frequencies: tuple[float, ...] = ()
    """How often each mechanism is drawn, relative to the others, such as 2 1 1; empty draws all equally often."""
    canonicals: int = 0
    """How many digits are ever shown canonical, the same ones again and again; 0 shows all of their half."""
    model: ModelConfig = field(default_factory=ModelConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    conscience: ConscienceConfig = field(default_factory=ConscienceConfig)
    roster: RosterConfig = field(default_factory=RosterConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**63, f"seed is {self.seed}; use 0 to 2^63 - 1")
        _require_choices(self)
        _require(len(self.mechanisms) >= 1, "mechanisms is empty; name at least one")
        _require(
            len(self.frequencies) in (0, len(self.mechanisms)),
            f"frequencies has {len(self.frequencies)} numbers for {len(self.mechanisms)} mechanisms; give one each, or none",
        )
        for each in self.frequencies:
            _require(1e-3 <= each <= 1e3, f"frequencies has {each}; use 0.001 to 1,000")
        _require(self.canonicals >= 0, f"canonicals is {self.canonicals}; use 0 for all, or 1 or more")
        if self.roster.rule == "open":
            self._check_roster()

    def _check_roster(self) -> None:
        _require(
            self.conscience.rule == "conscience",
            "roster.rule is open and conscience.rule is none: nobody would leave work to an expert that is hired; use conscience",
        )
        _require(
            self.roster.start <= self.model.experts,
            f"roster.start is {self.roster.start}; use 1 to {self.model.experts}, the experts there are",
        )
        _require(
            self.roster.every % self.recording.every == 0,
            f"roster.every is {self.roster.every}; use a multiple of recording.every, {self.recording.every}, so that a row has one roster",
        )


SECTIONS = {
    "model": ModelConfig,
    "identity": IdentityConfig,
    "conscience": ConscienceConfig,
    "roster": RosterConfig,
    "training": TrainingConfig,
    "recording": RecordingConfig,
}

# What earlier versions did not know and so did not write. Their runs did what the defaults of these fields and sections do.
ADDED = {
    "model.statistics", "model.others", "conscience", "roster", "frequencies", "canonicals",
    "training.cooldown", "training.blanks", "training.clip",
}  # fmt: skip

OTHER_VERSION = "use the version of the project that wrote it"

# What a version once knew and wrote, and the value that means what is done without it.
REMOVED = {"training.losers_in_turn": 0}


def to_json(config: RunConfig) -> dict[str, Any]:
    return {"schema": SCHEMA, **asdict(config)}


def from_json(data: Mapping[str, Any]) -> RunConfig:
    """The configuration that `to_json` wrote; ConfigError when a key is missing, unknown, or has a value of another type."""
    schema = data.get("schema")
    _require(schema == SCHEMA, f"config schema is {schema!r}; this version reads {SCHEMA}; {OTHER_VERSION}")
    values = {key: value for key, value in data.items() if key != "schema"}
    values |= {name: asdict(SECTIONS[name]()) for name in SECTIONS.keys() & ADDED if name not in values}
    sections = {name: _checked(section, values.get(name), f"{name}.") for name, section in SECTIONS.items()}
    outer = _checked(RunConfig, {**values, **sections}, "")
    return RunConfig(**{**outer, **{name: section(**sections[name]) for name, section in SECTIONS.items()}})


def _checked(section: type, values: object, prefix: str) -> dict[str, Any]:
    """The values as `section` takes them; ConfigError names the first that is missing, unknown or of another type."""
    _require(isinstance(values, Mapping), f"{prefix.rstrip('.') or 'config'} is {values!r}; it holds fields")
    assert isinstance(values, Mapping)
    values = {name: value for name, value in values.items() if REMOVED.get(prefix + name, ...) != value}
    types = _types(section)
    for name in sorted(types.keys() ^ values.keys()):
        _require(
            prefix + name in ADDED and name in types,
            f"{prefix}{name} is {'missing' if name in types else 'unknown'} in this version; {OTHER_VERSION}",
        )
    for name, value in values.items():
        _require(
            name in SECTIONS or _is_a(value, types[name]),
            f"{prefix}{name} is {value!r}, which is no value for it",
        )
    return {name: _from_json(value, types[name]) for name, value in values.items()}


@cache
def _types(section: type) -> dict[str, Any]:
    """The types of its fields. Finding them out takes longer than all the rest, and pages ask many times a second."""
    return get_type_hints(section)


def _from_json(value: Any, kind: Any) -> Any:
    """The value in its own type: in JSON a tuple is a list, and a float may be written as a whole number."""
    if kind is float:
        return float(value)
    if isinstance(value, list | tuple):
        return tuple(_from_json(each, get_args(kind)[0]) for each in value)
    return value


def _is_a(value: object, kind: Any) -> bool:
    """Whether JSON gave a value of that type. A whole number counts as a float too, a bool as no number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_is_a(each, get_args(kind)[0]) for each in value)
    if kind is float:
        return type(value) in (int, float) and abs(value) < math.inf  # pyright: ignore[reportArgumentType]
    return type(value) is kind


def changed_fields(config: RunConfig, base: RunConfig) -> dict[str, Any]:
    """Dotted names and values of the fields in which `config` differs from `base`, in the order of the classes."""
    changed: dict[str, Any] = {}
    for outer in fields(config):
        value, before = getattr(config, outer.name), getattr(base, outer.name)
        if hasattr(value, "__dataclass_fields__"):
            for inner in fields(value):
                if getattr(value, inner.name) != getattr(before, inner.name):
                    changed[f"{outer.name}.{inner.name}"] = getattr(value, inner.name)
        elif value != before:
            changed[outer.name] = value
    return changed


@cache
def field_sentences(section: type) -> dict[str, str]:
    """The sentence under each field of a configuration class, by field name."""
    (definition,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    sentences: dict[str, str] = {}
    for above, below in zip(definition.body, definition.body[1:]):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name):
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                sentences[above.target.id] = str(below.value.value)
    return sentences
