"""What the mechanisms do to images: the functions behind the table in `mechanisms`. What torchvision has is torchvision's.

Images: batch 1 height width, in [0, 1]; what comes in from beyond the border is background (0). A function that is random takes its
numbers from the generator argument, anew for each image."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from icm.shapes import Images

SMOOTH = 4.0  # pixels: standard deviation of the Gaussian that makes a deformation smooth (Simard, Steinkraus and Platt, 2003)
PERIOD = 16  # rows of one wave
GREY = 0.5
REACH = 3  # standard deviations at which a Gaussian is cut off


def shifted(images: Images, right: int, down: int) -> Images:
    """Moved by whole pixels. Ink that leaves the picture is lost."""
    padded = functional.pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    height, width = images.shape[-2:]
    top, left = max(-down, 0), max(-right, 0)
    return padded[..., top : top + height, left : left + width]


def mixed(images: Images, other: Images, share: float) -> Images:
    """So much of the other images, the rest of these."""
    return (1 - share) * images + share * other


def unmixed(images: Images, other: Images, share: float) -> Images:
    """What was `mixed` before that, where `other` is `images` changed in the same way: a mirror image, which mirrored again is itself."""
    return ((1 - share) * images - share * other) / (1 - 2 * share)


def noisy(images: Images, variance: float, generator: Generator) -> Images:
    """With Gaussian noise added, clamped."""
    noise = torch.randn(images.shape, generator=generator, dtype=images.dtype, device=generator.device)
    return (images + variance**0.5 * noise.to(images.device)).clamp(0, 1)


def speckled(images: Images, share: float, generator: Generator) -> Images:
    """So many of the pixels black or white, half of them each."""
    drawn = torch.rand(images.shape, generator=generator, device=generator.device).to(images.device)
    return torch.where(drawn < share, (drawn < share / 2).to(images.dtype), images)


def occluded(images: Images, side: float, generator: Generator) -> Images:
    """Behind a grey square of so many pixels a side, somewhere in the picture."""
    height, width = images.shape[-2:]
    corner = torch.rand((2, len(images), 1, 1, 1), generator=generator, device=generator.device).to(
        images.device
    )
    top, left = (corner[0] * (height - side + 1)).floor(), (corner[1] * (width - side + 1)).floor()
    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)
    behind = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return torch.where(behind, GREY, images)


def rotated(images: Images, degrees: float) -> Images:
    """Turned clockwise about the centre."""
    return _affine(images, degrees, 1.0)


def scaled(images: Images, factor: float) -> Images:
    """Made larger, or smaller for a factor below 1, about the centre."""
    return _affine(images, 0.0, factor)


def _affine(images: Images, degrees: float, factor: float) -> Images:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import affine

    bilinear = InterpolationMode.BILINEAR
    return affine(images, degrees, [0.0, 0.0], factor, [0.0, 0.0], interpolation=bilinear).clamp(0, 1)


def blurred(
    images: Float[Tensor, "batch channel height width"], deviation: float
) -> Float[Tensor, "batch channel height width"]:
    """Convolved with a Gaussian of this standard deviation, in pixels."""
    from torchvision.transforms.v2.functional import gaussian_blur

    size = 2 * max(1, round(REACH * deviation)) + 1
    return gaussian_blur(images, [size, size], [deviation, deviation])


def sheared(images: Images, slope: float) -> Images:
    """Each row moved by whole pixels, `slope` for each row that it is below the centre: to the left above, to the right below."""
    return _rows_moved(images, (slope * _rows(images)).round())


def waved(images: Images, pixels: float) -> Images:
    """Each row moved by whole pixels, at most so many, to the right and to the left by turns as a sine goes."""
    return _rows_moved(images, (pixels * torch.sin(2 * torch.pi * _rows(images) / PERIOD)).round())


def _rows(images: Images) -> Float[Tensor, " height"]:
    """How far below the centre each row is."""
    height = images.shape[-2]
    return torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2


def _rows_moved(images: Images, right: Float[Tensor, " height"]) -> Images:
    """Each row moved to the right by a whole number of pixels. Ink that leaves the picture is lost."""
    width = images.shape[-1]
    source = torch.arange(width, device=images.device) - right.long()[:, None]
    moved = images.gather(-1, source.clamp(0, width - 1).expand_as(images))
    return moved * ((source >= 0) & (source < width))


def deformed(images: Images, pixels: float, generator: Generator) -> Images:
    """Deformed smoothly, each image in its own way; `pixels` is the standard deviation of how far a place is moved, in x and in y."""
    batch, _, height, width = images.shape
    shape = (batch, 2, height, width)
    random = torch.rand(shape, generator=generator, dtype=images.dtype, device=generator.device)
    far = blurred(random.to(images.device) - 0.5, SMOOTH)
    far = far / far.std(dim=(1, 2, 3), keepdim=True)
    size = torch.tensor([width, height], device=images.device, dtype=images.dtype)
    straight = functional.affine_grid(
        torch.eye(2, 3, device=images.device, dtype=images.dtype).expand(batch, -1, -1),
        [batch, 1, height, width],
        False,
    )
    grid = straight + 2 * pixels * far.permute(0, 2, 3, 1) / size
    return functional.grid_sample(images, grid, align_corners=False)
