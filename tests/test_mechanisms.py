"""Each mechanism keeps shape and range, does what its name says, and its inverse gives the image back."""

import pytest
import torch

from icm.config import ConfigError
from icm.images.batches import Batch
from icm.images.mechanisms import KINDS, apply_each, apply_one, invert, parse

# Where the ink of a single bright pixel at row 10, column 12 goes with a strength of 2 pixels.
MOVED = {
    "right": (10, 14),
    "left": (10, 10),
    "down": (12, 12),
    "up": (8, 12),
    "down_right": (12, 14),
    "down_left": (12, 10),
    "up_right": (8, 14),
    "up_left": (8, 10),
}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def interior_image() -> torch.Tensor:
    """Three images, not square, whose ink no shift of up to 6 pixels pushes out."""
    images = torch.zeros(3, 1, 24, 28)
    images[..., 8:16, 9:19] = torch.rand(3, 1, 8, 10, generator=generator())
    return images


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("end", ["low", "default", "high"])
def test_shape_and_range_are_kept(name: str, end: str, batch: Batch) -> None:
    (mechanism,) = parse([f"{name}={getattr(KINDS[name], end)}"])
    changed = apply_one(batch.original, mechanism, generator())
    assert changed.shape == batch.original.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, batch.original)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.inverse])
@pytest.mark.parametrize("end", ["low", "default", "high"])
def test_the_inverse_gives_the_image_back(name: str, end: str) -> None:
    (mechanism,) = parse([f"{name}={getattr(KINDS[name], end)}"])
    images = interior_image()
    back = invert(apply_one(images, mechanism, generator()), mechanism)
    torch.testing.assert_close(back, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MOVED)
def test_a_translation_moves_ink_where_its_name_says(name: str) -> None:
    image = torch.zeros(1, 1, 24, 28)
    image[0, 0, 10, 12] = 1
    (mechanism,) = parse([f"{name}=2"])
    moved = apply_one(image, mechanism, generator())
    assert moved.sum() == 1
    assert moved[0, 0][MOVED[name]] == 1


def test_ink_that_is_pushed_out_is_lost_and_background_comes_in() -> None:
    (mechanism,) = parse(["left=4"])
    moved = apply_one(torch.ones(1, 1, 8, 9), mechanism, generator())
    assert moved[..., 5:].sum() == 0
    assert moved[..., :5].min() == 1


def test_noise_has_the_variance_it_is_given_and_comes_from_the_generator() -> None:
    (mechanism,) = parse(["noise=0.01"])
    grey = torch.full((64, 1, 32, 32), 0.5)  # five standard deviations from either clamp
    noisy = apply_one(grey, mechanism, generator())
    assert noisy.var().item() == pytest.approx(0.01, rel=0.03)
    assert torch.equal(noisy, apply_one(grey, mechanism, generator()))


def test_noise_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="no exact inverse"):
        invert(interior_image(), parse(["noise"])[0])


def test_each_image_gets_its_own_mechanism() -> None:
    mechanisms = parse(["right", "contrast", "up=1"])
    images = interior_image()
    changed = apply_each(images, torch.tensor([2, 0, 1]), mechanisms, generator())
    for image, index in enumerate([2, 0, 1]):
        assert torch.equal(changed[image], apply_one(images, mechanisms[index], generator())[image])


def test_the_papers_ten_are_the_table_at_its_default_strengths() -> None:
    from icm.config import PAPER_MECHANISMS

    assert [mechanism.name for mechanism in parse(PAPER_MECHANISMS)] == list(KINDS)
    strengths = {mechanism.name: mechanism.strength for mechanism in parse(PAPER_MECHANISMS)}
    assert strengths["noise"] == 0.25  # a variance
    assert all(strengths[name] == 4 for name in MOVED)  # pixels


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("rot45", r"unknown mechanism 'rot45'; known: right, left, down"),
        ("right=9", r"strength of 'right' is 9; use 1 to 6 \(pixels\)"),
        ("right=1.5", r"strength of 'right' is 1.5; use whole pixels"),
        ("noise=x", r"strength of 'noise' is 'x'; use 0.01 to 1 \(variance\)"),
        ("noise=nan", r"strength of 'noise' is nan; use 0.01 to 1"),
    ],
)
def test_what_cannot_be_applied_is_refused_with_what_is_known(spec: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse([spec])


def test_a_mechanism_is_named_once() -> None:
    with pytest.raises(ConfigError, match="named 2 times"):
        parse(["right", "right=3"])


def test_a_spec_is_the_shortest_text_for_its_mechanism() -> None:
    assert [mechanism.spec for mechanism in parse(["right=4", "noise=0.1"])] == ["right", "noise=0.1"]
