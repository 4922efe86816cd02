"""What the dialog of one expert says of it: where it looks, in words, and its surest and least sure wins."""

import re

import numpy as np
import pytest
import torch

from icm.measure.evaluation import Examples
from icm.method.competition import Contest
from pages.ui import inside


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ((5, 5), "most at the pixel itself"),
        ((5, 8), "most at the pixel 3 to the right of it"),
        ((2, 1), "most at the pixel 4 to the left and 3 up of it"),
        ((9, 5), "most at the pixel 4 down of it"),
    ],
)
def test_where_it_looks_is_said_from_the_pixel_that_it_writes(at: tuple[int, int], words: str) -> None:
    found = np.zeros((11, 11), np.float32)
    found[at] = 1
    assert inside.look_in_words(found) == words
    assert words in inside.picture(found, 0)


def examples(leads: list[float]) -> Examples:
    """One image for each lead that the second of two experts has; with a lead below 0 it loses."""
    images = torch.rand(len(leads), 1, 32, 32)
    logits = torch.tensor([[0.0] * len(leads), leads])
    contest = Contest(torch.rand(2, len(leads), 1, 32, 32), logits, logits.argmax(dim=0))
    return Examples(images, images, contest)


def test_its_surest_wins_come_first_and_its_least_sure_last() -> None:
    leads = [1.0, -3.0, 14.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    drawn = inside.wins(examples(leads), 1)
    assert re.findall(r"by \+(\S+?)<", drawn) == [
        "14.0",
        "11.0",
        "10.0",
        "9.0",
        "8.0",
        "5.0",
        "4.0",
        "3.0",
        "2.0",
        "1.0",
    ]
    assert re.findall(r"by \+(\S+?)<", inside.wins(examples([2.0, -1.0, 3.0]), 1)) == ["3.0", "2.0"]
    assert "wins none" in inside.wins(examples([-1.0]), 1)


def test_an_expert_without_a_rival_wins_by_nothing() -> None:
    """The only one there is, and the only player of an open roster."""
    images = torch.rand(2, 1, 32, 32)
    alone = Contest(torch.rand(1, 2, 1, 32, 32), torch.zeros(1, 2), torch.zeros(2, dtype=torch.long))
    dismissed = torch.tensor([[-torch.inf, -torch.inf], [1.0, 2.0]])
    player = Contest(torch.rand(2, 2, 1, 32, 32), dismissed, torch.ones(2, dtype=torch.long))
    for contest, expert in ((alone, 0), (player, 1)):
        drawn = inside.wins(Examples(images, images, contest), expert)
        assert drawn.count("<img") == 4
        assert "by +" not in drawn
