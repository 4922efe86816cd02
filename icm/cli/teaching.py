"""Commands that teach a network of known answers, to measure the experts by: reader, supervised.

torch takes seconds to import, so it is imported inside the commands, after their options are checked."""

import time
from dataclasses import asdict
from datetime import date
from typing import Any

from icm.cli.measuring import write_result
from icm.cli.options import Reader, Supervised
from icm.cli.terminal import LOG_EVERY
from icm.cli.words import UsageError, at_least_one, parse
from icm.presets import PRESETS


def reader(words: list[str]) -> int:
    """Trains the digit reader."""
    command = parse(Reader, words)
    at_least_one("--epochs", command.epochs)
    if command.seed < 0:
        raise UsageError(f"--seed is {command.seed}; use 0 or more")
    if command.source != "mnist" and command.out is None:
        raise UsageError(
            f"--source is {command.source}: give --out a folder; the project's reader learns from mnist"
        )

    from icm.images.digits import data_root, load_digits, resolve_source
    from icm.measure import reader as classifier

    root = data_root(command.data_root)
    digits = load_digits(resolve_source(command.source, root), root)
    learner = classifier.new_reader(command.seed)
    shown = 0.0
    for done in classifier.train_reader(
        learner, digits.train, digits.train_labels, command.seed, command.epochs
    ):
        if done.step == done.of or time.monotonic() - shown >= LOG_EVERY:
            shown = time.monotonic()
            print(f"reader {done.step} of {done.of}, loss {done.loss:.3f}", flush=True)

    folder = command.out or classifier.SHIPPED
    classifier.save_reader(learner, folder)
    card = classifier.write_card(folder, digits, command.seed, command.epochs)
    print(f"reads {card['test_accuracy']:.2%} of {card['test']}; weights and card are under {folder}")
    return 0


def supervised(words: list[str]) -> int:
    """Teaches an expert's network each mechanism with pairs."""
    command = parse(Supervised, words)
    for option in ("steps", "batch", "images"):
        at_least_one(f"--{option}", getattr(command, option))
    if command.seed < 0:
        raise UsageError(f"--seed is {command.seed}; use 0 or more")

    from icm.images.digits import data_root, load_digits, named_source
    from icm.images.mechanisms import parse as parse_mechanisms
    from icm.measure.supervised import taught

    mechanisms = parse_mechanisms(command.mechanisms)
    digits = load_digits(named_source(command.source), data_root(command.where.data_root))
    held_out = digits.test[: command.images]
    found: dict[str, dict[str, float]] = {}
    for mechanism in mechanisms:
        each = taught(
            PRESETS["robust"].model,
            mechanism,
            digits.train,
            held_out,
            command.steps,
            command.batch,
            command.seed,
        )
        found[mechanism.spec] = {name: round(value, 2) for name, value in asdict(each).items()}
        print(f"{mechanism.spec}: {each.psnr:.1f} dB, doing nothing {each.psnr_nothing:.1f}", flush=True)
        if command.out is not None:
            write_result(command.out, _taught(command, digits.source, len(held_out), found))
    return 0


def _taught(
    command: Supervised, source: str, images: int, found: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """The result so far. What was taught is kept when the next is cut off."""
    asked = {"source": source, "steps": command.steps, "batch": command.batch, "seed": command.seed}
    options = " ".join(f"--{name} {value}" for name, value in asked.items())
    return {
        "command": f"python -m icm supervised --mechanisms {' '.join(found)} {options} --images {images}",
        **asked,
        "images": images,
        "date": date.today().isoformat(),
        "mechanisms": found,
    }
