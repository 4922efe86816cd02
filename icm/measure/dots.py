"""What an expert answers to a single bright dot, wherever the dot is: the simplest image on which one sees what the expert does."""

import torch
from jaxtyping import Float
from torch import Tensor

from icm.measure.evaluation import CHUNK
from icm.measure.fingerprint import REACH
from icm.method.networks import ExpertBank
from icm.shapes import Images

SIDE = 32  # pixels, height and width of the image
INK = ((0.5, 0.9, 0.5), (0.9, 1.0, 0.9), (0.5, 0.9, 0.5))  # of a dot, as a touch of a pen leaves it


def dot(down: int, right: int) -> Float[Tensor, "32 32"]:
    """An image with one dot, whose middle is that many pixels from the top and from the left. An edge may cut it."""
    image = torch.zeros(SIDE + 2, SIDE + 2)
    image[down : down + 3, right : right + 3] = torch.tensor(INK)
    return image[1:-1, 1:-1]


@torch.no_grad()
def answers_to_dots(experts: ExpertBank, expert: int) -> Float[Tensor, "32 32 32 32"]:
    """The expert's answer to the dot in every place. Axes: how far down and right the dot is, then height and width of the answer.

    A pixel of an answer sees only what is near it. So one image serves many places: its dots lie so far apart that no pixel sees
    two. This is exact and takes 170 answers instead of 1,024. Group norm looks at the whole image; there every place has its own."""
    far = (
        SIDE if experts.norm == "group" else REACH + 1
    )  # pixels from a dot's middle that its answer can reach
    apart = min(2 * far + 1, SIDE)
    place = torch.arange(SIDE)
    every = torch.stack([torch.stack([dot(down, right) for right in range(SIDE)]) for down in range(SIDE)])
    many = torch.stack(
        [every[down::apart, right::apart].sum(dim=(0, 1)) for down in range(apart) for right in range(apart)]
    )
    given: Images = torch.cat([torch.zeros(1, SIDE, SIDE), many])[:, None]
    answers = torch.cat([experts(piece, [expert])[0] for piece in given.split(CHUNK)])[:, 0]
    nothing, found = answers[0], answers[1:].view(apart, apart, SIDE, SIDE)
    mine = found[place % apart][:, place % apart]
    near = (place[:, None] - place).abs() <= far
    return torch.where(near[:, None, :, None] & near[None, :, None, :], mine, nothing)
