"""An expert's answers to a dot, many of which come from one image, are those to one dot at a time."""

import pytest
import torch

from icm.images.batches import generator_for
from icm.measure.dots import answers_to_dots, dot
from icm.method.networks import ExpertBank


def test_a_dot_is_three_pixels_wide_and_an_edge_cuts_it() -> None:
    assert torch.equal(dot(4, 9)[3:6, 8:11], torch.tensor([[0.5, 0.9, 0.5], [0.9, 1, 0.9], [0.5, 0.9, 0.5]]))
    assert (dot(4, 9) > 0).sum() == 9
    assert (dot(0, 31) > 0).sum() == 4
    assert dot(0, 31)[0, 31] == 1


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_place_has_the_answer_to_its_own_image(norm: str) -> None:
    bank = ExpertBank(3, 4, norm, generator_for(0, "weights")).eval()
    with torch.no_grad():
        for layer in bank.weights:
            layer *= 3  # so that an answer tells places apart
    found = answers_to_dots(bank, 1)
    for down, right in ((0, 0), (13, 13), (12, 14), (7, 26), (31, 3), (31, 31), (20, 19)):
        with torch.no_grad():
            alone = bank(dot(down, right)[None, None], [1])[0, 0, 0]
        assert alone.max() - alone.min() > 0.01
        assert torch.allclose(found[down, right], alone, atol=1e-5), (down, right)
