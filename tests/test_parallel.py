"""Pieces side by side give what they give one after the other: values, gradients, modes, errors."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from icm.method.networks import LARGEST_PIECE, PIECES, USUAL_PIECE, pieces_of
from icm.method.parallel import side_by_side


@pytest.fixture(autouse=True, params=[1, 2])
def one_thread_or_two(request: pytest.FixtureRequest, threads: Callable[[int], None]) -> None:
    threads(request.param)


def test_values_and_gradients_are_those_of_plain_calls() -> None:
    shared = torch.tensor([2.0, 3.0], requires_grad=True)
    own = [torch.tensor([5.0, 7.0]), torch.tensor([1.0, 4.0], requires_grad=True)]
    values = side_by_side([(torch.mul, [shared, each]) for each in own])
    assert [each.tolist() for each in values] == [[10.0, 21.0], [2.0, 12.0]]

    torch.stack(values).sum().backward()
    assert shared.grad is not None
    assert shared.grad.tolist() == [6.0, 11.0]
    assert own[0].grad is None
    assert own[1].grad is not None
    assert own[1].grad.tolist() == [2.0, 3.0]


def test_pieces_compute_in_the_mode_of_the_thread_that_asks() -> None:
    weight = torch.ones(2, requires_grad=True)
    pieces = [(torch.neg, [weight]), (torch.exp, [weight])]
    with torch.no_grad():
        assert not any(value.requires_grad for value in side_by_side(pieces))
    with torch.inference_mode():
        assert all(value.is_inference() for value in side_by_side(pieces))
    assert all(value.requires_grad for value in side_by_side(pieces))


def test_with_two_threads_two_pieces_run_at_once(threads: Callable[[int], None]) -> None:
    threads(2)
    both = threading.Barrier(2, timeout=20)

    def meet(x: Tensor) -> Tensor:
        both.wait()
        return x

    assert len(side_by_side([(meet, [torch.ones(1)])] * 2)) == 2


def test_an_error_in_a_piece_is_raised_where_it_was_asked_for() -> None:
    def refuse(x: Tensor) -> Tensor:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        side_by_side([(torch.neg, [torch.ones(1)]), (refuse, [torch.ones(1)])])


def test_the_discriminators_pieces_are_even_in_number_and_of_a_size_that_suits() -> None:
    for images in range(1, 2000):
        count = pieces_of(images)
        sizes = [len(part) for part in torch.zeros(images).tensor_split(count)]
        assert max(sizes) <= LARGEST_PIECE
        if images < USUAL_PIECE:
            assert count == 1
        else:
            assert count % 2 == 0
            assert count == 2 or min(sizes) >= USUAL_PIECE
            assert count <= PIECES or images > PIECES * LARGEST_PIECE
