"""What do the pages cost, and how soon do they answer? In a real browser, on a server of its own with the run in the box.

    python -m benchmarks.pages                    all of it, some fifteen minutes
    python -m benchmarks.pages drag strokes       only these

drag      from a move over the picture on Monitor to the picture of another step, 200 moves
strokes   from the end of a stroke on Draw to new pixels, three times 50 strokes
tick      what one look of Monitor at a live run costs: CPU of the server, bytes to the browser
watched   a trainer's speed while Monitor is live, as a part of its speed while the page stands still, in turn

The last two train `robust` with as many threads as there are cores. Wants chromium and requirements-dev.txt."""

import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import psutil
import tyro
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from icm.files import PROJECT
from icm.images.digits import data_root
from icm.jobs import launch
from icm.presets import preset
from icm.runs.run import SHIPPED, Run
from icm.runs.store import RunStore
from tests.app.frames import listen, settled, wait_until
from tests.app.laboratory import Laboratory, started, tab
from tests.app.test_browser_timeline import MEASURE, picture, place_of, step_of

STROKES, WARM_UP, TIMES = 50, 5, 3  # strokes that count, and that do not; how often
AFTER_A_STROKE = 900  # ms that nobody asks the page anything: asking would hold up its answer
LOOKS = 60  # ticks that are measured
FIRST = 40.0  # seconds in which a page has opened and the experts are judged for the first time
WINDOW, PAIRS = 30.0, 8  # seconds that a trainer is watched, and then not; how often

# Notes when a stroke ends, and when pictures of the path change after that.
PIXELS = """() => {
  window.ended = []; window.changed = []
  let last = null
  document.addEventListener('pointerup', () => window.ended.push(performance.now()), true)
  new MutationObserver(() => {
    const now = [...document.querySelectorAll('.icm-path img')].map(each => each.src).join()
    if (now !== last) { last = now; requestAnimationFrame(() => window.changed.push(performance.now())) }
  }).observe(document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ['src']})
}"""


@dataclass(frozen=True)
class Place:
    """A server, and a browser to look at it with."""

    server: Laboratory
    browser: Browser
    root: Path


def drag(place: Place) -> str:
    with tab(place.browser) as page:
        page.goto(f"{place.server.address}/monitor?run={SHIPPED}")
        canvas = picture(page)
        settled(page)
        page.wait_for_timeout(2000)
        last = step_of(canvas)
        page.evaluate(MEASURE)
        page.mouse.move(*place_of(canvas, last, last, row=1))
        page.mouse.down()
        for move in range(200):
            page.mouse.move(*place_of(canvas, last * (0.02 + 0.95 * abs(1 - move / 100) ** 2), last, row=1))
        waits = np.array(page.evaluate("waits"))
        page.mouse.up()
    within = float((waits <= 33).mean())
    return f"median {np.median(waits):.1f} ms, p95 {np.percentile(waits, 95):.1f} ms, {within:.1%} within 33 ms ({len(waits)} pictures)"


def strokes(place: Place) -> str:
    with tab(place.browser) as page:
        page.goto(f"{place.server.address}/draw")
        page.locator(".icm-path img").first.wait_for()
        page.wait_for_timeout(3000)
        page.evaluate(PIXELS)
        found = [np.array(_strokes(page, random.Random(turn))) for turn in range(TIMES)]
    p95 = ", ".join(f"{np.percentile(each, 95):.0f}" for each in found)
    return f"median {', '.join(f'{np.median(each):.0f}' for each in found)} ms; p95 {p95} ms ({STROKES} strokes each)"


def _strokes(page: Page, draw: random.Random) -> list[float]:
    """Milliseconds from the end of each stroke to new pixels."""
    box = page.get_by_role("application").bounding_box()
    assert box is not None
    waits: list[float] = []
    for number in range(WARM_UP + STROKES):
        if number % 6 == 5:
            page.get_by_role("button", name="Clear", exact=True).click()
            page.wait_for_timeout(AFTER_A_STROKE)
        places = [
            (
                box["x"] + box["width"] * draw.uniform(0.25, 0.75),
                box["y"] + box["height"] * draw.uniform(0.2, 0.8),
            )
            for _ in range(3)
        ]
        page.evaluate("window.ended = []; window.changed = []")
        page.mouse.move(*places[0])
        page.mouse.down()
        for at in places[1:]:
            page.mouse.move(*at, steps=4)
        page.mouse.up()
        page.wait_for_timeout(AFTER_A_STROKE)
        wait = page.evaluate("window.changed.find(at => at > window.ended[0]) - window.ended[0]")
        waits += [wait] if number >= WARM_UP else []
    return waits


def tick(place: Place) -> str:
    """The server's CPU from answer to answer, what it uses when nobody looks taken off, and the bytes that it sends."""
    server = psutil.Process(place.server.pid)
    costs: list[float] = []
    sizes: list[int] = []
    so_far = {"cpu": 0.0, "bytes": 0, "at": 0.0}
    with live(place) as run, tab(place.browser) as page:
        wait_until(page, lambda: _newest(run) is not None, "the competition has begun")
        idle = _idle(server)

        def received(message: ForwardMsg, _: float) -> None:
            so_far["bytes"] += message.ByteSize()
            if message.WhichOneof("type") != "script_finished":
                return
            now, cpu = time.monotonic(), _cpu(server)
            if message.metadata.run.fragment_ids and so_far["at"]:
                costs.append(cpu - so_far["cpu"] - idle * (now - so_far["at"]))
                sizes.append(int(so_far["bytes"]))
            so_far.update(cpu=cpu, bytes=0, at=now)

        listen(page, received)
        page.goto(f"{place.server.address}/monitor?run={run.id}")
        settled(page)
        page.wait_for_timeout(5000)
        costs.clear()
        sizes.clear()
        while len(costs) < LOOKS:
            page.wait_for_timeout(500)
    ms = 1000 * np.array(costs)
    return (
        f"CPU of the server: median {np.median(ms):.0f} ms, mean {ms.mean():.0f}, p90 {np.percentile(ms, 90):.0f}; "
        f"{statistics.median(sizes) / 1000:.0f} kB (median; at most {max(sizes) / 1000:.0f}); {LOOKS} ticks"
    )


def watched(place: Place) -> str:
    ratios = []
    with live(place) as run, tab(place.browser) as page:
        wait_until(page, lambda: _newest(run) is not None, "the competition has begun")
        page.goto(f"{place.server.address}/monitor?run={run.id}")
        settled(page)
        page.wait_for_timeout(1000 * FIRST)
        switch = page.get_by_text("Live", exact=True)
        for _ in range(PAIRS):
            with_eyes = _speed(page, run)
            switch.click()
            ratios.append(with_eyes / _speed(page, run))
            switch.click()
    listed = ", ".join(f"{each:.3f}" for each in ratios)
    return f"{statistics.median(ratios):.3f} of its speed (median of {listed})"


def _speed(page: Page, run: Run) -> float:
    """Steps a second, over a while, by the trainer's own rows."""
    page.wait_for_timeout(3000)
    before = _newest(run)
    page.wait_for_timeout(1000 * WINDOW)
    after = _newest(run)
    assert before is not None
    assert after is not None
    return (after["step"] - before["step"]) / (after["seconds"] - before["seconds"])


def _newest(run: Run) -> dict[str, float] | None:
    """The newest whole row."""
    if not run.rows.metrics_file.exists():
        return None
    whole = run.rows.metrics_file.read_text().rpartition("\n")[0]
    return json.loads(whole.rpartition("\n")[2]) if whole else None


def _cpu(process: psutil.Process) -> float:
    """Seconds of CPU that the server has used."""
    used = process.cpu_times()
    return used.user + used.system


def _idle(process: psutil.Process) -> float:
    """Seconds of CPU in a second without a visitor."""
    before = _cpu(process)
    time.sleep(10)
    return (_cpu(process) - before) / 10


@contextmanager
def live(place: Place) -> Iterator[Run]:
    """A `robust` run that is being trained, and does not end."""
    robust = preset("robust")
    config = replace(robust, seed=100, training=replace(robust.training, steps=100_000))
    run = launch.create(RunStore(place.server.store), "live", config, place.root, "benchmarks.pages")
    launch.start(run, place.root)
    try:
        yield run
    finally:
        run.trainer.request_stop()
        while run.trainer.is_alive():
            time.sleep(0.2)
        shutil.rmtree(run.folder)


MEASURES: dict[str, Callable[[Place], str]] = {
    "drag": drag,
    "strokes": strokes,
    "tick": tick,
    "watched": watched,
}


def main(
    what: Annotated[tuple[Literal["drag", "strokes", "tick", "watched"], ...], tyro.conf.Positional] = (),
) -> None:
    """What the pages cost, and how soon they answer."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        shutil.copytree(PROJECT / "checkpoints" / SHIPPED, server.store / SHIPPED)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name in what or MEASURES:
            print(f"{name:<9}{MEASURES[name](Place(server, browser, data_root()))}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
