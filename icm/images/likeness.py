"""What makes an image unlike a digit, one property at a time: how large it is, how much ink it has, how bright that is, how it varies.

Each function is meant for one of them. What else it changes `look_of` tells: whatever is made larger has more ink as well.
Pixels: image 1 height width, ink bright on 0. Widths are in pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Num, UInt8
from scipy import ndimage

from icm.images.look import BOX, FIELD
from icm.shapes import Pixels

INK = 25  # from which a pixel is ink, a tenth of full brightness
STROKE = 3  # of MNIST's digits; an outline is drawn as wide
WIDEST = 15  # that strokes are widened to
BRIGHT = 0.95  # part of the ink that is no brighter than its brightest tone

Images = UInt8[np.ndarray, "image height width"]
Mask = Bool[np.ndarray, "image height width"]


@dataclass(frozen=True)
class Look:
    """Means over images of what `likeness` is about, all in [0, 1]."""

    size: float  # longer side of the ink's box, as a part of the picture's
    ink: float  # part of the picture
    brightness: float  # of the ink
    texture: float  # difference of two neighbours that are both ink


def look_of(pixels: Pixels) -> Look:
    """How the images look in the mean."""
    images = _plain(pixels)
    ink, tone = images >= INK, images / 255
    down, right = ink[:, 1:] & ink[:, :-1], ink[:, :, 1:] & ink[:, :, :-1]
    steps = np.abs(np.concatenate([np.diff(tone, axis=1)[down], np.diff(tone, axis=2)[right]]))
    sides = [np.ptp(axis) + 1 for each in ink for axis in np.nonzero(each) if len(axis)]
    return Look(
        size=float(np.mean(np.reshape(sides, (-1, 2)).max(axis=1))) / ink.shape[-1] if sides else 0.0,
        ink=float(ink.mean()),
        brightness=float(tone[ink].mean()) if ink.any() else 0.0,
        texture=float(steps.mean()) if len(steps) else 0.0,
    )


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """Larger or smaller about the middle of the picture; what falls outside is lost."""
    images = _plain(pixels).astype(np.float32)
    middle = (images.shape[-1] - 1) / 2
    shift = middle * (1 - 1 / factor)
    return _pixels(
        np.stack([ndimage.affine_transform(each, [1 / factor] * 2, shift, order=1) for each in images])
    )


# Clothes, brought nearer to digits.


def small(pixels: Pixels) -> Pixels:
    """As small as MNIST's digits, in a box of 20 pixels where they fill their field of 28."""
    return scaled(pixels, BOX / FIELD)


def brightened(pixels: Pixels) -> Pixels:
    """Every image made so bright that its brightest tone is white."""
    images = _plain(pixels)
    brightest = np.array(
        [np.quantile(each[each >= INK], BRIGHT) if (each >= INK).any() else 255 for each in images]
    )
    return _pixels(images * (255 / brightest)[:, None, None])


def without_texture(pixels: Pixels) -> Pixels:
    """All ink of an image in its mean tone."""
    images = _plain(pixels)
    ink = images >= INK
    return _pixels(ink * _tone(images, ink)[:, None, None])


def silhouette(pixels: Pixels) -> Pixels:
    """All ink white: neither dark nor textured, as much as before."""
    return _pixels(255 * (_plain(pixels) >= INK).astype(int))


def outline(pixels: Pixels) -> Pixels:
    """The edge of the silhouette, as wide as a digit's stroke: white, without texture, and little of it."""
    ink = _solid(_plain(pixels) >= INK)
    inside = np.stack([np.asarray(ndimage.binary_erosion(each, iterations=STROKE), bool) for each in ink])
    return _pixels(255 * (ink & ~inside).astype(int))


# Digits, brought nearer to clothes.


def dimmed(pixels: Pixels, clothes: Pixels) -> Pixels:
    """As bright as the clothes are in the mean."""
    return _pixels(_plain(pixels) * (look_of(clothes).brightness / look_of(pixels).brightness))


def textured(pixels: Pixels, clothes: Pixels) -> Pixels:
    """Ink that varies as that of a piece of clothing in the same place does, in the mean nearly as bright as before: what would be brighter than white is cut."""
    images, other = _plain(pixels), _plain(clothes)[np.arange(len(pixels)) % len(clothes)]
    worn = other >= INK
    relative = np.where(worn, other / np.maximum(_tone(other, worn), 1)[:, None, None], 1)
    return _pixels(images * relative)


def fat(pixels: Pixels, clothes: Pixels) -> Pixels:
    """Strokes so wide that they cover as much as the clothes do in the mean."""
    widened, wanted = pixels, look_of(clothes).ink
    for width in range(3, WIDEST + 1, 2):
        if look_of(widened).ink >= wanted:
            break
        widened = _widened(pixels, width)
    return widened


def _widened(pixels: Pixels, width: int) -> Pixels:
    """Every stroke wider by `width` - 1."""
    reach = width // 2
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = down**2 + right**2 <= (width / 2) ** 2
    return _pixels(np.stack([ndimage.maximum_filter(each, footprint=disc) for each in _plain(pixels)]))


def large(pixels: Pixels) -> Pixels:
    """As large as clothes are."""
    return scaled(pixels, FIELD / BOX)


Change = Callable[[Pixels, Pixels], Pixels]  # of images, given clothes
OF_CLOTHES: dict[str, Change] = {
    "as they are": lambda shown, _: shown,
    "brighter": lambda shown, _: brightened(shown),
    "without texture": lambda shown, _: without_texture(shown),
    "white all over": lambda shown, _: silhouette(shown),
    "only their outlines": lambda shown, _: outline(shown),
    "as small as digits": lambda shown, _: small(shown),
    "small outlines": lambda shown, _: outline(small(shown)),
}
OF_DIGITS: dict[str, Change] = {
    "as they are": lambda shown, _: shown,
    "as dark as clothes": dimmed,
    "as textured as clothes": textured,
    "as much ink as clothes": fat,
    "as large as clothes": lambda shown, _: large(shown),
    "all of these": lambda shown, clothes: dimmed(textured(fat(large(shown), clothes), clothes), clothes),
}


def _plain(pixels: Pixels) -> Images:
    return pixels[:, 0].numpy()


def _pixels(images: Num[np.ndarray, "image height width"]) -> Pixels:
    return torch.from_numpy(np.clip(np.round(images), 0, 255).astype(np.uint8))[:, None]


def _tone(images: Images, ink: Mask) -> Float[np.ndarray, " image"]:
    """The mean of each image's ink, 0 without any."""
    return (images * ink).sum(axis=(1, 2)) / np.maximum(ink.sum(axis=(1, 2)), 1)


def _solid(ink: Mask) -> Mask:
    """Without holes: a dark spot on a shirt has no outline of its own."""
    return np.stack([np.asarray(ndimage.binary_fill_holes(each), bool) for each in ink])
