"""What Draw says of the winner and of how sure it is, from the scores of all experts and of the image itself."""

import pytest
import torch

from icm.measure.chain import Round
from icm.method.competition import compete
from pages.ui.claims import Claim, how_sure, verdict


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([-9.0, 1.0, -8.0], "By its scores it is sure."),
        ([1.0, 2.0, -9.0], "It is unsure: 73% for E1, 27% for E0."),
        ([0.5, -torch.inf, 0.5], "It is unsure: 50% for E0, 50% for E2."),
    ],
)
def test_sure_is_said_of_a_score_far_ahead_and_else_who_comes_second(scores: list[float], said: str) -> None:
    logits = torch.tensor(scores)[:, None]
    assert how_sure(compete(torch.zeros(3, 1, 1, 2, 2), logits)) == said


def test_one_expert_alone_is_sure() -> None:
    assert (
        how_sure(compete(torch.zeros(1, 1, 1, 2, 2), torch.tensor([[-3.0]]))) == "By its scores it is sure."
    )


@pytest.mark.parametrize(
    ("own", "best", "said"),
    [
        (2.0, 2.05, "This already looks like a digit: it scores +2.0 itself, and the best answer +2.0."),
        (
            -8.0,
            -8.5,
            "Nobody makes a digit of this: it scores -8.0 itself, and the best answer, of E1, -8.5.",
        ),
        (-2.0, 6.0, "The winner's answer scores +6.0, the image itself -2.0."),
    ],
)
def test_only_what_scores_well_is_called_a_digit(own: float, best: float, said: str) -> None:
    image = torch.zeros(1, 1, 2, 2)
    contest = compete(torch.zeros(2, 1, 1, 2, 2), torch.tensor([[best - 30], [best]]))
    assert verdict(Claim(image, image, [Round(image, own, contest)], False)).startswith(said)
