"""One run: its folder, what it is (configuration, card, label …) and how it is (status, log).

The top of store.py says what lies where in the folder."""

import os
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from icm import config as configuration
from icm import files
from icm.config import RunConfig
from icm.files import FileError, is_number
from icm.runs.card import read_card
from icm.runs.errors import START_ANEW, StoreError
from icm.runs.film import Film
from icm.runs.row_files import RowFiles
from icm.runs.status import Phase, RunState, Status, read_status, state_of, write_status
from icm.runs.step_files import StepFiles
from icm.runs.trainer_slot import TrainerSlot

SHIPPED = "pretrained"  # name of the run that ships with the project
STATES_KEPT = 2  # where the newest is damaged, a resume takes the one before
LABEL_LENGTH = 60  # characters
GONE = ".gone-"  # a hidden folder: a run that is being deleted


class Run:
    """A run's folder. Its parts: who trains it, its rows, its snapshots (networks only), its states (for a resume), its film."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trainer = TrainerSlot(folder)
        self.rows = RowFiles(folder)
        self.snapshots = StepFiles(folder / "snapshots", "snapshot")
        self.states = StepFiles(folder / "state", "state", kept=STATES_KEPT)
        self.film = Film(folder / "film")

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    # Its folder

    def fill(self, config: RunConfig, environment: dict[str, Any]) -> None:
        """Makes the folder of a new run with all that belongs in it; for `RunStore.create`."""
        with files.on_disk(self.folder, "made"):
            for folder in (self.folder, self.snapshots.folder, self.states.folder, self.film.folder):
                folder.mkdir()
            (self.folder / "lock").touch()
        self.write_status("created", 0, config.training.steps, "created")
        files.write_json(self.folder / "environment.json", {"created": time.time(), **environment})
        files.write_json(self.folder / "config.json", configuration.to_json(config))

    def prepare_folders(self) -> None:
        """For the trainer that holds the lock: makes the folders that older runs lack, removes what a killed trainer left."""
        for part in (self.snapshots, self.states, self.film):
            part.prepare()
        files.sweep(self.folder, but="label.txt")  # a page may be writing it: `rename` takes no lock

    def delete(self) -> None:
        """Removes the folder; StoreError for the run that ships with the project, RunBusy while it is being trained.

        The folder is renamed first, so that nobody finds half of it and whoever waits for its lock learns that it is gone."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays")
        gone = self.folder.with_name(f"{GONE}{self.id}-{os.getpid()}-{time.time_ns()}")
        with self.trainer.starting(), self.trainer.locked(), files.on_disk(self.folder, "deleted"):
            self.folder.rename(gone)
            files.flush_folder(gone.parent)
        shutil.rmtree(gone, ignore_errors=True)
        if gone.exists():
            raise StoreError(
                f"run {self.id} is deleted, but not all of {gone} can be removed; remove it by hand"
            )

    # What it is

    @property
    def created(self) -> float:
        """Seconds since 1970, as written down when the run was made. Older runs have only the time of their config.json."""
        with suppress(FileError):
            written = files.read_json(self.folder / "environment.json").get("created")
            if is_number(written):
                return float(written)
        with suppress(OSError):
            return (self.folder / "config.json").stat(follow_symlinks=False).st_mtime
        return 0.0

    @property
    def version(self) -> str:
        """Tells this run from another one that has the same name before or after it: when it was made, in milliseconds."""
        return str(round(1000 * self.created))

    def config(self) -> RunConfig:
        """The configuration; FileError or StoreError when config.json cannot be read or was made for another version."""
        try:
            return configuration.from_json(files.read_json(self.folder / "config.json"))
        except configuration.ConfigError as error:
            raise StoreError(f"run {self.id}: {error}") from error

    def environment(self) -> dict[str, Any]:
        """What the run is computed with: device, engine, threads, versions."""
        return files.read_json(self.folder / "environment.json")

    def write_environment(self, environment: dict[str, Any]) -> None:
        files.write_json(self.folder / "environment.json", environment)

    @property
    def exported(self) -> bool:
        """Whether it came here as a file, trained perhaps on another machine."""
        return os.path.lexists(self.folder / "card.json")

    def card(self) -> dict[str, Any] | None:
        """What was measured when the run was exported; None for a run that is no export."""
        return read_card(self.folder / "card.json") if self.exported else None

    def write_card(self, card: dict[str, Any]) -> None:
        files.write_json(self.folder / "card.json", card)

    @property
    def label(self) -> str:
        """What a person calls the run; the run id when nobody has named it."""
        try:  # a character has at most 4 bytes
            text = files.read_bytes(self.folder / "label.txt", most=4 * LABEL_LENGTH).decode(errors="replace")
        except OSError:
            return self.id
        return _one_line(text)[:LABEL_LENGTH] or self.id

    def rename(self, label: str) -> None:
        """Sets the label, one line of at most `LABEL_LENGTH` characters. An empty one takes it away. The run id stays."""
        self.refuse_shipped()
        text = _one_line(label)
        if len(text) > LABEL_LENGTH:
            raise StoreError(f"the label has {len(text)} characters; use at most {LABEL_LENGTH}")
        files.write_whole(self.folder / "label.txt", text.encode())

    def extend(self, steps: int) -> None:
        """Raises the number of steps of the competition; a resume then goes on to there.

        RunBusy while the run is being trained, StoreError when `steps` is not more than it has."""
        self.refuse_shipped()
        self.refuse_stateless()
        with self.trainer.starting(), self.trainer.locked():
            now = self.config()
            if steps <= now.training.steps:
                raise StoreError(
                    f"run {self.id} has {now.training.steps} steps already; {steps} are not more"
                )
            longer = replace(now, training=replace(now.training, steps=steps))
            environment = self.environment()
            if "created" not in environment:  # read off config.json's time, which changes below
                self.write_environment({"created": self.created, **environment})
            files.write_json(self.folder / "config.json", configuration.to_json(longer))
            status = self.status()
            self.write_status("stopped", status.step, steps, "given more steps")

    def refuse_shipped(self) -> None:
        """StoreError for the run that ships with the project: it stays as it is."""
        if self.id == SHIPPED:
            raise StoreError(f"run {self.id} ships with the project and stays as it is; train one like it")

    def refuse_stateless(self) -> None:
        """StoreError for a run that has rows or snapshots and no state: going on would overwrite what it has."""
        if self.states.steps():
            return
        history = self.rows.history_file
        summed = history.is_file() and history.stat().st_size > 0
        if summed or self.rows.lines() or self.snapshots.steps():
            raise StoreError(
                f"run {self.id} has rows or snapshots but no state to go on from, and going on from nothing "
                f"would overwrite them; {START_ANEW}"
            )

    # How it is

    def status(self) -> Status:
        """What the trainer last said; FileError or StoreError when status.json cannot be read."""
        return read_status(self.folder)

    def write_status(
        self, phase: Phase, step: int, of: int, message: str = "", steps_per_second: float = 0.0
    ) -> None:
        """Writes status.json; `step` and `of` count within the phase."""
        write_status(self.folder, Status(phase, step, of, message, time.time(), round(steps_per_second, 3)))

    def state(self) -> RunState:
        """What a person is told of the run now."""
        return state_of(self.status(), self.status, self.trainer)

    def log_tail(self, lines: int) -> str:
        """The last lines of what the trainer printed; empty when it printed nothing."""
        try:  # enough for lines of 400 bytes on average
            text = files.read_bytes(self.log, first=-400 * lines).decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
