"""The stations of a round show what its replay holds: answers, scores on one axis, the winner, the push, the two lessons."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from icm.images.batches import Batch
from icm.measure.replay import Replay
from icm.method.competition import Contest
from pages.ui import html, stations
from pages.ui.stations import Shown
from tests.markup import texts


@pytest.fixture
def shown() -> Shown:
    """Two images, three experts: E2 has the best score on the first, and the conscience gave the second to E0."""
    images = torch.rand(2, 1, 32, 32)
    answers = torch.rand(3, 2, 1, 32, 32)
    logits = torch.tensor([[-4.0, 0.5], [-1.5, 2.0], [1.0, -8.0]])
    batch = Batch(images, images, images, torch.tensor([0, 1]))
    push = torch.zeros(2, 1, 32, 32)
    push[0, 0, 3, 4], push[0, 0, 5, 6] = 2.0, -1.0
    contest = Contest(answers, logits, torch.tensor([2, 0]))
    replay = Replay(batch, contest, torch.tensor([3.25, -0.75]), 0.625, 1.5, push)
    return Shown(replay, 0, ["up", "idle", "undecided"], "right")


def test_the_scores_stand_in_order_on_one_axis_with_the_winner_marked(shown: Shown) -> None:
    drawn = stations.content(shown, 2)
    assert re.findall(r"<em>(.*?)</em>", drawn) == ["+1.0", "-1.5", "-4.0"]
    (wins,) = texts(drawn, "li class=wins")
    assert wins.startswith("E2")
    assert re.findall(r"left:(\S+?)%;width:(\S+?)%", drawn) == [
        ("80.0", "20.0"),
        ("50.0", "30.0"),
        ("0.0", "80.0"),
    ]


def test_bars_of_scores_of_one_sign_begin_at_zero() -> None:
    drawn = html.bars([html.Bar(0, np.zeros((2, 2)), 2.0, True), html.Bar(1, np.zeros((2, 2)), 1.0, False)])
    assert re.findall(r"left:(\S+?)%;width:(\S+?)%", drawn) == [("0.0", "100.0"), ("0.0", "50.0")]


def test_a_push_is_red_where_brighter_and_blue_where_darker_and_strongest_at_the_largest(
    shown: Shown,
) -> None:
    picture = stations.pushed(shown.replay, 0)
    assert picture.shape == (32, 32, 3)
    red, blue = picture[3, 4], picture[5, 6]
    assert red[0] == 1.0
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    answer = shown.replay.contest.answers[2, 0, 0].numpy()
    np.testing.assert_allclose(picture[10, 10], 0.6 * answer[10, 10], rtol=1e-6)


def test_whom_the_conscience_passed_over_is_told(shown: Shown) -> None:
    assert "By its score alone" not in stations.content(shown, 3)
    second = stations.content(replace(shown, image=1), 3)
    assert "E0 wins" in second
    assert "By its score alone E1 would have won; the conscience, which helps who won too little" in second
    assert "gave the image to E0" in second


def test_real_digits_and_all_answers_are_the_discriminators_lesson(shown: Shown) -> None:
    drawn = stations.content(shown, 4)
    assert texts(drawn, "figcaption") == [
        "real",
        "real",
        "E0: fake",
        "E1: fake",
        "E2: fake",
    ]
    assert "score +3.2" in drawn
    assert "0.625" in drawn


def test_losers_are_no_lesson_where_the_rules_leave_them_out(shown: Shown) -> None:
    real, experts = 2, 3
    assert stations.content(shown, 4).count("<small>score") == real + experts
    assert stations.content(replace(shown, losers=False), 4).count("<small>score") == real + 1


def test_an_experts_work_is_named_only_where_it_has_some(shown: Shown) -> None:
    drawn = stations.content(shown, 1)
    assert "undoes up" in drawn
    assert "undoes idle" not in drawn
    assert "undoes undecided" not in drawn


def test_the_path_marks_one_station() -> None:
    drawn = stations.path(3)
    assert drawn.count("<li aria-current=step>") == 1
    assert re.search(r"<li aria-current=step><i>4</i>", drawn)
