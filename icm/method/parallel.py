"""Pieces of a computation that do not need each other, side by side on a CPU, one thread to a piece.

All threads on one piece after the other wait for each other after every operation, and a second one gains little in the
gradients of weights (docs/LOG.md). What the pieces are does not depend on the threads, and so neither do the numbers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import accumulate, chain, pairwise
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Piece = tuple[Callable[..., Tensor], Sequence[Tensor]]  # a function and the tensors to call it with
T = TypeVar("T")


def side_by_side(pieces: Sequence[Piece]) -> list[Tensor]:
    """What each function returns, in order. Its gradient, once, reaches the tensors that the functions are called with."""
    if torch.is_grad_enabled():
        functions, inputs = zip(*pieces, strict=True)
        return list(_SideBySide.apply(functions, [len(each) for each in inputs], *chain(*inputs)))
    inference = torch.is_inference_mode_enabled()
    return _run([partial(_without_gradient, inference, *piece) for piece in pieces])


def _without_gradient(inference: bool, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """The function's value, in the mode of the thread that asked, which its own thread knows nothing of."""
    with torch.inference_mode() if inference else torch.no_grad():
        return function(*inputs)


class _SideBySide(torch.autograd.Function):
    """Every piece has a graph of its own, so that threads can also go back through them without waiting for each other."""

    @staticmethod
    def forward(ctx, functions: Sequence[Callable[..., Tensor]], sizes: list[int], *inputs: Tensor):
        bounds = pairwise(accumulate(sizes, initial=0))
        parts = [inputs[begin:end] for begin, end in bounds]
        ctx.graphs = _run([partial(_with_graph, *piece) for piece in zip(functions, parts, strict=True)])
        return tuple(output.detach() for output, _ in ctx.graphs)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        tasks = [partial(_back, *graph, each) for graph, each in zip(ctx.graphs, gradients, strict=True)]
        ctx.graphs = None
        return (None, None, *chain(*_run(tasks)))


def _with_graph(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The function's value, and the leaves at which its graph ends."""
    leaves = [each.detach().requires_grad_(each.requires_grad) for each in inputs]
    with torch.enable_grad():
        return function(*leaves), leaves


def _back(output: Tensor, leaves: list[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """The gradient at each leaf that has one."""
    # Given to `grad` beside the output, a gradient makes torch load sympy: a second and more in every process (docs/LOG.md).
    with torch.enable_grad():
        slope = (output * gradient).sum()
    found = iter(torch.autograd.grad(slope, [leaf for leaf in leaves if leaf.requires_grad]))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def _run(tasks: Sequence[Callable[[], T]]) -> list[T]:
    threads = torch.get_num_threads()
    if threads == 1:
        return [task() for task in tasks]
    return list(_pool(threads).map(lambda task: task(), tasks))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1))
