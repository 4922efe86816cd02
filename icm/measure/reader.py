"""The digit reader: a small network that says which digit an image shows, to judge what the experts make of it.

It is trained on untouched digits alone, never on transformed ones or on an expert's answer. Nothing prepares it for a shift
or for bright and dark swapped: it reads what looks like MNIST. Images: batch 1 height width, in [0, 1]."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Generator, Tensor, nn
from torch.nn import functional

from icm.errors import ActionableError
from icm.files import PROJECT, on_disk, write_whole
from icm.images.batches import as_images, generator_for
from icm.images.digits import Digits
from icm.images.look import SIZE
from icm.shapes import Images, Labels, Pixels

SHIPPED = PROJECT / "checkpoints" / "reader"
WEIGHTS, CARD = "reader.safetensors", "card.json"
DIGITS = 10
WIDTHS = (1, 16, 32, 64)  # filters, from one resolution to the next
HIDDEN = 64
BATCH = 128
PEAK_RATE = 3e-3  # Adam's learning rate where it is highest
CHUNK = 250  # images read at once


class ReaderError(ActionableError):
    """The weights of a reader cannot be loaded; the message is one sentence with the place and the remedy."""


@dataclass(frozen=True)
class ReaderStep:
    """What one step of training did."""

    step: int
    of: int  # steps in all
    loss: float  # cross-entropy, nats


class Reader(nn.Module):
    """Ten logits for each image: three 3x3 convolutions with ReLU and pooling, two dense layers; 89,546 weights."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(fan_in, fan_out, 3, padding=1) for fan_in, fan_out in pairwise(WIDTHS)]
        self.convolutions = nn.ModuleList(convolutions)
        self.dense = nn.Linear(WIDTHS[-1] * (SIZE // 2 ** len(convolutions)) ** 2, HIDDEN)
        self.logits = nn.Linear(HIDDEN, DIGITS)
        for layer in (*convolutions, self.dense, self.logits):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Images) -> Float[Tensor, "batch 10"]:
        x = images
        for convolution in self.convolutions:
            x = functional.max_pool2d(convolution(x), 2).relu()
        return self.logits(self.dense(x.flatten(1)).relu())


def new_reader(seed: int) -> Reader:
    """An untrained reader."""
    return Reader(generator_for(seed, "weights"))


def train_reader(
    reader: Reader, train: Pixels, labels: Labels, seed: int, epochs: int
) -> Iterator[ReaderStep]:
    """Changes the reader: trains it with Adam on cross-entropy. The learning rate rises once and falls to almost nothing."""
    of = epochs * -(-len(train) // BATCH)
    adam = torch.optim.Adam(reader.parameters(), lr=PEAK_RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_RATE, total_steps=of)
    step = 0
    for epoch in range(epochs):
        order = torch.randperm(len(train), generator=generator_for(seed, "batch", epoch))
        for chosen in order.split(BATCH):
            loss = functional.cross_entropy(reader(as_images(train[chosen])), labels[chosen])
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()

            step += 1
            yield ReaderStep(step, of, loss.item())


@torch.no_grad()
def accuracy(reader: Reader, images: Images, labels: Labels) -> float:
    """Share of the images that are read right."""
    read = torch.cat([reader(part).argmax(1) for part in images.split(CHUNK)])
    return float((read == labels).double().mean())


def top_digits(logits: Float[Tensor, " 10"], count: int = 3) -> list[tuple[int, float]]:
    """The likeliest digits of one image with their probabilities, likeliest first."""
    probability, digit = logits.softmax(0).topk(count)
    return list(zip(digit.tolist(), probability.tolist()))


def save_reader(reader: Reader, folder: Path) -> None:
    """Writes the weights as float16, which halves the size; 99.26 % of MNIST's test digits are read right either way."""
    halves = {name: value.half().contiguous() for name, value in reader.state_dict().items()}
    with on_disk(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS, save(halves))


def load_reader(folder: Path = SHIPPED) -> Reader:
    """The reader whose weights lie in `folder`, on the CPU, in float32 and frozen. ReaderError when they cannot be loaded."""
    reader = new_reader(seed=0)
    try:
        reader.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ReaderError(
            f"the digit reader under {folder} cannot be read ({error}); `python -m icm reader` trains one"
        ) from error
    return reader.eval().requires_grad_(False)


def write_card(folder: Path, digits: Digits, seed: int, epochs: int) -> dict[str, Any]:
    """Measures the weights in `folder` on the held-out digits. Writes a card beside them that says so, and how they were made."""
    options = "" if digits.source == "mnist" else f" --source {digits.source}"
    card = {
        "what": "digit reader: which digit an image of 32 x 32 pixels shows",
        "weights": f"{WEIGHTS}, float16",
        "source": digits.source,
        "train": f"{len(digits.train):,} {digits.source} training digits, untouched",
        "test": f"{len(digits.test):,} held-out {digits.source} digits, untouched",
        "test_accuracy": round(accuracy(load_reader(folder), as_images(digits.test), digits.test_labels), 4),
        "seed": seed,
        "epochs": epochs,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "command": f"python -m icm reader --seed {seed} --epochs {epochs}{options}",
    }
    write_whole(folder / CARD, json.dumps(card, indent=2).encode() + b"\n")
    return card
