"""The film of a run: every expert's answers to one fixed digit of each mechanism, a small picture every few steps.

film/000250.webp is the picture of step 250: a row for each mechanism, a column for each expert, 32 x 32 pixels each.
film/copy_000010.webp is one of the identity phase, and film/digits.webp has the digits: above as they are, below as the
mechanisms change them. No torch: answers come as numpy arrays."""

import io
import os
import re
from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from icm import files

DENSE = (200, 5)  # up to this step a picture every so many steps; with 250 it was 1.02 % of a `robust` run
SPARSE = 25  # steps between two pictures after that, or twice, three times … as many in a long run
MOST_SPARSE = 80  # pictures after `DENSE`
COPIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # identity steps; later ones have no picture
# Of WebP: a picture of ten experts and ten mechanisms has some 17 kB and takes 5 ms; the default method takes 10 for 3 % less.
QUALITY, METHOD = 70, 2
DIGITS = "digits"
NAME = re.compile(r"digits|copy_\d{6,18}|\d{6,18}")


def film_due(step: int, last: int) -> bool:
    """Whether a run of `last` steps has a picture of the step: at most 150 in all."""
    up_to, often = DENSE
    if step <= up_to:
        return step % often == 0 or step == last
    every = SPARSE * max(1, ceil((last - up_to) / (SPARSE * MOST_SPARSE)))
    return step % every == 0 or step == last


class Film:
    """A folder of small pictures. A run may have none: older ones do not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """The steps of the competition that have a picture, in order."""
        return sorted(int(name) for name in self.names() if name.isdecimal())

    def copies(self) -> list[int]:
        """The steps of the identity phase that have a picture, in order."""
        return sorted(int(name[len("copy_") :]) for name in self.names() if name.startswith("copy_"))

    def names(self) -> set[str]:
        """The pictures that are named as we name them. Links are left out: they may lead anywhere."""
        if self.folder.is_symlink():
            return set()
        try:
            found = [entry.name for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)]
        except OSError:
            return set()
        stems = {name.removesuffix(".webp") for name in found if name.endswith(".webp")}
        return {stem for stem in stems if NAME.fullmatch(stem)}

    def picture(self, name: str) -> bytes | None:
        """The file of that name; None without one."""
        if not NAME.fullmatch(name) or name not in self.names():
            return None
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def save(self, step: int, answers: Float[np.ndarray, "expert mechanism height width"]) -> None:
        """Writes the picture of a step of the competition."""
        self._write(f"{step:06d}", answers)

    def save_copy(self, step: int, answers: Float[np.ndarray, "expert mechanism height width"]) -> None:
        """Writes the picture of a step of the identity phase."""
        self._write(f"copy_{step:06d}", answers)

    def save_digits(
        self,
        original: Float[np.ndarray, "mechanism height width"],
        transformed: Float[np.ndarray, "mechanism height width"],
    ) -> None:
        """Writes the digits that the experts are shown."""
        self._write(DIGITS, np.stack([original, transformed], axis=1))

    def keep(self, wanted: Callable[[int], bool]) -> None:
        """Removes the pictures of those steps of the competition that are not wanted."""
        for step in self.steps():
            if not wanted(step):
                with files.on_disk(self.folder, "changed"):
                    self._path(f"{step:06d}").unlink(missing_ok=True)

    def prepare(self) -> None:
        """For the trainer that holds the lock: makes the folder where an older run lacks it, removes what a killed writer left."""
        files.prepare_folder(self.folder)

    def _write(self, name: str, images: Float[np.ndarray, "column row height width"]) -> None:
        columns, rows, height, width = images.shape
        pixels = (images.clip(0, 1) * 255).round().astype(np.uint8)
        table = pixels.transpose(1, 2, 0, 3).reshape(rows * height, columns * width)
        buffer = io.BytesIO()
        Image.fromarray(table).save(buffer, format="WEBP", quality=QUALITY, method=METHOD)
        files.write_whole(self._path(name), buffer.getvalue())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.webp"
