"""Sets that no expert learned from: they are brought to the digits' look, the same images each time, and errors name a remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from icm.images.digits import load_digits
from icm.images.look import BOX, CENTRE, centred
from icm.images.sets import DataError
from icm.images.sketch import canonical
from icm.images.unseen import ALPHABETS, FACES, LOOKS, Look, load_unseen, to_look


def bar(height: int, width: int) -> np.ndarray:
    """A bright bar of that size in the upper left of a larger sheet."""
    sheet = np.zeros((200, 160), np.uint8)
    sheet[10 : 10 + height, 20 : 20 + width] = 255
    return sheet


def centres(images: np.ndarray) -> np.ndarray:
    """The centre of mass of each image, by scipy: a line for each image, row and column."""
    return np.array([ndimage.center_of_mass(image.astype(np.float64)) for image in images])


@pytest.fixture(scope="module")
def digits(root: Path) -> np.ndarray:
    """A thousand digits of MNIST as they were made: 1000 x 32 x 32."""
    return load_digits("builtin", root).test[:, 0].numpy()


def test_mnist_has_its_centre_of_mass_on_16_and_not_in_the_middle_of_the_pixels(digits: np.ndarray) -> None:
    assert np.abs(centres(digits).mean(axis=0) - CENTRE).max() < 0.03  # three of its standard errors
    assert np.abs(centres(digits) - CENTRE).max() <= 0.5  # they were laid there to the nearest pixel


def test_a_digit_cut_out_of_mnist_and_centred_comes_back_to_where_it_was(digits: np.ndarray) -> None:
    for digit in digits:
        rows, columns = np.nonzero(digit)
        cut = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (centred(cut) == digit).all()


@pytest.mark.parametrize(
    "bring",
    [
        lambda sheet: to_look(sheet, "digits"),
        lambda sheet: canonical(sheet.astype(np.float32) / 255),
    ],
)
def test_whatever_is_brought_to_the_digits_look_is_centred_as_mnist_is(
    digits: np.ndarray, bring: Callable[[np.ndarray], np.ndarray]
) -> None:
    own = digits[:50]
    # Larger, and in a corner of a sheet: nothing is left of where the digit lay.
    sheets = [np.pad(digit.repeat(3, 0).repeat(3, 1), ((0, 40), (25, 0))) for digit in own]
    brought = centres(np.stack([bring(sheet) for sheet in sheets]))
    assert np.abs(brought.mean(axis=0) - centres(own).mean(axis=0)).max() < 0.15
    assert np.abs(brought - CENTRE).max() < 0.51


def test_letters_are_centred_as_mnist_is(root: Path) -> None:
    found = centres(load_unseen("alphabets", root, "digits", 200).pixels[:, 0].numpy())
    assert np.abs(found.mean(axis=0) - CENTRE).max() < 0.1


def test_the_digits_look_scales_the_ink_to_twenty_pixels() -> None:
    rows, columns = np.nonzero(to_look(bar(100, 40), "digits"))
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (20, 8)


def test_the_digits_look_stays_in_mnists_field_of_28() -> None:
    heavy = np.zeros((100, 100), np.uint8)
    heavy[80:96, 20:45] = 255  # nearly all ink at one end of a long thin stroke
    heavy[16:80, 20:24] = 255
    rows, _ = np.nonzero(to_look(heavy, "digits"))
    assert (rows.min(), rows.max()) == (2, 21)


def test_the_plain_look_leaves_the_ink_where_it_is() -> None:
    # 200 x 160 becomes 28 x 22, so the bar becomes 14 x 5.6. It lies 1.4 pixels below the field's top, which is at row 2.
    seen = to_look(bar(100, 40), "plain")
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


def test_a_plain_picture_lies_where_mnists_padded_field_does() -> None:
    rows, columns = np.nonzero(to_look(np.full((105, 105), 255, np.uint8), "plain"))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 29, 2, 29)
    rows, columns = np.nonzero(to_look(np.full((56, 40), 255, np.uint8), "plain"))  # 28 x 20
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 29, 6, 25)


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


def test_a_folder_of_pictures_is_a_set_and_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(255 - bar(100, 40)).save(tmp_path / "one.png")
    (tmp_path / "two.png").write_text("no picture")
    found = load_unseen(str(tmp_path), tmp_path, "digits", 10)
    assert len(found.pixels) == 1
    assert found.labels is None
    assert found.pixels[0, 0, 15, 15] > 200


@pytest.mark.parametrize("look", LOOKS)
def test_a_picture_without_ink_is_left_out(tmp_path: Path, look: Look) -> None:
    """Empty paper comes back whole from every shift, which would flatter whoever does nothing."""
    Image.fromarray(255 - bar(100, 40)).save(tmp_path / "one.png")
    Image.new("L", (100, 40), 255).save(tmp_path / "paper.png")
    assert len(load_unseen(str(tmp_path), tmp_path, look, 10).pixels) == 1


def test_a_folder_called_like_a_picture_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "album.png").mkdir()
    Image.fromarray(255 - bar(100, 40)).save(tmp_path / "one.png")
    assert len(load_unseen(str(tmp_path), tmp_path, "digits", 10).pixels) == 1


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
