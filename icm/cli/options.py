"""The options of every command, each a dataclass; the sentence under a field is its help text."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from icm.config import SYMBOLS, RunConfig
from icm.runs.store import store_root


@dataclass(frozen=True)
class Where:
    """The folders."""

    store: Path = field(default_factory=store_root)
    """Folder of runs; ICM_STORE, else checkpoints/ in the project, when not given."""
    data_root: Path | None = None
    """Folder of image sets; ICM_DATA_ROOT, else data/ in the project, when not given."""


Places = Annotated[Where, tyro.conf.arg(name="")]
RunName = Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True)
class Train:
    """Trains a new run to its end; Ctrl-C saves and stops."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    where: Places = field(default_factory=Where)
    run_id: str | None = None
    """Name of the run; made from preset, seed and time when not given."""


@dataclass(frozen=True)
class Resume:
    """Goes on with a stopped or crashed run, as if it had never been interrupted: bit for bit on the same CPU with the same torch."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)


@dataclass(frozen=True)
class Stop:
    """Asks the trainer of a run to save and stop, and waits for it."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    timeout: float = 60.0
    """Seconds to wait."""


@dataclass(frozen=True)
class Runs:
    """Lists the runs, newest first."""

    where: Places = field(default_factory=Where)
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Evaluate:
    """Measures a run against the true originals, on images that were never trained on."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    on: str | None = None
    """mnist, builtin, omniglot, alphabets, fashion, usps or a folder of pictures; the run's own digits when not given."""
    look: Literal["digits", "plain"] = "digits"
    """How other drawings are brought to the digits' look: ink in a box of 20 pixels, or the picture as it is."""
    step: int | None = None
    """Snapshot to measure; the newest when not given."""
    images: int = 256
    """Held-out images, each sent through every mechanism."""
    over_steps: int = 0
    """Also measures every snapshot up to that one, on so many images of the digits and of the set that --on names; 0 does not."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Chains:
    """Measures how well mechanisms applied one after the other are undone."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    depth: int = 2
    """Mechanisms in a chain."""
    most: int = 90
    """Chains, drawn where there are more."""
    images: int = 20
    """Held-out digits, each sent through every chain."""
    step: int | None = None
    """Snapshot to measure; the newest when not given."""
    out: Path | None = None
    """File for the result, such as docs/results/chains/robust.json, which the page of results shows; its chains of other depths stay where run, step and images are these."""


@dataclass(frozen=True)
class Clothes:
    """Measures why experts of digits fail on clothes: what each property in which the two differ costs by itself."""

    run: RunName
    """Name of the run."""
    where: Places = field(default_factory=Where)
    images: int = 100
    """Held-out digits, and as many clothes, each sent through every mechanism after every change."""
    step: int | None = None
    """Snapshot to measure; the newest when not given."""
    out: Path | None = None
    """File for the result, such as docs/results/clothes/robust.json, which the page of results shows."""


@dataclass(frozen=True)
class Supervised:
    """Teaches an expert's network each mechanism with pairs: about the most that can be asked of experts who never see a pair."""

    mechanisms: tuple[str, ...] = tuple(SYMBOLS)
    """Those to teach, each to a network of its own."""
    where: Places = field(default_factory=Where)
    source: str = "mnist"
    """Digits to learn from."""
    steps: int = 700
    """Steps of each network."""
    batch: int = 32
    """Pairs of changed and original image in each step."""
    images: int = 256
    """Held-out digits, each sent through every mechanism."""
    seed: int = 100
    """Decides the first weights and the pairs."""
    out: Path | None = None
    """File for the result, such as docs/results/supervised/expert.json, which the page of results shows."""


@dataclass(frozen=True)
class Data:
    """Lists the sets of images, or downloads one by name."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Set to download, such as mnist."""
    where: Places = field(default_factory=Where)


@dataclass(frozen=True)
class Speed:
    """Times every preset on this machine, two seconds each, and keeps the result for the Train page."""

    where: Places = field(default_factory=Where)
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Reader:
    """Trains the digit reader on untouched digits, measures it on held-out ones, writes weights and a card; takes minutes."""

    seed: int = 0
    """0 or more; decides the first weights and the order of the digits."""
    epochs: int = 6
    """Times that every digit is seen."""
    source: Literal["mnist", "builtin"] = "mnist"
    """Digits to train on; the reader that ships with the project is trained on mnist."""
    data_root: Path | None = None
    """Folder of image sets; ICM_DATA_ROOT, else data/ in the project, when not given."""
    out: Path | None = None
    """Folder for weights and card; checkpoints/reader in the project when not given."""


@dataclass(frozen=True)
class Export:
    """Makes a trained run small enough to ship: some snapshots in half precision, and a card of what was measured; or a moving picture of it."""

    run: RunName
    """Name of the run."""
    to: Path | None = None
    """File for a moving picture of the run, such as film.webp."""
    out: Path | None = None
    """Folder to write: a new or an empty one, or an earlier export, which is replaced; not in a store of runs."""
    where: Places = field(default_factory=Where)
    steps: tuple[int, ...] = ()
    """Snapshots to keep; when not given, the newest and those of 0, 100, 300, 500, 1000 and 2000 that the run has."""
    images: int = 1000
    """Held-out digits to measure on, each sent through every mechanism."""
    seeds_tried: str = "not said"
    """How the run was chosen, for its card."""


@dataclass(frozen=True)
class Study:
    """Trains and measures a named table of settings over many seeds, sums it up, and goes on where it was interrupted."""

    name: Annotated[str, tyro.conf.Positional]
    """Name of the study, such as robust."""
    where: Places = field(default_factory=Where)
    seeds: str = "0:20"
    """Seeds, as a range whose end is left out, or one by one: 3,7,11."""
    only: tuple[str, ...] = ()
    """Variants to run; all when not given."""
    workers: int = 1
    """Runs at a time, each a process with one thread; on a cluster Ray decides how many."""
    on: str = "local"
    """Where: local, or ray for a Ray on this machine, or ray://HOST:PORT for a cluster whose machines share the folders."""
    out: Path | None = None
    """Folder for the result NAME.json; docs/results in the project when not given."""
