"""A hundred and forty-six ways to damage a small file of a run, or of the image sets. Each is a name and what it does to the
run's folder and the data root."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Harm = Callable[[Path, Path], None]

JSON_FILES = ("config.json", "status.json", "environment.json", "card.json")
CONTENTS: dict[str, bytes] = {
    "a list": b"[]",
    "null": b"null",
    "a word": b'""',
    "a number": b"7",
    "an empty object": b"{}",
    "cut": b'{"schema": 1,',
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00{",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a long number": b"9" * 5000,
    "zeros": bytes(500),
}

CONFIG: dict[str, tuple[str, Any]] = {
    "seed a word": ("seed", "a"),
    "seed null": ("seed", None),
    "seed NaN": ("seed", float("nan")),
    "preset a number": ("preset", 7),
    "preset unknown": ("preset", "vast"),
    "source unknown": ("source", "letters"),
    "source auto": ("source", "auto"),
    "source a list": ("source", []),
    "device unknown": ("device", "tpu"),
    "device a number": ("device", 1),
    "arithmetic unknown": ("arithmetic", "quick"),
    "mechanisms a word": ("mechanisms", "right"),
    "mechanisms empty": ("mechanisms", []),
    "mechanisms numbers": ("mechanisms", [7, 8]),
    "mechanisms unknown": ("mechanisms", ["right=6", "rot45"]),
    "mechanisms lists": ("mechanisms", [["right"], ["left"]]),
    "mechanisms NaN": ("mechanisms", ["right=nan", "noise=inf"]),
    "model null": ("model", None),
    "experts a word": ("model.experts", "3"),
    "experts other": ("model.experts", 5),
    "experts a fraction": ("model.experts", 2.5),
    "filters other": ("model.filters", 8),
    "filters true": ("model.filters", True),
    "norm unknown": ("model.norm", "layer"),
    "norm other": ("model.norm", "batch"),
    "steps a word": ("training.steps", "60"),
    "steps huge": ("training.steps", 10**30),
    "steps a fraction": ("training.steps", 0.5),
    "learning rate NaN": ("training.learning_rate", float("nan")),
    "every 0": ("recording.every", 0),
    "schema of later": ("schema", 99),
    "a strange field": ("stranger", 1),
}
STATUS: dict[str, tuple[str, Any]] = {
    "phase unknown": ("phase", "dreaming"),
    "phase null": ("phase", None),
    "phase a list": ("phase", []),
    "step a word": ("step", "5"),
    "step null": ("step", None),
    "step negative": ("step", -1),
    "step huge": ("step", 10**30),
    "of 0": ("of", 0),
    "of null": ("of", None),
    "message a number": ("message", 7),
    "message null": ("message", None),
    "heartbeat null": ("heartbeat", None),
    "heartbeat NaN": ("heartbeat", float("nan")),
    "heartbeat huge": ("heartbeat", 1e300),
    "speed a word": ("steps_per_second", "fast"),
    "speed infinite": ("steps_per_second", float("inf")),
    "a strange field": ("stranger", 1),
}
ENVIRONMENT: dict[str, tuple[str, Any]] = {
    "engine a word": ("engine", "loop"),
    "engine empty": ("engine", {}),
    "engine unknown": ("engine", {"experts": "woven", "dtype": "f7", "deterministic": None}),
    "threads null": ("threads", None),
    "device a number": ("device", 7),
    "created huge": ("created", 1e300),
    "packages a list": ("packages", []),
}
CARD: dict[str, dict[str, Any]] = {
    "over_steps a number": {"over_steps": 7},
    "over_steps of words": {"over_steps": ["a", "b"]},
    "over_steps of null": {"over_steps": [{"step": None, "set": None, "psnr_owner": None}]},
    "digits null": {"digits": None, "elsewhere": None},
}


def harms() -> dict[str, Harm]:
    """By name, "file: how"."""
    found: dict[str, Harm] = {
        f"{file}: {how}": _holds(file, content) for file in JSON_FILES for how, content in CONTENTS.items()
    }
    for file in ("config.json", "status.json"):
        found[f"{file}: a folder"] = _folder(file)
        found[f"{file}: a link to nowhere"] = _link(file, "nowhere")
        found[f"{file}: a link to itself"] = _link(file, file)
    found |= {f"config.json: {how}": _field("config.json", *pair) for how, pair in CONFIG.items()}
    found |= {f"status.json: {how}": _field("status.json", *pair) for how, pair in STATUS.items()}
    found |= {
        f"environment.json: {how}": _field("environment.json", *pair) for how, pair in ENVIRONMENT.items()
    }
    found |= {f"card.json: {how}": _card(values) for how, values in CARD.items()}
    return found | OTHERS


def _holds(file: str, content: bytes) -> Harm:
    return lambda folder, root: _write(folder / file, content)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _folder(file: str) -> Harm:
    def harm(folder: Path, root: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()
        (folder / file / "inside").write_text("a file")

    return harm


def _link(file: str, target: str) -> Harm:
    def harm(folder: Path, root: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(target)

    return harm


def _field(file: str, name: str, value: Any) -> Harm:
    """One field, "section.field" in a section, becomes `value`."""

    def harm(folder: Path, root: Path) -> None:
        content = json.loads((folder / file).read_text())
        *sections, last = name.split(".")
        inner = content
        for section in sections:
            inner = inner[section]
        inner[last] = value
        (folder / file).write_text(json.dumps(content))

    return harm


def _card(values: dict[str, Any]) -> Harm:
    """The card becomes that of the run that ships with the project, with these values changed."""

    def harm(folder: Path, root: Path) -> None:
        shipped = Path(__file__).parents[2] / "checkpoints" / "pretrained" / "card.json"
        card = {**json.loads(shipped.read_text()), **values}
        (folder / "card.json").write_text(json.dumps(card))

    return harm


def _as_file(name: str) -> Harm:
    def harm(folder: Path, root: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).write_text("a file")

    return harm


def _snapshot_named(name: str) -> Harm:
    """A copy of the newest snapshot under another name."""

    def harm(folder: Path, root: Path) -> None:
        newest = max((folder / "snapshots").glob("step_*.safetensors"))
        shutil.copy(newest, folder / "snapshots" / name)

    return harm


def _other_shape(folder: Path, root: Path) -> None:
    """The newest snapshot becomes that of the run that ships with the project, which has other experts."""
    shipped = Path(__file__).parents[2] / "checkpoints" / "pretrained" / "snapshots"
    newest = max((folder / "snapshots").glob("step_*.safetensors"))
    shutil.copy(max(shipped.glob("step_*.safetensors")), newest)


def _history(change: Callable[[bytes], bytes]) -> Harm:
    def harm(folder: Path, root: Path) -> None:
        path = folder / "history.f8"
        path.write_bytes(change(path.read_bytes()))

    return harm


def _all(value: float) -> Callable[[bytes], bytes]:
    return lambda content: np.full(len(content) // 8, value).tobytes()


def _mnist(contents: dict[str, bytes | None]) -> Harm:
    """Puts files of MNIST under the data root, a folder for None. The run says that it learned from MNIST."""

    def harm(folder: Path, root: Path) -> None:
        _field("config.json", "source", "mnist")(folder, root)
        for name, content in contents.items():
            path = root / "MNIST" / "raw" / name
            if content is None:
                path.mkdir(parents=True)
            else:
                _write(path, content)

    return harm


MNIST = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]

OTHERS: dict[str, Harm] = {
    "label.txt: not UTF-8": _holds("label.txt", b"\xff\xfe\xfd"),
    "label.txt: a megabyte": _holds("label.txt", b"x" * 1_000_000),
    "label.txt: zeros": _holds("label.txt", bytes(100)),
    "label.txt: a folder": _folder("label.txt"),
    "lock: a folder": _folder("lock"),
    "lock: a link to itself": _link("lock", "lock"),
    "start.lock: a folder": _folder("start.lock"),
    "STOP: a folder": _folder("STOP"),
    "log.txt: a folder": _folder("log.txt"),
    "log.txt: not UTF-8": _holds("log.txt", b"\xff\xfe\n" * 999),
    "snapshots: a file": _as_file("snapshots"),
    "state: a file": _as_file("state"),
    "snapshots: a copy beside": _snapshot_named("step_000012 (copy).safetensors"),
    "snapshots: no number": _snapshot_named("step_.safetensors"),
    "snapshots: a negative number": _snapshot_named("step_-00012.safetensors"),
    "snapshots: a foreign digit": _snapshot_named("step_٩٩٩.safetensors"),
    "snapshots: a huge number": _snapshot_named(f"step_{'9' * 200}.safetensors"),
    "snapshots: a folder": _folder("snapshots/step_000018.safetensors"),
    "snapshots: of another shape": _other_shape,
    "history.f8: a folder": _folder("history.f8"),
    "history.f8: NaN": _history(_all(float("nan"))),
    "history.f8: huge": _history(_all(1e300)),
    "history.f8: text": _holds("history.f8", b"hello, I am no number\n" * 99),
    "metrics.jsonl: a folder": _folder("metrics.jsonl"),
    "metrics.jsonl: a link to itself": _link("metrics.jsonl", "metrics.jsonl"),
    "environment.json: a folder": _folder("environment.json"),
    "card.json: a folder": _folder("card.json"),
    "metrics.jsonl: not UTF-8": _holds("metrics.jsonl", b"\xff\xfe\n" * 9),
    "MNIST: one file": _mnist({MNIST[0]: b"\x00\x00\x08\x03"}),
    "MNIST: empty files": _mnist(dict.fromkeys(MNIST, b"")),
    "MNIST: garbage": _mnist(dict.fromkeys(MNIST, os.urandom(5000))),
    "MNIST: folders": _mnist(dict.fromkeys(MNIST)),
}
