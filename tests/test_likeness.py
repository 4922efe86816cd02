"""Every change of an image changes the property that it is named after, and hardly another."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from icm.images.digits import load_digits
from icm.images.likeness import OF_CLOTHES, OF_DIGITS, Look, look_of, scaled
from icm.shapes import Pixels

SHIRTS = 12


@pytest.fixture(scope="module")
def digits(root: Path) -> Pixels:
    return load_digits("builtin", root).test[:40]


@pytest.fixture(scope="module")
def shirts() -> Pixels:
    """Grey rectangles with stripes: they fill the field, in tones of their own."""
    images = np.zeros((SHIRTS, 32, 32), np.uint8)
    for place, image in enumerate(images):
        image[2:30, 6 : 20 + place % 4] = 90 + 5 * place
        image[2:30:2] = image[2:30:2] // 2
    return torch.from_numpy(images)[:, None]


def after(change: str, of: Pixels, clothes: Pixels) -> Look:
    return look_of((OF_CLOTHES | OF_DIGITS)[change](of, clothes))


def rest(look: Look, but: str) -> list[float]:
    return [value for name, value in asdict(look).items() if name not in but.split()]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("brighter", "brightness texture"),
        ("without texture", "texture"),
        ("white all over", "brightness texture"),
    ],
)
def test_clothes_change_in_tone_and_keep_their_ink(change: str, changed: str, shirts: Pixels) -> None:
    before, then = look_of(shirts), after(change, shirts, shirts)
    assert rest(then, changed) == pytest.approx(rest(before, changed), abs=0.02)


def test_clothes_come_nearer_to_digits(digits: Pixels, shirts: Pixels) -> None:
    wanted, before = look_of(digits), look_of(shirts)
    assert after("brighter", shirts, shirts).brightness > before.brightness + 0.1
    assert after("without texture", shirts, shirts).texture == 0 < before.texture
    assert after("white all over", shirts, shirts).brightness == 1.0
    outline = after("only their outlines", shirts, shirts)
    assert (outline.brightness, outline.size) == (1.0, before.size)
    assert outline.ink < 0.8 * before.ink
    assert after("as small as digits", shirts, shirts).size == pytest.approx(wanted.size, abs=0.06)
    both = after("small outlines", shirts, shirts)
    assert both.size == pytest.approx(wanted.size, abs=0.06)
    assert both.ink < outline.ink


def test_digits_come_nearer_to_clothes(digits: Pixels, shirts: Pixels) -> None:
    wanted, before = look_of(shirts), look_of(digits)
    dark = after("as dark as clothes", digits, shirts)
    assert dark.brightness == pytest.approx(wanted.brightness, abs=0.06)
    assert [dark.size, dark.ink] == pytest.approx([before.size, before.ink], abs=0.03)
    assert after("as much ink as clothes", digits, shirts).ink >= wanted.ink
    assert after("as large as clothes", digits, shirts).size > before.size + 0.2
    worn = after("as textured as clothes", digits, shirts)
    assert worn.texture > before.texture
    assert [worn.size, worn.ink] == pytest.approx([before.size, before.ink], abs=0.03)
    every = after("all of these", digits, shirts)
    assert every.ink > wanted.ink - 0.05
    assert every.brightness == pytest.approx(wanted.brightness, abs=0.08)


def test_nothing_but_what_is_named_changes_as_they_are(digits: Pixels, shirts: Pixels) -> None:
    assert torch.equal(OF_DIGITS["as they are"](digits, shirts), digits)
    assert torch.equal(scaled(digits, 1.0), digits)


def test_an_empty_picture_stays_empty(shirts: Pixels) -> None:
    empty = torch.zeros_like(shirts)
    assert asdict(look_of(empty)) == dict.fromkeys(("size", "ink", "brightness", "texture"), 0.0)
    for change in OF_CLOTHES.values():
        assert int(change(empty, shirts).sum()) == 0
