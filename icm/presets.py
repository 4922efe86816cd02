"""The named settings that a run starts from, and the command that trains a run like another."""

from icm.config import (
    ConfigError,
    ConscienceConfig,
    IdentityConfig,
    ModelConfig,
    RecordingConfig,
    RunConfig,
    TrainingConfig,
    changed_fields,
)

PRESETS: dict[str, RunConfig] = {
    "tiny": RunConfig(
        preset="tiny",
        mechanisms=("right=6", "left=6", "contrast"),
        model=ModelConfig(experts=3, filters=4, discriminator_filters=4, discriminator_hidden=32),
        identity=IdentityConfig(start="shared", steps=20),
        training=TrainingConfig(steps=60, batch=8),
        recording=RecordingConfig(every=1, state_every=20),
    ),
    "quick": RunConfig(
        preset="quick",
        mechanisms=("right", "left", "down", "up"),
        model=ModelConfig(
            experts=4,
            filters=16,
            norm="batch",
            statistics="sample",
            others=4,
            discriminator_filters=8,
            discriminator_hidden=512,
        ),
        identity=IdentityConfig(start="shared", steps=120),
        conscience=ConscienceConfig(rule="conscience"),
        training=TrainingConfig(steps=350, batch=16, learning_rate=2e-3, cooldown=0.5),
    ),
    "robust": RunConfig(
        preset="robust",
        model=ModelConfig(norm="batch", statistics="sample"),
        identity=IdentityConfig(start="shared"),
        conscience=ConscienceConfig(rule="conscience", until=350),
        training=TrainingConfig(steps=700, cooldown=0.5, clip=5.0),
    ),
    "paper": RunConfig(preset="paper", model=ModelConfig(norm="batch")),
}

PRESET_SENTENCES: dict[str, str] = {
    "tiny": "Three little experts, seconds: shows that everything works, too short to learn.",
    "quick": "First contact on a laptop: four experts learn to undo four translations, while you watch.",
    "robust": "The paper's networks and mechanisms, with help to part: a conscience early on, and steps that cost less.",
    "paper": "The paper's setting: ten experts fight over ten mechanisms; most are decided within 500 steps.",
}


def preset(name: str) -> RunConfig:
    """The named preset; ConfigError lists the known ones."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def command_line(config: RunConfig) -> str:
    """The command that trains `config`: its preset and the fields that differ from it."""
    words = ["python -m icm train --preset", config.preset]
    for name, value in changed_fields(config, preset(config.preset)).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            section, _, last = option.rpartition(".")
            words.append(f"--{option}" if value else f"--{section}.no-{last}")
        else:
            words += [f"--{option}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return " ".join(words)
