"""The glossary: every word that a page marks is in it, and its picture of decibels is what it says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.images.digits import load_digits
from pages.ui import words


def test_a_marked_word_is_explained_where_it_stands_and_nothing_else_becomes_markup() -> None:
    drawn = words.said("**Ten** [experts|expert] & <one>", {"expert": 'so "small"'})
    assert "<b>Ten</b> <button type='button' class='icm-word'>experts<span role='tooltip'>" in drawn
    assert "so &quot;small&quot;</span></button> &amp; &lt;one&gt;" in drawn
    assert words.plain("**Ten** [experts|expert] win") == "Ten experts win"
    with pytest.raises(KeyError):
        words.said("an [unheard] word")


def test_the_picture_of_decibels_shows_one_digit_at_ten_fifteen_and_twenty(root: Path) -> None:
    digit = load_digits("builtin", root).test[3, 0].numpy() / 255
    drawn = np.asarray(Image.open(words.DECIBELS), dtype=float) / 255
    assert drawn.shape == (34, 3 * 34)  # an edge of one pixel around each
    for at, decibels in enumerate((10, 15, 20)):
        shown = drawn[1:33, 34 * at + 1 : 34 * at + 33]
        assert -10 * np.log10(np.square(shown - digit).mean()) == pytest.approx(decibels, abs=0.01)
    assert words.inlined_decibels() in words.said("21 [dB]")
