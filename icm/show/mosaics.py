"""Draws many images as one picture: a table of images with names and frames. Axes: row, column, height, width."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

SCALE = 3  # screen pixels for each image pixel, down and across
GAP = 12  # screen pixels between two images
FRAME = 5  # screen pixels around a framed one
LETTER = 20  # screen pixels: the size of the font
TEXT = (124, 124, 124, 255)  # legible on a light page and on a dark one
EDGE = (128, 128, 128, 110)  # so that a white image has an edge on a white page


def picture_table(
    images: Float[np.ndarray, "row column height width"],
    rows: Sequence[str],
    columns: Sequence[str],
    frames: Mapping[tuple[int, int], str],
) -> UInt8[np.ndarray, "vertical horizontal 4"]:
    """A table of images in [0, 1] with names, on a transparent ground. `frames` has the colour of a frame by (row, column)."""
    height, width = (SCALE * size for size in images.shape[2:])
    font = ImageFont.load_default(size=LETTER)
    margin = GAP + int(max((font.getlength(name) for name in rows), default=0)) + GAP
    lines = 1 + max((name.count("\n") for name in columns), default=0)
    head = GAP + lines * (LETTER + 6)
    size = (margin + len(columns) * (width + GAP), head + len(rows) * (height + GAP))
    canvas = Image.new("RGBA", size)
    draw = ImageDraw.Draw(canvas)
    for column, name in enumerate(columns):
        middle = margin + column * (width + GAP) + width // 2
        draw.multiline_text((middle, head - GAP), name, TEXT, font, anchor="md", align="center")
    for row, name in enumerate(rows):
        top = head + row * (height + GAP)
        draw.text((margin - GAP, top + height // 2), name, TEXT, font, anchor="rm")
        for column in range(len(columns)):
            left = margin + column * (width + GAP)
            frame = frames.get((row, column))
            edge = FRAME if frame else 1
            draw.rectangle(
                (left - edge, top - edge, left + width - 1 + edge, top + height - 1 + edge), frame or EDGE
            )
            pixels = (images[row, column].clip(0, 1) * 255).round().astype(np.uint8)
            canvas.paste(
                Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (left, top)
            )
    return np.asarray(canvas)
