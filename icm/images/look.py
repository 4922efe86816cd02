"""The look of MNIST's digits, in one place: drawings and pictures are brought to it before the networks see them.

MNIST scaled the ink of each digit to a box of 20 pixels and laid its centre of mass into the middle of a field of 28,
which we pad to 32. A pixel's coordinate is that of its middle, counted from 0. Pictures: height width, ink bright on 0."""

import numpy as np
from jaxtyping import Float, Num, UInt8

SIZE = 32  # pixels, height and width of what the networks see
FIELD = 28  # pixels: what MNIST's pictures had before they were padded
MARGIN = (SIZE - FIELD) // 2  # pixels around that field
BOX = 20  # pixels: the longer side of the ink
# Where the centre of mass lies, down and across. Not 15.5, which would be the middle of 32 pixels: the mean over MNIST's
# 10,000 padded test digits is row 15.993 and column 16.008, and every one of them lies between 15.50 and 16.50.
CENTRE = 16.0  # pixels

Seen = Float[np.ndarray, "32 32"] | UInt8[np.ndarray, "32 32"]


def box_of(height: int, width: int) -> tuple[int, int]:
    """Height and width of the ink after it is scaled so that its longer side is `BOX`; each at least one pixel."""
    return max(1, round(BOX * height / max(height, width))), max(1, round(BOX * width / max(height, width)))


def centred(ink: Num[np.ndarray, "height width"]) -> Seen:
    """The ink on a background of 0, its centre of mass on `CENTRE` to the nearest pixel.

    Ink that would leave the field of 28 is laid at the edge of that field instead."""
    mass = ink.sum() or 1  # without ink there is no centre, and nothing to see either
    middles = [
        float((ink * along).sum() / mass) for along in np.ogrid[tuple(slice(side) for side in ink.shape)]
    ]
    top, left = (
        min(max(round(CENTRE - middle), MARGIN), SIZE - MARGIN - side)
        for middle, side in zip(middles, ink.shape)
    )
    return _pasted(ink, top, left)


def in_the_middle(picture: Num[np.ndarray, "height width"]) -> Seen:
    """The picture in the middle of a background of 0. One of 28 x 28 is padded just as MNIST's digits are."""
    top, left = (round((SIZE - side) / 2) for side in picture.shape)
    return _pasted(picture, top, left)


def _pasted(picture: Num[np.ndarray, "height width"], top: int, left: int) -> Seen:
    canvas = np.zeros((SIZE, SIZE), picture.dtype)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas
