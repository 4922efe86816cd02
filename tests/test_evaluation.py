"""Figures against the true originals, checked by hand and with experts that are known to be right."""

import json

import numpy as np
import pytest
import torch

from icm.images.batches import as_images
from icm.images.digits import load_digits
from icm.images.look import CENTRE
from icm.images.mechanisms import Mechanism, apply_one, invert, parse
from icm.measure.chain import chain
from icm.measure.evaluation import evaluate, examples, networks, psnr
from icm.method.networks import Discriminator, ExpertBank
from icm.method.weights import weights
from icm.ownership import experts_with_own, is_one_to_one, owners, win_share
from icm.runs.records import RowShape, StepRecord, Window


class PerfectExperts(ExpertBank):
    """Expert m inverts mechanism m exactly."""

    def __init__(self, mechanisms: tuple[Mechanism, ...]) -> None:
        torch.nn.Module.__init__(self)
        self.mechanisms, self.experts, self.playing = mechanisms, len(mechanisms), None

    def forward(self, images: torch.Tensor, experts: list[int] | None = None) -> torch.Tensor:
        return torch.stack([invert(images, mechanism) for mechanism in self.mechanisms])


class Referee(Discriminator):
    """Prefers dark images with their ink where MNIST has it: enough to tell the right inverse from a wrong one."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, images: torch.Tensor, learns: bool = True) -> torch.Tensor:
        columns = torch.arange(images.shape[-1]).float()
        mass = images.sum(dim=(1, 2, 3))
        centre = (images.sum(dim=(1, 2)) * columns).sum(dim=1) / mass
        # The ink of a digit is about 100, a tenth of 1,024 pixels.
        return -(centre - CENTRE).abs() - (mass - 100).clamp(min=0)


def test_psnr_by_hand() -> None:
    # Every pixel off by 0.1: mean squared error 0.01, so 20 dB. Equal images: the error counts as 1e-10, so 100 dB.
    images, originals = torch.full((2, 1, 4, 5), 0.6), torch.full((2, 1, 4, 5), 0.5)
    originals[1] = 0.6
    torch.testing.assert_close(psnr(images, originals), torch.tensor([20.0, 100.0]))


def test_perfect_experts_are_found_to_be_perfect(root) -> None:
    mechanisms = parse(["right=6", "left=6", "contrast"])
    digits = load_digits("builtin", root).test[:40]
    result = evaluate(PerfectExperts(mechanisms), Referee(), digits, mechanisms)

    assert result.owner == [0, 1, 2]
    assert result.one_to_one
    assert result.routing_accuracy == pytest.approx(
        np.mean([row[m] for m, row in enumerate(result.win_share)])
    )
    for owner_psnr, winner_psnr, nothing in zip(result.psnr_owner, result.psnr, result.psnr_nothing):
        assert owner_psnr is not None
        assert owner_psnr > 30
        assert owner_psnr >= winner_psnr > nothing
    # Inversion's error by hand: the mean over images of -10 log10 mean (1 - 2x)^2.
    error = (1 - 2 * digits.float() / 255).square().mean(dim=(1, 2, 3))
    assert result.psnr_nothing[2] == pytest.approx(float(-10 * error.log10().mean()), abs=1e-4)


def test_evaluation_prints_the_keys_that_others_read(root) -> None:
    mechanisms = parse(["right=6", "contrast"])
    result = evaluate(
        PerfectExperts(mechanisms), Referee(), load_digits("builtin", root).test[:8], mechanisms
    )
    printed = json.loads(json.dumps(result.to_json()))
    assert list(printed) == [
        "mechanisms", "win_share", "owner", "one_to_one", "routing_accuracy", "psnr", "psnr_owner", "psnr_nothing", "doubt",
    ]  # fmt: skip
    assert printed["owner"] == {"right": 0, "contrast": 1}
    assert np.shape(printed["win_share"]) == (2, 2)


def test_examples_show_the_winners_answer(root) -> None:
    mechanisms = parse(["left=5", "right=5", "contrast"])
    shown = examples(PerfectExperts(mechanisms), Referee(), load_digits("builtin", root).test, mechanisms)
    for index, mechanism in enumerate(mechanisms):
        changed = apply_one(shown.original[index : index + 1], mechanism, torch.Generator())
        assert torch.equal(shown.transformed[index : index + 1], changed)
        answer = invert(changed, mechanisms[int(shown.contest.winner[index])])
        assert torch.equal(shown.contest.restored[index : index + 1], answer)


def test_networks_come_back_from_their_snapshot(tiny) -> None:
    from icm.images.batches import generator_for
    from icm.method.state import init_state

    state = init_state(tiny, generator_for(5, "weights"), torch.device("cpu"))
    experts, discriminator = networks(tiny, weights(state.experts, state.discriminator))
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(experts(images), state.experts(images))
    assert torch.equal(discriminator(images), state.discriminator(images))


def test_owners_need_a_majority_and_one_to_one_needs_owners_of_their_own() -> None:
    #                 mechanism  0  1  2
    share = win_share(np.array([[9, 8, 5], [1, 2, 5]]))  # expert 0, expert 1
    assert owners(share) == [0, 0, None]  # half is no majority
    assert experts_with_own([0, 0, None]) == 0
    assert experts_with_own([0, 2, 2]) == 1
    assert is_one_to_one([2, 0, 1])
    assert not is_one_to_one([2, 0, None])
    assert not is_one_to_one([2, 0, 2])


def test_a_mechanism_without_an_image_has_no_owner() -> None:
    assert owners(win_share(np.array([[3, 0], [0, 0]]))) == [0, None]


def test_a_row_sums_the_steps_since_the_row_before() -> None:
    window = Window(RowShape(experts=2, mechanisms=3))
    logits = np.array([[1.0, 3.0], [5.0, -1.0]])  # expert batch
    window.add(np.array([1, 0]), np.array([2, 2]), logits, psnr=np.array([10.0, 20.0]), losses=(0.5, 1.5))
    window.add(np.array([1, 1]), np.array([0, 2]), logits, psnr=np.array([30.0, 20.0]), losses=(1.5, 0.5))
    record = window.take(step=2)
    assert record.wins == [[0, 0, 1], [1, 0, 2]]
    # Mechanism 2 saw logits 1, 3, 3 of expert 0 and 5, -1, -1 of expert 1; mechanism 1 saw no image.
    assert record.score == [[1.0, None, 2.3333], [5.0, None, 1.0]]
    assert (record.psnr, record.expert_loss, record.discriminator_loss, record.images) == (20.0, 1.0, 1.0, 4)
    assert window.take(step=2).images == 0
    again = json.loads(json.dumps(record.to_json()))
    assert StepRecord.from_json(again, RowShape(experts=2, mechanisms=3)) == record


def test_a_chain_undoes_two_mechanisms_and_ends_when_nothing_scores_higher(root) -> None:
    mechanisms = parse(["right=6", "left=6", "contrast"])
    (digit,) = as_images(load_digits("builtin", root).test[:1])
    generator = torch.Generator()
    changed = apply_one(apply_one(digit[None], mechanisms[0], generator), mechanisms[2], generator)
    rounds = chain(PerfectExperts(mechanisms), Referee(), changed, most=5)

    assert [int(each.contest.winner) for each in rounds[:2]] == [2, 0]  # contrast, then right
    assert [each.better for each in rounds] == [True, True, False]
    torch.testing.assert_close(rounds[2].image, digit[None])
    assert len(chain(PerfectExperts(mechanisms), Referee(), changed, most=1)) == 1


def test_owners_from_elsewhere_are_those_whose_answers_and_wins_are_counted(root) -> None:
    mechanisms = parse(["right=6", "left=6", "contrast"])
    digits = load_digits("builtin", root).test[:20]
    own = evaluate(PerfectExperts(mechanisms), Referee(), digits, mechanisms)
    swapped = evaluate(PerfectExperts(mechanisms), Referee(), digits, mechanisms, owner=[1, 0, None])
    assert swapped.owner == [1, 0, None]
    assert (swapped.win_share == own.win_share).all()
    expected = (own.win_share[0, 1] + own.win_share[1, 0] + 0) / 3
    assert swapped.routing_accuracy == pytest.approx(expected)
    assert swapped.psnr_owner[2] is None
    assert swapped.psnr_owner[0] is not None
    assert swapped.psnr_owner[0] < 15  # moved 12 pixels away from the original


def test_accuracy_is_counted_on_originals_changed_digits_and_answers(root) -> None:
    mechanisms = parse(["contrast"])
    digits = load_digits("builtin", root)
    # A reader of brightness: "1" for a dark picture, "0" for a bright one; every digit is labelled 1.
    result = evaluate(
        PerfectExperts(mechanisms),
        Referee(),
        digits.test[:6],
        mechanisms,
        labels=torch.ones(6, dtype=torch.long),
        read=lambda images: (images.mean(dim=(1, 2, 3)) < 0.5).long(),
    )
    assert result.accuracy == {"original": 1.0, "transformed": 0.0, "restored": 1.0}
