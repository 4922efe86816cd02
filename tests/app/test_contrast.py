"""What is written on canvases can be read: its contrast, measured from the pixels under it, on each page,
while it is dark and after it has turned light."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from icm.runs.run import Run
from icm.show.legible import GROUND, Theme
from tests.app.frames import open_in, settled, wait_until
from tests.app.laboratory import tab
from tests.test_colours import contrast

UNWRITTEN = Path(__file__).with_name("unwritten.js").read_text(encoding="utf-8")
LEAST = 4.5
HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight"  # pixels, of the page
AWAY = 0.25  # the part of the pixels under a text that may be worse: a line that crosses it, an edge

PAGES = {
    "": "canvas.time[data-step]",
    "monitor?run=boxed&lines=true&numbers=true&large=true&panels=true": "[aria-label*=' on noise, over']",
    "compare?run=boxed": "[aria-label^='Heat map']",
    "versus?left=boxed&right=a-run&lines=true": "[aria-label^='Lines']",
}


def rgba(colour: str) -> list[float]:
    """Of what a canvas says of its colour, #rrggbb or rgba(…): red, green and blue from 0 to 255, opacity from 0 to 1."""
    if colour.startswith("#"):
        return [*(int(colour[at : at + 2], 16) for at in (1, 3, 5)), 1.0]
    return [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")]


def seen_on(page: Page) -> tuple[list[dict[str, Any]], np.ndarray]:
    """What is written on canvases, and the pixels of the page without it. The page may grow while it is looked at."""
    while True:
        wait_until(page, lambda: shows_all(page), "the window is as high as the page")
        found, painted = page.evaluate("window.unwritten()"), pixels_of(page)
        if page.evaluate(HEIGHT) == len(painted):
            return found, painted


def pixels_of(page: Page) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def hex_of(pixel: np.ndarray) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in pixel.tolist())


def readable_to(note: dict[str, Any], painted: np.ndarray) -> float:
    """The contrast that the text has with all pixels under it but the worst quarter."""
    assert note["opacity"] == 1
    left, top, right, bottom = (round(side) for side in note["box"])
    under = painted[top : max(bottom, top + 1), left : max(right, left + 1)].reshape(-1, 3)
    seen, counts = np.unique(under, axis=0, return_counts=True)
    *colour, opacity = rgba(note["colour"])
    text = opacity * np.array(colour) + (1 - opacity) * seen
    ratios = np.repeat([contrast(hex_of(one), hex_of(other)) for one, other in zip(text, seen)], counts)
    return float(np.sort(ratios)[int(AWAY * len(ratios))])


def shows_all(page: Page) -> bool:
    """Whether the window is as high as the page already; else it is made so, and the page draws anew."""
    there = page.evaluate(HEIGHT)
    if page.viewport_size is not None and page.viewport_size["height"] == there:
        return True
    page.set_viewport_size({"width": 1440, "height": there})
    page.wait_for_timeout(1000)
    return False


@pytest.mark.parametrize("path", PAGES)
def test_what_is_written_on_a_canvas_can_be_read(
    desk: BrowserContext, server: str, trained: Run, boxed: Run, path: str
) -> None:
    with tab(desk) as page:
        page.add_init_script(UNWRITTEN)
        turn = open_in("dark", page, f"{server}/{path}")
        expect(page.locator(PAGES[path]).first).to_be_visible()
        settled(page)
        assert not hard_to_read(page, "dark")
        turn("light")
        assert not hard_to_read(page, "light")


def hard_to_read(page: Page, theme: Theme) -> dict[str, float]:
    """The contrast of each text on a canvas where that is too low, on a page that is light or dark."""
    found, painted = seen_on(page)
    assert hex_of(painted[-1, 5]) == GROUND[theme]
    assert len(found) > 20
    read = {f"{note['text']!r} of {note['of']}": readable_to(note, painted) for note in found}
    return {text: ratio for text, ratio in read.items() if ratio < LEAST}
