"""Every cache of what the pages compute, and what each is keyed by.

Caches serve the whole server for as long as it runs. So whatever a result depends on is found out before the cache is asked,
and is part of its key. Pictures of experts depend on a snapshot and on digits: `SnapshotKey`."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch

from icm.config import RunConfig
from icm.images.batches import as_images
from icm.images.digits import Digits, Source, data_root, load_digits, resolve_source, source_at_hand
from icm.images.mechanisms import Mechanism, parse
from icm.images.unseen import Look, Unseen, load_unseen
from icm.measure.diagnosis import Diagnosis, diagnose
from icm.measure.dots import SIDE, answers_to_dots
from icm.measure.evaluation import Evaluation, Examples, evaluate, examples, examples_of_one, networks
from icm.measure.faults import Faults, faults
from icm.measure.fingerprint import fingerprint
from icm.measure.reader import Reader, load_reader
from icm.measure.replay import Replay, replay
from icm.measure.response import Response, response
from icm.measure.transfer import evaluate_sets
from icm.method.competition import Contest, count_wins
from icm.method.networks import Discriminator, ExpertBank
from icm.ownership import owners, win_share
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.shapes import Pixels
from icm.show.experts import badge, colour
from icm.show.mosaics import picture_table
from pages.ui import html
from pages.ui.others import Others
from pages.ui.run_view import SOURCES

OF_MNIST = ("mnist", "mixture")  # sources of which the built-in digits are a part
KINDS: dict[Source, tuple[str, str]] = {  # one image of a source, and all of them, in a sentence
    "fashion": ("garment", "the clothes"),
    "mixture": ("image", "the digits and clothes"),
}
DIGITS = ("digit", "the digits")
DETAIL_DIGITS = 8
MIXED_DIGITS = 10  # through each mechanism
JUDGED_IMAGES, JUDGED_LIVE = (
    30,
    10,
)  # for each expert; of a run that is being trained, whose trainer wants the machine
FINGERPRINT_IMAGES = 6
RESPONSE_DIGITS = 16
torch.set_num_threads(1)  # the other cores are the trainer's
JUDGE = ThreadPoolExecutor(1, initializer=partial(torch.set_num_threads, 1))


@dataclass(frozen=True)
class SnapshotKey:
    """A snapshot, and the digits that its experts are shown on: all that the pictures of a run depend on."""

    folder: Path
    step: int
    digest: str  # of the snapshot: another run may take this one's name, and its folder
    config: RunConfig
    source: Source  # the run's own images, or the built-in digits while these are not here
    root: Path

    @property
    def own(self) -> bool:
        """Whether these are the run's own images."""
        return self.source == self.config.source

    @property
    def held_out(self) -> bool:
        """Whether no expert learned from these images: the built-in ones are some of MNIST's training digits."""
        return self.own or self.config.source not in OF_MNIST

    def never_trained_on(self, name: str) -> bool:
        """Whether no expert learned from these images, nor from the set of that name."""
        return self.held_out and not (self.config.source in OF_MNIST and name == "builtin")

    @property
    def kind_of_digit(self) -> str:
        """What one image in the pictures is, in words that claim no more than is so."""
        if self.own:
            return f"held-out {KINDS.get(self.source, DIGITS)[0]}"
        seen = "" if self.held_out else ", and the experts may have seen it"
        return f"built-in digit ({SOURCES[self.config.source]} is not here{seen})"

    @property
    def named(self) -> str:
        """What the images that its experts are shown on are called in a sentence, all of them."""
        return KINDS.get(self.source, DIGITS)[1]


# To tell keys apart, Streamlit walks through all that a key holds. It takes a tenth of that time to go by the key's repr.
BY: dict[str | type[Any], Callable[[Any], Any]] = {SnapshotKey: repr, Others: lambda others: others.key}


def snapshot_key(run: Run, step: int) -> SnapshotKey:
    """The key of what a page shows of a run now.

    It is found out anew at each look: MNIST may have arrived, and another run may have taken this one's name."""
    config, root = run.config(), data_root()
    source = source_at_hand(config.source, root)
    return SnapshotKey(run.folder, step, run.snapshots.digest(step), config, source, root)


# Images and networks


@st.cache_resource(max_entries=2, show_spinner=False)
def digits(source: Source, root: Path) -> Digits:
    return load_digits(source, root)


def any_digits() -> Digits:
    """MNIST where it is here, else the built-in digits; for pictures that belong to no run."""
    root = data_root()
    return digits(resolve_source("auto", root), root)


@st.cache_resource(max_entries=16, show_spinner=False)
def unseen(name: str, root: Path, look: Look, count: int) -> Unseen:
    return load_unseen(name, root, look, count)


@st.cache_resource(show_spinner=False)
def reader() -> Reader:
    return load_reader()


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY)
def networks_of(key: SnapshotKey) -> tuple[ExpertBank, Discriminator]:
    return networks(key.config, Run(key.folder).snapshots.read(key.step))


# What the experts make of digits


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY)
def _examples(key: SnapshotKey) -> Examples:
    """A digit for each mechanism, and what the experts make of it."""
    held_out = digits(key.source, key.root).test
    return examples(*networks_of(key), held_out, parse(key.config.mechanisms))


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY)
def answers(key: SnapshotKey) -> bytes:
    """PNG: for each mechanism a row with the changed digit, every expert's answer and the original. The winner's is framed."""
    found = _examples(key)
    rows = [mechanism.title for mechanism in parse(key.config.mechanisms)]
    winners = found.contest.winner.tolist()
    return _answers_table(found, rows, framed=winners)


def scores(key: SnapshotKey) -> np.ndarray:
    """The discriminator's scores of those answers: a row for each mechanism, a column for each expert."""
    return _examples(key).contest.logits.T.numpy()


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=BY)
def detail(key: SnapshotKey, expert: int, mechanism: int) -> bytes:
    """PNG: for each of some digits a column with the digit changed by the mechanism, the expert's answer and the original.

    Each column is named by the answer's score and by who won."""
    found = examples_of_one(
        *networks_of(key),
        digits(key.source, key.root).test,
        parse(key.config.mechanisms)[mechanism],
        DETAIL_DIGITS,
    )
    rows = torch.stack([found.transformed, found.contest.answers[expert], found.original])
    winners = found.contest.winner.tolist()
    scores = found.contest.logits[expert].tolist()
    columns = [
        f"{score:+.1f}\n" + ("won" if winner == expert else f"{badge(winner)} won")
        for score, winner in zip(scores, winners)
    ]
    frames = {(1, column): colour(expert) for column, winner in enumerate(winners) if winner == expert}
    table = picture_table(rows[:, :, 0].numpy(), ["input", badge(expert), "original"], columns, frames)
    return html.png(table)


@dataclass(frozen=True)
class Judged:
    """What is wrong with the experts after a step, as their scores tell, and by the truth."""

    step: int
    diagnosis: Diagnosis
    truth: Faults
    seconds: float  # of CPU, for the answers and their scores


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY)
def judged(key: SnapshotKey, images: int) -> "Future[Judged]":
    """The experts judged by so many images for each, in a thread of its own."""
    mechanisms = parse(key.config.mechanisms)
    through_each = ceil(images * key.config.model.experts / len(mechanisms))
    held_out = digits(key.source, key.root).test[:through_each]
    return JUDGE.submit(_judge, key.step, *networks_of(key), held_out, mechanisms)


def _judge(
    step: int,
    bank: ExpertBank,
    discriminator: Discriminator,
    held_out: Pixels,
    mechanisms: Sequence[Mechanism],
) -> Judged:
    begun = time.thread_time()
    scores = evaluate(bank, discriminator, held_out, mechanisms).scores
    seconds = time.thread_time() - begun
    return Judged(step, diagnose(scores), faults(scores, len(mechanisms)), seconds)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY)
def mixed(key: SnapshotKey) -> Examples:
    """Some digits through every mechanism, and what the experts make of them: the images of one mechanism after the other."""
    held_out = digits(key.source, key.root).test
    bank, discriminator = networks_of(key)
    each = [
        examples_of_one(bank, discriminator, held_out, mechanism, MIXED_DIGITS)
        for mechanism in parse(key.config.mechanisms)
    ]
    contests = [one.contest for one in each]
    return Examples(
        torch.cat([one.original for one in each]),
        torch.cat([one.transformed for one in each]),
        Contest(
            torch.cat([one.answers for one in contests], dim=1),
            torch.cat([one.logits for one in contests], dim=1),
            torch.cat([one.winner for one in contests]),
        ),
    )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY)
def fingerprint_of(key: SnapshotKey, expert: int) -> np.ndarray:
    """Where the expert looks, over images that it wins; over all of them when it wins none. 11 x 11, the largest entry is 1."""
    seen = mixed(key)
    mine = seen.transformed[seen.contest.winner == expert]
    images = mine if len(mine) else seen.transformed
    return fingerprint(networks_of(key)[0], expert, images[:FINGERPRINT_IMAGES]).numpy()


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY)
def emblems(key: SnapshotKey) -> list[str]:
    """The address of a picture of each expert's fingerprint, taken from one pixel in 121 of a digit for each mechanism: rough, but
    within a second."""
    bank, seen = networks_of(key)[0], _examples(key).transformed
    return [
        html.emblem(fingerprint(bank, each, seen, phases=(6,)).numpy(), each) for each in range(bank.experts)
    ]


def wins_of(key: SnapshotKey) -> np.ndarray:
    """How many of those images each expert wins. Axes: expert, mechanism."""
    rows = mixed(key).contest.winner.split(MIXED_DIGITS)
    return np.stack([count_wins(row, key.config.model.experts).numpy() for row in rows], axis=1)


def owners_of(key: SnapshotKey) -> list[int | None]:
    """For each mechanism the expert that wins most of those images, None where no expert has a majority."""
    return owners(win_share(wins_of(key)))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY)
def response_of(key: SnapshotKey, expert: int, mechanism: int) -> Response:
    """How the expert answers over the strength of one of the run's mechanisms. On two idle cores it takes 0.3 seconds."""
    trained = parse(key.config.mechanisms)[mechanism]
    originals = as_images(digits(key.source, key.root).test[:RESPONSE_DIGITS])
    return response(*networks_of(key), expert, trained, originals)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=BY)
def dots_of(key: SnapshotKey, expert: int) -> bytes:
    """PNG of 1024 x 1024 pixels: the expert's answers to a dot. Row y, column x of 32 x 32 pictures is the answer to the dot there.

    With the run in the box it is computed in 0.35 seconds, and 9 to 50 kB large; without its zeros it would be a megabyte."""
    answers = answers_to_dots(networks_of(key)[0], expert).transpose(1, 2).reshape(SIDE * SIDE, SIDE * SIDE)
    return html.png((answers.clip(0, 1) * 255).round().byte().numpy())


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=BY)
def replayed(key: SnapshotKey, conscience: bool, losers: bool) -> Replay:
    """The step after the snapshot, with or without what the conscience had added by then, and with the losers as fakes or not."""
    run, config = Run(key.folder), key.config
    history = run_history(run, config).until(key.step)
    bias = history.recent(1).bias[0] if conscience and history.conscience else None
    ruled = replace(config, training=replace(config.training, losers_are_fake=losers))
    train = digits(key.source, key.root).train
    return replay(ruled, run.snapshots.read(key.step), train, key.step, bias)


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY)
def _measured_on_digits(key: SnapshotKey, count: int) -> Evaluation:
    """The evaluation of a snapshot on its digits, `count` images for every mechanism."""
    shown = unseen(key.source, key.root, "digits", count)
    (found,) = evaluate_sets(*networks_of(key), parse(key.config.mechanisms), [shown])
    return found


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY)
def measured(key: SnapshotKey, others: Others, count: int) -> tuple[Evaluation, Evaluation]:
    """The evaluations of a snapshot on its digits and on the others, `count` images of each for every mechanism."""
    on_digits = _measured_on_digits(key, count)
    shown = images_of(key, others, count)
    (elsewhere,) = evaluate_sets(
        *networks_of(key), parse(key.config.mechanisms), [shown], owner=on_digits.owner
    )
    return on_digits, elsewhere


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=BY)
def answers_to(key: SnapshotKey, others: Others, mechanism: int, count: int) -> Examples:
    """The first of the others, changed by the mechanism, and what the experts make of them."""
    shown = images_of(key, others, count).pixels
    return examples_of_one(*networks_of(key), shown, parse(key.config.mechanisms)[mechanism], count)


def images_of(key: SnapshotKey, others: Others, count: int) -> Unseen:
    """At most `count` images of a set; all of a person's own."""
    if others.own is not None:
        return others.own.seen(others.look)
    return unseen(others.name, key.root, others.look, count)


def _answers_table(found: Examples, rows: list[str], framed: Sequence[int | None]) -> bytes:
    """PNG: for each image a row with the changed image, the answer of everyone who plays and the original.

    `framed` has the expert whose answer is framed in each row."""
    players = found.contest.players()
    columns = torch.cat([found.transformed[None], found.contest.answers[players], found.original[None]])
    images = columns[:, :, 0].transpose(0, 1).numpy()
    frames = {
        (row, 1 + players.index(expert)): colour(expert)
        for row, expert in enumerate(framed)
        if expert in players
    }
    names = ["input", *map(badge, players), "original"]
    return html.png(picture_table(images, rows, names, frames))
