"""What Draw says of how sure the winner is, from the scores of all experts."""

import pytest
import torch

from icm.method.competition import compete
from pages.ui.claims import how_sure


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([-9.0, 1.0, -8.0], "It is sure of that."),
        ([1.0, 2.0, -9.0], "It is unsure: 73% for E1, 27% for E0."),
        ([0.5, -torch.inf, 0.5], "It is unsure: 50% for E0, 50% for E2."),
    ],
)
def test_sure_is_said_of_a_score_far_ahead_and_else_who_comes_second(scores: list[float], said: str) -> None:
    logits = torch.tensor(scores)[:, None]
    assert how_sure(compete(torch.zeros(3, 1, 1, 2, 2), logits)) == said


def test_one_expert_alone_is_sure() -> None:
    assert how_sure(compete(torch.zeros(1, 1, 1, 2, 2), torch.tensor([[-3.0]]))) == "It is sure of that."
