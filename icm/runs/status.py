"""The status, which a trainer writes of itself into status.json, and the state, which a person is told.

The state follows from the status, the trainer's lock and the clock."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from icm import files
from icm.files import LARGEST, FileError, is_number
from icm.runs.errors import StoreError
from icm.runs.trainer_slot import TrainerSlot

STALLED_AFTER = 10.0  # seconds without a heartbeat of a trainer that is alive
STARTING_FOR = 30.0  # seconds that a new run may take until its trainer holds the lock
STATUS_ANEW = "resume the run, which writes it anew"

Phase = Literal["created", "preparing", "identity", "competing", "stopped", "finished", "failed"]
RunState = Literal["starting", "preparing", "running", "stalled", "stopped", "finished", "crashed"]


@dataclass(frozen=True)
class Status:
    """What a trainer last said of itself."""

    phase: Phase
    step: int  # within the phase
    of: int
    message: str
    heartbeat: float  # seconds since 1970
    steps_per_second: float


def write_status(folder: Path, status: Status) -> None:
    """Writes status.json. A full disk has no room for a second file: there a failed run overwrites the old one in place."""
    path = folder / "status.json"
    try:
        files.write_json(path, asdict(status))
    except FileError:
        if status.phase != "failed":
            raise
        files.overwrite(path, json.dumps(asdict(status)).encode())


def read_status(folder: Path) -> Status:
    """What status.json says; FileError or StoreError when it cannot be read or does not fit this version."""
    row = files.read_json(folder / "status.json", remedy=STATUS_ANEW)
    names = [each.name for each in fields(Status)]
    fits = (
        sorted(row) == sorted(names)
        and row["phase"] in get_args(Phase)
        and isinstance(row["message"], str)
        and all(type(row[name]) is int and 0 <= row[name] <= LARGEST for name in ("step", "of"))
        and all(is_number(row[name]) for name in ("heartbeat", "steps_per_second"))
    )
    if not fits:
        raise StoreError(f"run {folder.name}: status.json does not fit this version; {STATUS_ANEW}")
    return Status(**row)


def state_of(status: Status, read_again: Callable[[], Status], trainer: TrainerSlot) -> RunState:
    """What a person is told. The lock says whether the trainer is alive, the heartbeat whether it moves.

    A heartbeat from the future was written before somebody set the clock back. It counts as an old one."""
    # Asked before the lock: a launcher lets go of start.lock once the trainer holds the lock.
    starting = trainer.is_being_started()
    if trainer.is_alive():
        if abs(time.time() - status.heartbeat) > STALLED_AFTER:
            return "stalled"
        return "preparing" if status.phase in ("created", "preparing") else "running"
    if starting:
        return "starting"
    if status.phase == "created":
        return "starting" if abs(time.time() - status.heartbeat) < STARTING_FOR else "stopped"
    if status.phase == "finished" or status.phase == "stopped":
        return status.phase
    # A trainer that ended between the two looks has written its last status meanwhile.
    latest = read_again()
    return state_of(latest, read_again, trainer) if latest != status else "crashed"
