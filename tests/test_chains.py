"""Many images are undone as one is, round by round; chains are drawn, applied in their order and measured."""

from pathlib import Path

import pytest
import torch

from icm.files import PROJECT
from icm.images.batches import as_images
from icm.images.digits import load_digits
from icm.images.mechanisms import KINDS, apply_one, parse
from icm.measure.chain import chain
from icm.measure.chains import chains_of, undo, undo_chains
from icm.measure.evaluation import networks
from icm.runs.run import SHIPPED
from icm.runs.store import RunStore
from tests.test_evaluation import PerfectExperts, Referee


def test_many_images_are_undone_as_each_of_them_alone(root: Path) -> None:
    run = RunStore(PROJECT / "checkpoints").open(SHIPPED)
    nets = networks(run.config(), run.snapshots.read(run.snapshots.steps()[-1]))
    originals = as_images(load_digits("builtin", root).test[:6])
    changed = apply_one(originals, parse(["up=3"])[0], torch.Generator())
    changed[:2] = originals[:2]
    changed[4:] = 1 - changed[4:]
    undone = undo(*nets, changed, most=3)
    for index, image in enumerate(changed):
        rounds = chain(*nets, image[None], most=3)
        taken = [each for each in rounds if each.better]
        assert int(undone.rounds[index]) == len(taken)
        last = taken[-1].contest.restored if taken else image[None]
        torch.testing.assert_close(undone.images[index : index + 1], last, rtol=0, atol=1e-4)
    assert len(set(undone.rounds.tolist())) > 1  # not all went the same way


def test_perfect_experts_undo_every_chain_and_fewer_rounds_undo_less(root: Path) -> None:
    mechanisms = parse(["right=6", "contrast"])
    held_out = load_digits("builtin", root)
    first, second = undo_chains(
        PerfectExperts(mechanisms),
        Referee(),
        held_out.test[:4],
        chains_of(mechanisms, 2, most=99),
        held_out.test_labels[:4],
        lambda shown: torch.where(
            (shown - as_images(held_out.test[:4])).square().mean(dim=(1, 2, 3)) < 0.03,
            held_out.test_labels[:4],
            -1,  # what is not restored is read wrongly
        ),
    )
    assert (first.mechanisms, second.mechanisms) == (["right", "contrast"], ["contrast", "right"])
    for each in (first, second):
        assert (each.undone, each.rounds, each.read) == (1.0, 2.0, 1.0)
        assert each.psnr > 60 > each.psnr_nothing
    changed = apply_one(as_images(held_out.test[:4]), mechanisms[0], torch.Generator())
    half = undo(PerfectExperts(mechanisms), Referee(), 1 - changed, most=1)
    assert half.rounds.tolist() == [1] * 4
    torch.testing.assert_close(half.images, changed)


@pytest.mark.parametrize(("length", "most", "count"), [(1, 9, 3), (2, 9, 6), (2, 4, 4), (3, 5, 5), (3, 6, 6)])
def test_chains_are_all_ordered_ones_or_some_of_them_always_the_same(
    length: int, most: int, count: int
) -> None:
    mechanisms = parse(["right", "up", "noise"])
    found = chains_of(mechanisms, length, most)
    assert len(set(found)) == len(found) == count
    assert all(len(set(each)) == length for each in found)
    assert found == chains_of(mechanisms, length, most)


def test_a_few_chains_of_very_many_are_drawn_without_a_list_of_all() -> None:
    """Of twenty mechanisms there are 10**17 chains of fourteen."""
    mechanisms = parse(list(KINDS)[:20])
    found = chains_of(mechanisms, 14, 30)
    assert len(set(found)) == len(found) == 30
    assert {len(set(each)) for each in found} == {14}
    assert found == chains_of(mechanisms, 14, 30)
