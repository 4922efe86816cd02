"""Ruled paper and hard shadows are doubted, clean digits on paper are not."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from icm.images.digits import load_digits
from icm.images.doubts import doubt

PHOTOS = 100


@pytest.fixture(scope="module")
def photos(root: Path) -> list[np.ndarray]:
    """Digits in dark ink on bright paper: sizes, places, pens, light and noise differ; nothing else is on the paper."""
    random = np.random.default_rng(0)
    digits = load_digits("builtin", root).test[:PHOTOS, 0].numpy() / 255
    return [on_paper(digit, random) for digit in digits]


def on_paper(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """About a third of them are cut close, with as little as a twelfth of the picture around the digit."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    ink = np.asarray(
        ndimage.zoom(
            digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], random.integers(5, 11), order=1
        )
    )
    margins = (max(ink.shape) * random.uniform(0.1, random.choice([0.15, 0.6, 1.5]), (2, 2))).astype(int)
    ink = ndimage.rotate(np.pad(ink, margins), random.uniform(-6, 6), reshape=False, order=1).clip(0, 1)
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in ink.shape), indexing="ij")
    fall = random.uniform(-0.3, 0.3, 2)
    light = random.uniform(0.6, 0.95) * (1 - np.abs(fall).sum() / 2 + fall[0] * x + fall[1] * y)
    noise = random.uniform(0, 0.03) * random.standard_normal(ink.shape)
    return (light * (1 - random.uniform(0.5, 0.9) * ink) + noise).clip(0, 1)


def ruled(photo: np.ndarray, random: np.random.Generator, squared: bool) -> np.ndarray:
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    apart, tilt = min(photo.shape) / random.uniform(4, 10), random.uniform(-0.07, 0.07)
    wide, dark = max(2.0, min(photo.shape) / 120), random.uniform(0.15, 0.4)
    lines = (y + tilt * x) % apart < wide
    if squared:
        lines |= (x - tilt * y) % apart < wide
    return photo * (1 - dark * lines)


def shaded(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """With a straight shadow over a quarter to three quarters of it, whose edge is a fiftieth of the picture wide or less."""
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, side) for side in photo.shape), indexing="ij")
    angle, middle, soft = random.uniform(0, 2 * np.pi), random.uniform(-0.2, 0.2), random.uniform(0.002, 0.02)
    shadow = ((x * np.cos(angle) + y * np.sin(angle) - middle) / soft).clip(0, 1)
    return photo * (1 - random.uniform(0.3, 0.6) * shadow)


def test_no_clean_digit_on_paper_is_doubted(photos: list[np.ndarray]) -> None:
    assert [doubt(photo) for photo in photos] == [None] * PHOTOS


def test_nor_is_a_drawing_nor_an_empty_picture_of_any_size(root: Path) -> None:
    digits = load_digits("builtin", root).test[:PHOTOS, 0].numpy() / 255
    for digit in digits[::4]:
        assert doubt(digit) is None
        assert doubt(np.kron(digit, np.ones((9, 9)))) is None
        assert doubt(1 - digit) is None
    for size in ((1, 1), (1, 900), (700, 2), (300, 400)):
        assert doubt(np.full(size, 0.8)) is None


@pytest.mark.parametrize("squared", [False, True])
def test_nearly_all_ruled_paper_is(photos: list[np.ndarray], squared: bool) -> None:
    random = np.random.default_rng(1)
    found = [doubt(ruled(photo, random, squared)) for photo in photos[::2]]
    assert found.count("lines") >= 45, found.count("lines")


def test_nearly_all_hard_shadows_are(photos: list[np.ndarray]) -> None:
    random = np.random.default_rng(2)
    found = [doubt(shaded(photo, random)) for photo in photos[::2]]
    assert found.count("shadow") >= 45, found.count("shadow")
