"""Turns a person's picture into one image of the size that the networks know, 32 x 32.

A file is not trusted: its size, its format and the work it may cost are bounded. Then it is reduced in one of two ways:
`canonical` makes it look like MNIST (look.py; ink bright on 0), `as_drawn` only makes it square and changes its resolution.
Pictures: height width, in [0, 1], of any size."""

import math
import warnings
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from icm.errors import ActionableError
from icm.images import look

FINE = 8  # strokes are measured and thickened at this multiple of the final resolution

MOST_BYTES = 5_000_000
# Pixels by format: the costliest kind of each takes one slow core under a second and less than 200 MB, measured.
# MPO is what Pillow calls a JPEG file that holds several pictures.
MOST_PIXELS = {"JPEG": 16_000_000, "MPO": 16_000_000, "PNG": 12_000_000, "WEBP": 9_000_000}
MOST_READS = 20_000  # of one file; 5 MB of empty PNG chunks would be 1.2 million reads and take nine seconds
MOST_SCANS = 24  # of a progressive JPEG; each visits all pixels, and usual encoders make 10
LONGEST = 1024  # pixels, the longer side of a picture once opened

FAINT = 0.06  # contrast below which a picture is taken for empty paper
STROKE = 2.3  # pixels, the median width over MNIST's test digits, measured by `_stroke`
THINNEST = 1.0  # pixels; hardly one of MNIST's test digits has thinner strokes
# Mean of the image. The least among MNIST's test digits is 0.0215, that of a round dot of 3 pixels 0.007.
BLANK = 0.012


class PictureError(ActionableError):
    """A picture that cannot be used; the message is one sentence with the value and the remedy."""


class _Bounded(BytesIO):
    """Bytes that may be read `MOST_READS` times. This bounds what a file of countless small blocks costs."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise PictureError(f"the picture has over {MOST_READS} blocks; save it again without metadata")
        return super().read(size)


def open_picture(data: bytes) -> Float[np.ndarray, "height width"]:
    """The picture in grey, upright, its longer side at most 1024 pixels.

    PictureError for whatever is no usable PNG, JPEG or WEBP. An animation gives its first picture.
    Transparency is filled as `_flatten` says."""
    if len(data) > MOST_BYTES:
        raise PictureError(f"the picture has {len(data) / 1e6:.1f} MB; use one of at most 5 MB")
    if data.startswith(b"\xff\xd8") and (scans := data.count(b"\xff\xda")) > MOST_SCANS:
        raise PictureError(f"the JPEG has {scans} scans; save it again as an ordinary JPEG or as PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_Bounded(data), formats=("PNG", "JPEG", "WEBP")) as image:
                return _decode(image)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(
            f"the file of {len(data)} bytes is no PNG, JPEG or WEBP; save it as one of these"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = str(error).split(",")[0]
        raise PictureError(f"the picture is too large ({pixels}); make it smaller and try again") from error
    except Exception as error:  # on a damaged file a decoder may raise almost anything
        raise PictureError(f"the picture is damaged ({error}); save it again as PNG or JPEG") from error


def _decode(image: Image.Image) -> Float[np.ndarray, "height width"]:
    most = MOST_PIXELS[image.format or ""]
    if image.width * image.height > most:
        raise PictureError(
            f"the {image.format} has {image.width} x {image.height} pixels; "
            f"make it smaller, at most {most // 1_000_000} million"
        )
    image.draft("L", (LONGEST, LONGEST))  # a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size
    ImageOps.exif_transpose(image, in_place=True)

    if image.mode.startswith("I"):  # 16 bits
        small = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    else:
        small = image.convert("RGBA" if image.has_transparency_data else "L")
    small = small.reduce(math.ceil(max(small.size) / LONGEST))
    grey = np.asarray(small.convert("L"), dtype=np.float32) / 255
    if small.mode == "L":
        return grey
    return _flatten(grey, np.asarray(small.getchannel("A"), dtype=np.float32) / 255)


def _flatten(
    grey: Float[np.ndarray, "height width"], alpha: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """The picture with its transparent part filled: white around dark ink, black around bright ink.

    Where more than half is opaque, what is seen is paper rather than ink. Then bright paper is filled with white and dark
    paper with black."""
    dark = float((grey * alpha).sum()) < 0.5 * float(alpha.sum())
    ground = 1.0 if dark != (alpha.mean() > 0.5) or not alpha.any() else 0.0
    return (grey * alpha + ground * (1 - alpha)).astype(np.float32)


@dataclass(frozen=True)
class Part:
    """A part of a picture, in shares of its width and height."""

    left: float = 0.0
    right: float = 1.0
    top: float = 0.0
    bottom: float = 1.0


WHOLE = Part()


def cut(grey: Float[np.ndarray, "height width"], part: Part) -> Float[np.ndarray, "newheight newwidth"]:
    """The part of the picture, at least one pixel of it."""
    height, width = grey.shape
    top, left = min(int(part.top * height), height - 1), min(int(part.left * width), width - 1)
    return grey[
        top : max(top + 1, math.ceil(part.bottom * height)),
        left : max(left + 1, math.ceil(part.right * width)),
    ]


def as_drawn(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "32 32"]:
    """The picture as it is, made square with its background (the median of its border), then 32 x 32 by averaging areas.

    Nothing is inverted or centred."""
    missing = [max(grey.shape) - side for side in grey.shape]
    square = np.pad(
        grey, [(each // 2, each - each // 2) for each in missing], constant_values=np.median(_border(grey))
    )
    return _resized(square, look.SIZE, look.SIZE).clip(0, 1).astype(np.float32)


def canonical(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "32 32"]:
    """The picture as MNIST would hold it; all 0 where nothing stands out from the background.

    Ink may be dark on bright, the light uneven, the stroke thin. Around the ink there must be some paper and nothing else."""
    ink = _ink(grey)
    if not ink.any():
        return np.zeros((look.SIZE, look.SIZE), dtype=np.float32)

    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = _boxed(_thickened(_boxed(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], FINE)), 1)
    return look.centred(digit).clip(0, 1).astype(np.float32)


def is_blank(ink: Float[np.ndarray, "height width"]) -> bool:
    """Whether there is no ink, or no more than a dot.

    The ink must be bright on 0, as `canonical` and the pad give it; make a photo canonical first."""
    return float(ink.mean()) < BLANK


def has_ink(image: Float[np.ndarray, "32 32"], bright_on_0: bool) -> bool:
    """Whether there is something on a picture of the networks' size; a dot is nothing where ink is `bright_on_0`."""
    return bool(np.ptp(image) >= FAINT) and not (bright_on_0 and is_blank(image))


def _ink(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """The marks on the picture, without specks and noise: 0 for the ground, 1 for full ink. All 0 for empty paper."""
    # Pixels to average over, along each axis; a single one says little in a large picture.
    grain = max(1, max(grey.shape) // 256)
    grey = ndimage.uniform_filter(grey, grain)
    level = grey - _light(grey)
    if -level.min() > level.max():
        level = -level
    level = level - _ground(level)

    peak = level.max()
    if peak < FAINT:
        return np.zeros_like(grey)
    rest = level[level <= peak / 2]
    middle = np.median(rest)
    # 4.5 median deviations of the paper's noise are three of its standard deviations.
    floor = middle + 4.5 * np.median(np.abs(rest - middle))
    # The highest of a million pixels of noise lies at five standard deviations, well below 2.5 floors.
    if peak < 2.5 * floor:
        return np.zeros_like(grey)
    full = np.percentile(level[level >= peak / 2], 90)
    level = ((level - floor) / (full - floor)).clip(0, 1)

    # A faint pixel is ink only where it is connected to a strong one.
    touching = ndimage.binary_propagation(level > 0.5, structure=np.ones((3, 3)), mask=level > 0.02)
    return np.where(touching, level, 0)


def _light(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """How bright the paper would be everywhere: the border's brightness, continued as a quadratic surface."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in grey.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y])
    border, light = np.stack([_border(term) for term in terms], axis=1), _border(grey)
    weights = np.linalg.lstsq(border, light)[0]
    for _ in range(8):  # towards the least absolute error, so that ink at the border hardly counts
        trust = 1 / np.sqrt(np.abs(light - border @ weights) + 0.01)
        weights = np.linalg.lstsq(border * trust[:, None], light * trust)[0]
    return np.tensordot(weights, terms, axes=1)


def _ground(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """The brightness that is left under bright ink, such as that of a shadow: all that is as wide as a third of the picture."""
    height, width = (min(side, 64) for side in grey.shape)
    coarse = _resized(grey, height, width)
    coarse = ndimage.grey_opening(coarse, size=(1 + height // 3, 1 + width // 3))
    coarse = ndimage.gaussian_filter(coarse, (height / 16, width / 16))
    factors = (grey.shape[0] / height, grey.shape[1] / width)
    return np.asarray(ndimage.zoom(coarse, factors, order=1, mode="nearest", grid_mode=True))


def _thickened(fine: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "taller wider"]:
    """The ink, drawn again with a pen of MNIST's median width if its strokes are thinner than nearly all of MNIST's.

    Other ink stays as it is."""
    solid = fine >= fine.max() / 2
    if _stroke(solid) >= THINNEST:
        return fine
    radius = (STROKE - _stroke(solid)) / 2 * FINE
    distance = np.asarray(
        ndimage.distance_transform_edt(np.pad(~solid, math.ceil(radius), constant_values=True))
    )
    return (radius + 0.5 - distance).clip(0, 1)


def _stroke(solid: Bool[np.ndarray, "height width"]) -> float:
    """Mean width of the strokes in final pixels. Across a stroke of width w the distance to its edge is w / 4 on average."""
    distance = np.asarray(ndimage.distance_transform_edt(np.pad(solid, 1)))[1:-1, 1:-1]
    # The distance of a pixel at the edge is 1, but its centre lies only half a pixel inside.
    return 4 * float(distance[solid].mean() - 0.5) / FINE


def _boxed(ink: Float[np.ndarray, "height width"], scale: int) -> Float[np.ndarray, "boxheight boxwidth"]:
    """The ink scaled to MNIST's box times `scale`, proportions kept."""
    height, width = look.box_of(*ink.shape)
    return _resized(ink, height * scale, width * scale)


def _border(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, " pixel"]:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _resized(
    grey: Float[np.ndarray, "height width"], height: int, width: int
) -> Float[np.ndarray, "newheight newwidth"]:
    """Every new pixel is the mean over the area it covers, fractions of pixels included."""
    return _shares(grey.shape[0], height) @ grey @ _shares(grey.shape[1], width).T


def _shares(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """How much of each new pixel lies in each old one, along one axis."""
    edges = np.linspace(0, old, new + 1)[:, None]
    covered = (edges - np.arange(old)).clip(0, 1)  # the share of each old pixel that lies before each edge
    return np.diff(covered, axis=0) * new / old
