"""An expert's fingerprint: where a pixel of its answer looks in the image that it was given.

An expert that undoes a shift to the right looks four pixels to the right of where it writes; one that takes noise away looks at
the pixel itself and its neighbours. Read off the network by its gradient; no label is seen."""

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from icm.method.networks import HIDDEN_LAYERS, ExpertBank
from icm.shapes import Images

REACH = HIDDEN_LAYERS + 1  # pixels that an answer can look away: one for each convolution of 3 x 3
WIDTH = 2 * REACH + 1
PHASES = (0, 3, 6, 9)  # rows and columns, within a patch of `WIDTH`, of the answer's pixels that are asked


def fingerprint(
    experts: ExpertBank, expert: int, images: Images, phases: Sequence[int] = PHASES
) -> Float[Tensor, "11 11"]:
    """Mean absolute gradient of a pixel of the expert's answer in the pixels of the image around it, by how far away these are.

    Entry [5 + down, 5 + right] tells of the pixel that many down and to the right of the answer's. Over all `images` and some
    pixels of each answer, whose patches do not overlap; `phases` are their rows and columns, fewer are faster. Scaled so that the largest entry is 1; 0 where nothing has a gradient."""
    seen = torch.zeros(WIDTH, WIDTH, device=images.device)
    height, width = images.shape[2:]
    for top, left in product(phases, phases):
        # Pixels of the answer whose patches lie side by side, so that one gradient holds them all.
        rows = range(REACH + top, height - REACH, WIDTH)
        columns = range(REACH + left, width - REACH, WIDTH)
        given = images.detach().requires_grad_()
        with torch.enable_grad():
            asked = experts(given, [expert])[0, :, 0, rows][:, :, columns]
            (gradient,) = torch.autograd.grad(asked.sum(), given)
        patches = gradient[:, 0, top : top + WIDTH * len(rows), left : left + WIDTH * len(columns)].abs()
        seen += patches.unfold(1, WIDTH, WIDTH).unfold(2, WIDTH, WIDTH).mean(dim=(0, 1, 2))
    return seen / seen.max().clamp(min=torch.finfo(seen.dtype).tiny)


def look(print_of: Float[Tensor, "11 11"]) -> tuple[int, int]:
    """How many pixels down and to the right the expert looks most."""
    down, right = divmod(int(print_of.argmax()), WIDTH)
    return down - REACH, right - REACH
