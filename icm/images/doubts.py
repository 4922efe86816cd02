"""What in a photo can be taken for ink: the lines of ruled paper, and the edge of a hard shadow. Found by simple means, which would
rather miss some than doubt a clean picture. Pictures: height width, in [0, 1]; ink dark on bright paper."""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Doubt = Literal["lines", "shadow"]

LEAST = 24  # pixels; what is lower or narrower tells too little
SIDE = 256  # pixels, about the longer side of what is looked at
THICKEST = 9  # pixels of a line
LINE = 0.03  # a line is at least so much darker than the paper beside it
TILTS = range(-24, 25, 2)  # pixels that a line may rise or fall from one side of the picture to the other
SPAN = (
    0.75  # a line spans at least so much of the picture; a digit with some paper around it has no such stroke
)
LINES = 2  # at least
STEP = 0.15  # the shaded paper is at least by this share of its brightness darker
DARKEST = 0.08  # a smaller step, in a dark picture, is none


def doubt(grey: Float[np.ndarray, "height width"]) -> Doubt | None:
    """What is to be feared of the picture, if anything is; of a very small one nothing is said."""
    if min(grey.shape) < LEAST:
        return None
    small = _reduced(grey)
    if _has_lines(small) or _has_lines(small.T):
        return "lines"
    return "shadow" if _has_step(_rim(small)) else None


def _reduced(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "newheight newwidth"]:
    """Means over squares of pixels, so that the longer side has at most `SIDE`."""
    of = math.ceil(max(grey.shape) / SIDE)
    height, width = (side // of for side in grey.shape)
    return grey[: height * of, : width * of].reshape(height, of, width, of).mean(axis=(1, 3))


def _has_lines(grey: Float[np.ndarray, "height width"]) -> bool:
    """Whether thin dark lines go from side to side, level or nearly so."""
    darker = ndimage.grey_closing(grey, size=(THICKEST, 1)) - grey
    middle = np.median(darker)
    thin = darker > max(LINE, middle + 5 * np.median(np.abs(darker - middle)))
    # A pixel above or below the line counts as on it: a line is never quite straight.
    thin = ndimage.binary_dilation(thin, structure=np.ones((3, 1)))
    height, width = grey.shape
    columns = np.arange(width)
    for tilt in TILTS:
        drop = np.round(tilt * (columns / max(width - 1, 1) - 0.5)).astype(int)
        rows = (np.arange(height)[:, None] + drop) % height
        spans = thin[rows, columns].mean(axis=1) >= SPAN
        if np.count_nonzero(np.diff(spans.astype(int), prepend=0) == 1) >= LINES:
            return True
    return False


def _rim(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, " pixel"]:
    """The brightness along the picture's edge, once around. There is paper, and hardly any ink."""
    wide = max(1, max(grey.shape) // 40)
    top, right = grey[:wide].mean(axis=0), grey[:, -wide:].mean(axis=1)
    bottom, left = grey[-wide:].mean(axis=0)[::-1], grey[:, :wide].mean(axis=1)[::-1]
    return np.concatenate([top, right, bottom, left])


def _has_step(rim: Float[np.ndarray, " pixel"]) -> bool:
    """Whether the rim is darker all at once, and stays so for a third of a side. A gradual change of light is no step."""
    far = max(4, len(rim) // 12)
    near, gap = max(2, far // 4), max(1, far // 6)
    after_far = ndimage.median_filter(rim, far, mode="wrap")
    after_near = ndimage.median_filter(rim, near, mode="wrap")

    def change(medians: Float[np.ndarray, " pixel"], wide: int) -> Float[np.ndarray, " pixel"]:
        away = gap + wide // 2
        return np.roll(medians, -away) - np.roll(medians, away)

    steps = change(after_far, far), change(after_near, near)
    least = np.maximum(DARKEST, STEP * ndimage.maximum_filter(after_far, 2 * far, mode="wrap"))
    return bool(((np.minimum(*steps) > least) | (np.maximum(*steps) < -least)).any())
