"""Sets that no expert learned from: brought to the digits' look, the same images each time, errors with a remedy."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.data import DataError
from icm.unseen import ALPHABETS, BOX, FACES, LOOKS, Look, load_unseen, to_look


def bar(height: int, width: int) -> np.ndarray:
    """A bright bar of that size in the upper left of a larger sheet."""
    sheet = np.zeros((200, 160), np.uint8)
    sheet[10 : 10 + height, 20 : 20 + width] = 255
    return sheet


def test_the_digits_look_scales_the_ink_to_twenty_pixels_and_centres_it() -> None:
    seen = to_look(bar(100, 40), "digits")
    rows, columns = np.nonzero(seen)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 25, 12, 19)  # 20 x 8, in the middle


def test_the_plain_look_leaves_the_ink_where_it_is() -> None:
    seen = to_look(
        bar(100, 40), "plain"
    )  # 200 x 160 becomes 28 x 22: the bar 14 x 5.6, at 1.4 + 2 from the top
    rows, columns = np.nonzero(seen > 128)
    assert (rows.min(), rows.max()) == (3, 16)
    assert columns.max() < 16


def test_thin_strokes_are_widened_before_they_shrink() -> None:
    thin = np.zeros((105, 105), np.uint8)
    thin[5:100, 50:53] = 255
    thin[50:53, 5:100] = 255
    assert to_look(thin, "digits", widen=1.4).sum() > 1.8 * to_look(thin, "digits").sum()


def test_an_empty_sheet_stays_empty() -> None:
    assert not to_look(np.zeros((50, 40), np.uint8), "digits").any()


@pytest.mark.parametrize("look", LOOKS)
def test_letters_are_drawn_the_same_each_time_and_a_smaller_draw_is_part_of_a_larger(
    root: Path, look: Look
) -> None:
    few, many = load_unseen("alphabets", root, look, 5).pixels, load_unseen("alphabets", root, look, 9).pixels
    assert many.shape == (9, 1, 32, 32)
    assert (many[:5] == few).all()
    assert (many.flatten(1).max(dim=1).values > 200).all()


def test_every_letter_is_in_every_face(root: Path) -> None:
    letters = sum(map(len, ALPHABETS.values()))
    every = load_unseen("alphabets", root, "digits", 10_000).pixels
    assert len(every) == letters * len(FACES)
    # A letter that a font lacks is drawn as the same box as any other that it lacks.
    distinct = np.unique(every.flatten(1).numpy(), axis=0)
    assert len(distinct) > 0.97 * len(every)
    rows = every.amax(dim=(1, 3)) > 64
    assert (rows.sum(dim=1) <= BOX + 1).all()


def omniglot(root: Path, count: int) -> None:
    """A packed evaluation set of crosses, dark on light, each a pixel further to the right."""
    (root / "omniglot-py").mkdir()
    with zipfile.ZipFile(root / "omniglot-py" / "images_evaluation.zip", "w") as archive:
        for index in range(count):
            sheet = np.full((105, 105), 255, np.uint8)
            sheet[20:80, 30 + index : 33 + index] = 0
            file = io.BytesIO()
            Image.fromarray(sheet).convert("1").save(file, "PNG")
            archive.writestr(f"images_evaluation/Alphabet/character01/{index:02}.png", file.getvalue())


def test_omniglot_is_read_packed_and_turned_bright_on_dark(tmp_path: Path) -> None:
    omniglot(tmp_path, 4)
    pixels = load_unseen("omniglot", tmp_path, "digits", 3).pixels
    assert pixels.shape == (3, 1, 32, 32)
    assert pixels[:, 0, 0, 0].tolist() == [0, 0, 0]
    assert (pixels[:, 0, 15, 14:18].amax(dim=1) == 255).all()  # the stroke, centred


def test_a_folder_of_pictures_is_a_set_and_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(255 - bar(100, 40)).save(tmp_path / "one.png")
    (tmp_path / "two.png").write_text("no picture")
    found = load_unseen(str(tmp_path), tmp_path, "digits", 10)
    assert len(found.pixels) == 1
    assert found.labels is None
    assert found.pixels[0, 0, 15, 15] > 200


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("omniglot", "no omniglot under .*; run `python -m icm data omniglot`"),
        (
            "nowhere",
            "unknown set 'nowhere'; known: mnist, builtin, alphabets, omniglot, fashion, usps, or a folder",
        ),
    ],
)
def test_a_set_that_is_not_here_is_told_with_the_remedy(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_unseen(name, tmp_path, "digits", 3)


def test_a_damaged_set_is_told(tmp_path: Path) -> None:
    (tmp_path / "omniglot-py").mkdir()
    (tmp_path / "omniglot-py" / "images_evaluation.zip").write_bytes(b"PK no more")
    with pytest.raises(DataError, match=r"omniglot under .* cannot be read"):
        load_unseen("omniglot", tmp_path, "digits", 3)
