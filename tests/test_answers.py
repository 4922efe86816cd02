"""Compare's table of answers: a frame is the winner's, the owner is named in the head, both sets have the same columns."""

import io
import re

import numpy as np
import torch
from PIL import Image

from icm.measure.evaluation import Examples
from icm.method.competition import Contest
from icm.show.experts import COLOURS
from pages.ui.answers import Group, picture_of, table
from tests.markup import texts


def group(title: str, winners: list[int], absent: int | None = None) -> Group:
    """Images of 4 x 5 pixels, three experts; `absent` does not play."""
    count = len(winners)
    logits = torch.zeros(3, count)
    logits[winners, range(count)] = 1.5
    if absent is not None:
        logits[absent] = -torch.inf
    answers = torch.rand(3, count, 1, 4, 5)
    contest = Contest(answers, logits, torch.tensor(winners))
    return Group(title, Examples(torch.rand(count, 1, 4, 5), torch.rand(count, 1, 4, 5), contest))


def frames(html: str) -> list[str]:
    """The colour and the words of every framed picture."""
    return [
        f"{colour} {words}"
        for words, colour in re.findall(r"title='([^']*)' style='outline:4px solid (#\w+)", html)
    ]


def test_the_winner_is_framed_and_the_owner_named_in_the_head() -> None:
    html = table([group("digits", [0, 2]), group("letters", [1])], owner=0, words="words", ground="#fff")
    assert frames(html) == [
        f"{COLOURS[0]} E0, score +1.5, won",
        f"{COLOURS[2]} E2, score +1.5, won",
        f"{COLOURS[1]} E1, score +1.5, won",
    ]
    assert texts(html, "th scope=col") == [
        "input",
        "E0 owner",
        "E1",
        "E2",
        "original",
    ]
    assert texts(html, "th scope=row") == ["E0 won", "E2 won", "E1 won"]
    assert html.count("<img") == 3 * 5


def test_without_an_owner_no_head_names_one_and_who_does_not_play_has_no_column() -> None:
    html = table([group("digits", [0, 2], absent=1)], owner=None, words="words", ground="#fff")
    assert "owner" not in html
    assert texts(html, "th scope=col") == ["input", "E0", "E2", "original"]


def test_titles_are_shown_as_they_are() -> None:
    html = table([group("<b>'x", [0])], owner=0, words="a'b", ground="#fff")
    assert "<b>'x" not in html
    assert "&lt;b&gt;&#x27;x" in html
    assert "aria-label='a&#x27;b'" in html


def test_the_saved_picture_has_a_row_for_each_image_of_both_sets() -> None:
    one = np.asarray(Image.open(io.BytesIO(picture_of([group("digits", [0])], 0))))
    three = np.asarray(Image.open(io.BytesIO(picture_of([group("digits", [0]), group("digits", [1, 2])], 0))))
    assert len(three) - len(one) == 2 * (
        3 * 4 + 12
    )  # two rows of 4 pixels at three times their size, and gaps
    assert three.shape[1] == one.shape[1]
