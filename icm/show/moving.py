"""The picture of a run as a moving one, for a README or a talk: a frame for each moment, drawn as the pages draw it.

Left the experts' shares of each mechanism's images over time, in the middle the same as ribbons at this moment, right what
everyone answers then, from the run's film. Sizes are in pixels of the picture. No torch."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from icm.config import SYMBOLS, RunConfig, mechanism_name
from icm.ownership import MAJORITY
from icm.runs.errors import StoreError
from icm.runs.film import DIGITS
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.show import story
from icm.show.experts import badge, colour
from icm.show.timeline import Timeline, timeline

FRAMES = 84  # evenly over the square root of time, as the axis
FRAME_MS, LAST_MS = 90, 2500
FINE = 2  # drawn so many times larger and then shrunk, for smooth edges
ROW, GAP, CELL = 34, 3, 31
NAME, TIME, RIBBONS, BADGE = 118, 400, 150, 40
LABEL = NAME + 2 * (CELL + 1) + 8  # with a digit before and after
TOP, BOTTOM, EDGE = 64, 30, 14
INK, PAPER = "#262730", "#ffffff"
SIDE = 32  # pixels of an image in the film
TICKS = (0, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def moving_picture(run: Run) -> bytes:
    """An animated WebP of the run from its first step to its newest. StoreError for a run without rows or without a film."""
    config = run.config()
    history = run_history(run, config)
    films = {step: _film(run, f"{step:06d}") for step in run.film.steps()}
    if not history.rows or not films:
        raise StoreError(f"run {run.id} has no film to draw from; train one like it, and it will have one")
    seen = timeline(history, history.last_step)
    names = [mechanism_name(spec) for spec in config.mechanisms]
    told = story.words(story.events(history), names)
    moments = np.round(np.linspace(0, 1, FRAMES) ** 2 * history.last_step).astype(int).tolist()
    board = Board(config, seen, names, digits=_film(run, DIGITS))
    frames = [board.frame(step, told, films) for step in dict.fromkeys(moments)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[FRAME_MS] * (len(frames) - 1) + [LAST_MS],
        loop=0,
        quality=75,
        method=4,
    )
    return buffer.getvalue()


def _film(run: Run, name: str) -> Image.Image:
    """A picture of the film; StoreError where it is missing or damaged."""
    try:
        return Image.open(io.BytesIO(run.film.picture(name) or b"")).convert("RGB")
    except OSError:
        raise StoreError(f"run {run.id}: film/{name}.webp cannot be read") from None


class Board:
    """What stays the same from frame to frame, and the drawing of one."""

    def __init__(self, config: RunConfig, seen: Timeline, names: Sequence[str], digits: Image.Image) -> None:
        self.digits = digits
        self.config, self.seen, self.names = config, seen, names
        self.share = seen.share / np.maximum(seen.share.sum(axis=2, keepdims=True), 1)
        self.rows, self.experts = len(names), seen.share.shape[2]
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.plain = ImageFont.truetype(fonts / "DejaVuSans.ttf", 13 * FINE)
        self.bold = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 17 * FINE)
        self.small = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 11 * FINE)
        self.film_left = EDGE + LABEL + TIME + RIBBONS + BADGE + 2 * EDGE
        self.width = self.film_left + self.experts * (CELL + 1) + EDGE
        self.height = TOP + self.rows * ROW + BOTTOM
        self.last = int(seen.step[-1])
        self.base = self._over_time()

    def frame(
        self, step: int, told: Sequence[tuple[int, str]], films: Mapping[int, Image.Image]
    ) -> Image.Image:
        """The run as it was after `step` steps."""
        point = int(np.searchsorted(self.seen.step, step, side="right")) - 1
        picture = self.base.copy()
        draw = ImageDraw.Draw(picture, "RGBA")
        self._playhead(draw, step)
        self._ribbons(draw, point)
        said = [words for when, words in told if when <= step]
        draw.text(
            (EDGE * FINE, 10 * FINE),
            f"Step {step:,} · {said[-1]}" if said else f"Step {step:,}",
            INK,
            self.bold,
        )
        picture = picture.resize((self.width, self.height), Image.Resampling.LANCZOS)
        shown = max((each for each in films if each <= step), default=min(films))
        self._digits(picture)
        self._answers(picture, films[shown], point)
        return picture

    def _over_time(self) -> Image.Image:
        picture = Image.new("RGB", (self.width * FINE, self.height * FINE), PAPER)
        draw = ImageDraw.Draw(picture)
        for row, (spec, name) in enumerate(zip(self.config.mechanisms, self.names)):
            top = (TOP + row * ROW) * FINE
            middle = top + (ROW - GAP) * FINE // 2
            draw.text(
                (EDGE * FINE, middle),
                SYMBOLS.get(spec.partition("=")[0], "·"),
                INK,
                self.plain,
                anchor="lm",
            )
            draw.text(((EDGE + 22) * FINE, middle), name, INK, self.plain, anchor="lm")
            begin = (EDGE + LABEL) * FINE
            for point, step in enumerate(self.seen.step.tolist()):
                end = self._x(step)
                bottom = float(top + (ROW - GAP) * FINE)
                for expert in self._stack(row):
                    high = self.share[point, row, expert] * (ROW - GAP) * FINE
                    if high > 0:
                        draw.rectangle((begin, bottom - high, end, bottom), colour(expert))
                        bottom -= high
                begin = end
        for column, expert in enumerate(self.seen.order):
            x = self.film_left + column * (CELL + 1) + CELL / 2
            draw.text((x * FINE, (TOP - 10) * FINE), badge(expert), INK, self.small, anchor="mm")
        for step in (*(each for each in TICKS if each < 0.85 * self.last), self.last):
            place = (self._x(step), (TOP + self.rows * ROW + 4) * FINE)
            draw.text(place, f"{step:,}", INK, self.plain, anchor="ma")
        return picture

    def _playhead(self, draw: ImageDraw.ImageDraw, step: int) -> None:
        """The playhead, and a veil over what is still to come."""
        x, right = self._x(step), (EDGE + LABEL + TIME) * FINE
        bottom = (TOP + self.rows * ROW - GAP) * FINE
        draw.rectangle((x, TOP * FINE, right, bottom), (255, 255, 255, 195))
        draw.rectangle((x - 1, (TOP - 8) * FINE, x + 1, bottom + 6 * FINE), INK)
        draw.circle((x, (TOP - 10) * FINE), 5 * FINE, INK)

    def _ribbons(self, draw: ImageDraw.ImageDraw, point: int) -> None:
        left, right = (EDGE + LABEL + TIME + 8) * FINE, (EDGE + LABEL + TIME + RIBBONS) * FINE
        thick, places = (ROW - GAP) * FINE, max(self.rows, self.experts)
        share = self.share[point] if point >= 0 else np.zeros((self.rows, self.experts))
        curve = np.linspace(0, 1, 24)
        ease = curve**2 * (3 - 2 * curve)
        for place, expert in enumerate(self.seen.order):
            centre = (TOP + (place + 0.5) * self.rows * ROW / places - GAP / 2) * FINE
            total = float(share[:, expert].sum())
            scale = 1 / max(1.0, total)
            end = centre - total * thick * scale / 2
            for row in range(self.rows):
                part = float(share[row, expert]) * thick
                if part < 0.01 * thick:
                    continue
                stack = self._stack(row)
                below = stack[: stack.index(expert) + 1]
                begin = (TOP + row * ROW) * FINE + (1 - float(share[row, below].sum())) * thick
                upper = begin + (end - begin) * ease
                lower = upper + part + (part * scale - part) * ease
                across = left + (right - left) * curve
                outline = [*zip(across, upper), *zip(across[::-1], lower[::-1])]
                draw.polygon([(float(x), float(y)) for x, y in outline], (*_rgb(expert), 205))
                end += part * scale
            owned = int((share[:, expert] > MAJORITY).sum())
            self._badge(draw, expert, right + BADGE * FINE / 2, centre, lit=owned == 1)

    def _badge(self, draw: ImageDraw.ImageDraw, expert: int, x: float, y: float, lit: bool) -> None:
        wide, high = 15 * FINE, 10 * FINE
        fill = colour(expert) if lit else PAPER
        draw.rounded_rectangle(
            (x - wide, y - high, x + wide, y + high), high, fill, colour(expert), width=2 * FINE
        )
        dark = sum(_rgb(expert)) < 330
        draw.text((x, y), badge(expert), "white" if lit and dark else "black", self.small, anchor="mm")

    def _digits(self, picture: Image.Image) -> None:
        """Beside each mechanism its digit, as it is and as it is changed."""
        for row in range(self.rows):
            for after in (0, 1):
                left, top = EDGE + NAME + after * (CELL + 1), TOP + row * ROW
                self._paste(picture, self.digits, (row, after), (left, top))

    @staticmethod
    def _paste(
        picture: Image.Image, table: Image.Image, cell: tuple[int, int], place: tuple[int, int]
    ) -> None:
        column, row = cell
        box = (column * SIDE, row * SIDE, (column + 1) * SIDE, (row + 1) * SIDE)
        picture.paste(table.crop(box).resize((CELL, CELL), Image.Resampling.BILINEAR), place)

    def _answers(self, picture: Image.Image, film: Image.Image, point: int) -> None:
        """Everyone's answers; that of who wins most of a mechanism is framed."""
        draw = ImageDraw.Draw(picture)
        for column, expert in enumerate(self.seen.order):
            for row in range(self.rows):
                left, top = self.film_left + column * (CELL + 1), TOP + row * ROW
                self._paste(picture, film, (expert, row), (left, top))
                if point >= 0 and self.share[point, row, expert] > MAJORITY:
                    edge = (left, top, left + CELL - 1, top + CELL - 1)
                    draw.rectangle(edge, outline=colour(expert), width=3)

    def _stack(self, row: int) -> list[int]:
        """The experts from the bottom of a row's stack to its top."""
        order = self.seen.order
        first = order[row : row + 1]
        return [*first, *(each for each in order if each not in first)]

    def _x(self, step: int) -> float:
        return (EDGE + LABEL + TIME * (step / self.last) ** 0.5) * FINE


def _rgb(expert: int) -> tuple[int, int, int]:
    code = colour(expert)
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
