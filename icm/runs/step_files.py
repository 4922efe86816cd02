"""Arrays that a run keeps by step: its snapshots (networks only) and its states (all that a resume needs)."""

import os
import re
from pathlib import Path

import numpy as np

from icm import files
from icm.runs.errors import StoreError


class StepFiles:
    """A folder of `step_000500.safetensors`."""

    def __init__(self, folder: Path, kind: str, kept: int | None = None) -> None:
        """`kind` is what a message calls one of the files. The newest `kept` files stay; None keeps all."""
        self.folder, self.kind, self.kept = folder, kind, kept
        self.remedy = f"take another {kind}, or put back a copy of it"

    def steps(self) -> list[int]:
        """The steps of the files that are named as we name them, in order. Links are left out: they may lead anywhere."""
        if self.folder.is_symlink():
            return []
        try:
            names = {entry.name for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)}
        except OSError:
            return []
        matches = [re.fullmatch(r"step_(\d{6,18})\.safetensors", name) for name in names]
        steps = sorted({int(match[1]) for match in matches if match})
        return [step for step in steps if self._path(step).name in names]

    def newest_unless(self, step: int | None) -> int:
        """`step`, or the newest step where none is named. Without a file it is 0, which `read` refuses in words."""
        return max(self.steps(), default=0) if step is None else step

    def read(self, step: int) -> dict[str, np.ndarray]:
        """The arrays of that step. StoreError lists the steps there are, FileError when the file is damaged."""
        return files.read_arrays(self._existing(step), self.remedy)

    def digest(self, step: int) -> str:
        """The digest of that step's file. It differs between contents, also where a run was made again under the same name."""
        return files.digest_of(self._existing(step), self.remedy)

    def save(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Writes the arrays of that step. Where only the newest are kept, those of later steps and the oldest are removed.

        Later steps belong to a future that was given up when the run went back to an earlier step."""
        files.write_arrays(self._path(step), arrays)
        if self.kept is not None:
            self._remove([each for each in self.steps() if each > step])
            self.prune(step)

    def prune(self, step: int) -> None:
        """Removes the oldest of the files up to that step, so that only `kept` of them stay."""
        if self.kept is not None:
            self._remove([each for each in self.steps() if each <= step][: -self.kept])

    def prepare(self) -> None:
        """For the trainer that holds the lock: makes the folder where an older run lacks it, removes what a killed writer left."""
        files.prepare_folder(self.folder)

    def _remove(self, steps: list[int]) -> None:
        for step in steps:
            with files.on_disk(self._path(step), "removed"):
                self._path(step).unlink(missing_ok=True)

    def _existing(self, step: int) -> Path:
        steps = self.steps()
        if step not in steps:
            known = ", ".join(map(str, steps)) or "none yet"
            raise StoreError(
                f"run {self.folder.parent.name} has no {self.kind} of step {step}; known: {known}"
            )
        return self._path(step)

    def _path(self, step: int) -> Path:
        return self.folder / f"step_{step:06d}.safetensors"
