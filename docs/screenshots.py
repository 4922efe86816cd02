"""Pictures of every page for docs/images: two widths, two themes. Needs chromium and the packages for development.

python docs/screenshots.py [RUN [OTHER]]

Monitor shows RUN, the shipped run when not given; Side by side shows it and OTHER; the store is ICM_STORE's."""

import io
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PORT = 8733
BASE = f"http://localhost:{PORT}"
IMAGES = Path(__file__).parent / "images"
WIDTHS = {"desk": 1440, "phone": 390}  # pixels
TALLEST = 2600  # pixels
SECONDS = 1000  # in milliseconds
DRAWN = (
    (0.3, 0.28),
    (0.5, 0.25),
    (0.66, 0.28),
    (0.62, 0.42),
    (0.53, 0.6),
    (0.44, 0.78),
)  # a seven, of the pad


def draw(page: Page) -> None:
    box = page.get_by_role("application").bounding_box()
    assert box is not None
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in DRAWN]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def take(page: Page, path: str, ready: str, name: str) -> None:
    """Opens the page, waits for what takes longest, and keeps a picture in few colours."""
    page.goto(f"{BASE}/{path}")
    if name.startswith("draw"):
        page.get_by_role("application").wait_for()
        page.wait_for_timeout(2 * SECONDS)
        draw(page)
    page.locator(ready).first.wait_for(timeout=120 * SECONDS)
    page.get_by_text("The experts are being judged.").wait_for(state="hidden", timeout=120 * SECONDS)
    page.wait_for_timeout(2 * SECONDS)
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(height, TALLEST)})
    page.wait_for_timeout(1 * SECONDS)
    picture = (
        Image.open(io.BytesIO(page.screenshot()))
        .convert("RGB")
        .quantize(256, method=Image.Quantize.FASTOCTREE)
    )
    picture.save(IMAGES / f"{name}.png", optimize=True)
    page.set_viewport_size(size)


def main(run: str = "pretrained", other: str | None = None) -> None:
    pages = {
        "home": ("", "canvas.film[data-step]"),
        "learn": ("learn?screen=2", ".icm-bars img"),
        "train": ("train?preset=quick", "text=The same from a terminal"),
        "monitor": (f"monitor?run={run}", ".st-key-one-expert img"),
        "round": ("round?station=4", ".icm-station img"),
        "draw": ("draw", ".icm-bars img"),
        "guess": ("guess", ".cards button"),
        "compare": ("compare", ".st-key-answers img"),
        "versus": (f"versus?left={run}&right={other}", "canvas") if other else ("versus", "h1"),
        "results": ("results", ".js-plotly-plot"),
    }
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{BASE}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for kind, width in WIDTHS.items():
                for theme in ("light", "dark"):
                    context = browser.new_context(
                        viewport={"width": width, "height": 900},
                        color_scheme=theme,
                        reduced_motion="reduce",
                    )
                    page = context.new_page()
                    for name, (path, ready) in pages.items():
                        take(page, path, ready, f"{name}-{kind}-{theme}")
                    context.close()
    finally:
        server.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
