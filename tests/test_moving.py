"""The moving picture of a run: as many frames as moments, each drawn from the rows and the film, and a sentence without them."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.cli.main import main
from icm.runs.run import Run
from icm.show.moving import CELL, EDGE, TOP, moving_picture


def frames(picture: bytes) -> list[np.ndarray]:
    found = Image.open(io.BytesIO(picture))
    pictures = []
    for number in range(getattr(found, "n_frames", 1)):
        found.seek(number)
        pictures.append(np.asarray(found.convert("RGB"), dtype=int))
    return pictures


def test_it_has_a_frame_for_each_step_of_a_short_run(trained: Run) -> None:
    shown = frames(moving_picture(trained))
    assert len(shown) == 7  # six steps, and the start
    height, width, _ = shown[0].shape
    assert all(each.shape == (height, width, 3) for each in shown)
    assert np.abs(shown[0] - shown[-1]).max() > 100


def test_the_answers_at_the_right_are_those_of_the_film(trained: Run) -> None:
    answers = np.zeros((3, 3, 32, 32), dtype=np.float32)
    before = frames(moving_picture(trained))[-1]
    trained.film.save(6, answers + 1)
    after = frames(moving_picture(trained))[-1]
    width = before.shape[1]
    inside = (slice(TOP + 8, TOP + CELL - 8), slice(width - EDGE - CELL + 4, width - EDGE - 10))
    assert after[inside].min() > 230
    assert before[inside].mean() < 230


def test_a_run_without_a_film_is_told_so(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(trained.folder / "film")
    store = ["--store", str(trained.folder.parent)]
    assert main(["export", "a-run", *store, "--to", str(tmp_path / "film.webp")]) != 0
    assert "has no film" in capsys.readouterr().err
    assert main(["export", "a-run", *store, "--to", str(tmp_path / "film.gif")]) != 0
    assert "use a name that ends in .webp" in capsys.readouterr().err
    assert main(["export", "a-run", *store]) != 0
    assert "use --to film.webp" in capsys.readouterr().err


def test_the_command_writes_the_picture(trained: Run, tmp_path: Path) -> None:
    to = tmp_path / "film.webp"
    assert main(["export", "a-run", "--store", str(trained.folder.parent), "--to", str(to)]) == 0
    assert len(frames(to.read_bytes())) == 7
