"""A link names mechanisms with their strengths; whatever else it says is left out."""

import pytest

from icm.images.mechanisms import KINDS
from pages.ui import link


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("right", {"right": 4}),
        ("noise,right:3", {"noise": 0.25, "right": 3}),
        ("contrast:0.65", {"contrast": 0.65}),
        ("", {}),
        ("left:7,right:0,up:2.5,down:nan,noise:inf", {"left": 4, "right": 4, "up": 4}),  # three at most
        ("right:x,rot45:3,,:,right:2,up:1:1", {"right": 4, "up": 4}),
        ("noise:0.333", {"noise": 0.25}),  # between two steps of the slider
        ("right:1e0,left: 2", {"right": 1, "left": 2}),
    ],
)
def test_a_link_is_read_as_far_as_it_makes_sense(text: str, chosen: dict[str, float]) -> None:
    assert link.read(text, KINDS) == chosen
    assert list(link.read(text, KINDS)) == list(chosen)


def test_what_is_written_is_read_as_the_same() -> None:
    for chosen in ({}, {"noise": 0.25, "up_left": 5.0}, {"contrast": 0.95, "right": 4.0, "noise": 0.01}):
        assert link.read(link.written(chosen, KINDS), KINDS) == chosen
    assert link.written({"right": 3.0, "noise": 0.25}, KINDS) == "right:3,noise"


def test_a_mechanism_from_a_file_may_have_a_colon_in_its_name() -> None:
    known = {**KINDS, "mine.py:twist": KINDS["right"]}
    for chosen in ({"mine.py:twist": 3.0, "noise": 0.25}, {"up": 2.0, "mine.py:twist": 4.0}):
        assert link.read(link.written(chosen, known), known) == chosen
    assert link.read("mine.py,right", known) == {"right": 4.0}
