"""A batch is a pure function of configuration and step, and each side of it comes from its own half of the digits."""

from pathlib import Path

import torch

from icm.images.batches import draw_batch, generator_for, split_halves
from icm.images.digits import load_digits
from icm.images.mechanisms import apply_one, parse


def test_the_halves_are_disjoint_and_together_everything() -> None:
    numbered = torch.arange(251, dtype=torch.uint8).view(-1, 1, 1, 1)
    halves = split_halves(numbered, seed=4)
    canonical, transformed = (set(half.flatten().tolist()) for half in (halves.canonical, halves.transformed))
    assert (len(canonical), len(transformed)) == (125, 126)
    assert canonical | transformed == set(range(251))
    assert canonical != set(split_halves(numbered, seed=5).canonical.flatten().tolist())


def test_few_canonical_digits_leave_those_that_are_transformed_as_they_are() -> None:
    numbered = torch.arange(251, dtype=torch.uint8).view(-1, 1, 1, 1)
    all_of_them, few = split_halves(numbered, seed=4), split_halves(numbered, seed=4, canonicals=64)
    assert few.canonical.flatten().tolist() == all_of_them.canonical.flatten().tolist()[:64]
    assert torch.equal(few.transformed, all_of_them.transformed)
    assert len(split_halves(numbered, seed=4, canonicals=1000).canonical) == 125


def test_a_batch_draws_each_side_from_its_own_half(root: Path) -> None:
    numbered = torch.arange(250, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 9)
    halves = split_halves(numbered, seed=0)
    batch = draw_batch(halves, parse(["right"]), 64, generator_for(0, "batch", 3))
    drawn = (batch.canonical[:, 0, 0, 0] * 255).round().to(torch.uint8).tolist()
    assert set(drawn) <= set(halves.canonical[:, 0, 0, 0].tolist())
    drawn = (batch.original[:, 0, 0, 0] * 255).round().to(torch.uint8).tolist()
    assert set(drawn) <= set(halves.transformed[:, 0, 0, 0].tolist())


def test_each_transformed_image_is_its_original_changed_by_its_mechanism(root: Path) -> None:
    halves = split_halves(load_digits("builtin", root).train, seed=0)
    mechanisms = parse(["right", "contrast", "up"])
    batch = draw_batch(halves, mechanisms, 16, generator_for(0, "batch", 3))
    assert set(batch.mechanism.tolist()) == {0, 1, 2}
    for original, transformed, mechanism in zip(
        batch.original.split(1), batch.transformed, batch.mechanism.tolist()
    ):
        assert torch.equal(transformed, apply_one(original, mechanisms[mechanism], torch.Generator())[0])


def test_batch_n_depends_on_seed_and_n_alone(root: Path) -> None:
    halves = split_halves(load_digits("builtin", root).train, seed=0)
    draw = lambda seed, step: draw_batch(halves, parse(["noise"]), 4, generator_for(seed, "batch", step))  # noqa: E731
    first = draw(0, 7)
    draw(0, 8)
    assert torch.equal(first.transformed, draw(0, 7).transformed)
    assert not torch.equal(first.transformed, draw(0, 8).transformed)
    assert not torch.equal(first.canonical, draw(1, 7).canonical)
    # Seeds that torch's CPU generator alone would not tell apart.
    assert not torch.equal(first.canonical, draw(2**32, 7).canonical)


def test_mechanisms_are_drawn_in_proportion_to_their_frequencies(root: Path) -> None:
    halves = split_halves(load_digits("builtin", root).train, seed=0)
    mechanisms = parse(["right", "left", "noise"])
    drawn = [
        draw_batch(halves, mechanisms, 64, generator_for(0, "batch", step), (5.0, 1.0, 2.0)).mechanism
        for step in range(30)
    ]
    counts = torch.cat(drawn).bincount(minlength=3) / (30 * 64)
    assert (counts - torch.tensor([5 / 8, 1 / 8, 2 / 8])).abs().max() < 0.04  # 0.011 is a standard deviation
    again = draw_batch(halves, mechanisms, 64, generator_for(0, "batch", 7), (5.0, 1.0, 2.0))
    assert torch.equal(again.mechanism, drawn[7])
