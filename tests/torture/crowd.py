"""Many visitors at once: half of them watch a run that is being trained, the others draw.

The full form has four tabs, each in a browser session of its own, and sixteen scripted clients (`clients`): twenty tabs would
keep two cores busy with painting. No page and no log shows an error, ticks and waits (`seen`) take under a second in nineteen of
twenty cases, the server's memory grows by at most a tenth, and the run goes on. The short form measures ticks and waits but
does not judge them: the machine of a test suite has other things to do."""

import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as BrowserError

from icm.runs.run import Run
from tests.app.frames import listen
from tests.torture import ground as on
from tests.torture.clients import Client
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally
from tests.torture.seen import Seen
from tests.torture.served import FINISHED, Served, served

MARKS = (
    "an error on a page",
    "exceptions in the server's log",
    "the 95th percentile of a tick is over a second",
    "the 95th percentile of a wait is over a second",
    "the server's memory grew by a tenth",
    "the run did not go on",
    "a visitor without an answer",
)
PAGE_ERROR, LOGGED, SLOW, WAITED, GREW, STOOD_STILL, UNANSWERED = MARKS
TICK = 1.0  # seconds that a tick may take, and a wait
GROWTH = 0.1  # of the memory at first
SETTLED, LOOK_AGAIN = 0.01, 8.0  # part by which it may grow in so many seconds, to count as settled
WARM_UP = 0.2  # of the time, before memory, ticks and waits are counted
PAUSE = 0.5  # seconds between two strokes of all who draw
PATIENCE = 120.0  # seconds that are added until everyone has had an answer, on a busy machine


@dataclass
class Visitor:
    """A tab, and what it has seen."""

    name: str
    context: BrowserContext
    page: Page
    draws: bool
    seen: Seen = field(default_factory=Seen)


def trial(
    place: Ground, browser: Browser | None, tabs: int, clients: int, seconds: float, timed: bool
) -> Row:
    """`tabs` and `clients` visit for `seconds`. `timed`: whether ticks and waits are judged."""
    tally = Tally.of("crowd", *MARKS)
    assert browser
    random.seed(20)
    run = place.store.create("live", on.little(steps=1_000_000), {})
    words = (str(place.store.root), run.id, str(place.root), "0")
    started = place.forks.start("start", *words).wait()
    assert started.code == 0, started.err
    try:
        with served(place) as server:
            visitors = [_visitor(browser, server, number) for number in range(tabs)]
            others = [Client(server, number, draws=number % 2 == 1) for number in range(clients)]
            for other in others:
                other.start()
            _watch(tally, run, server, visitors, others, seconds)
            _judge(tally, [*visitors, *others], timed)
            for visitor in visitors:
                visitor.context.close()
            for other in others:
                other.leave()
            for each in server.raised():
                tally.miss(LOGGED, each.error)
    finally:
        run.trainer.request_stop()
        on.wait_while(run.trainer.is_alive)
    return tally.row()


def _visitor(browser: Browser, server: Served, number: int) -> Visitor:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    draws = number % 2 == 1
    visitor = Visitor(f"{'drawing' if draws else 'watching'} tab {number}", context, page, draws)
    errors = visitor.seen.errors
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    listen(page, visitor.seen.received, visitor.seen.sent)
    page.goto(f"{server.address}/{'draw' if draws else 'monitor?run=live'}")
    page.locator(FINISHED).wait_for(state="attached")
    return visitor


def _watch(
    tally: Tally, run: Run, server: Served, visitors: list[Visitor], others: list[Client], seconds: float
) -> None:
    """Lets them all watch and draw; then looks at the server's memory and at the run."""
    everyone = [*visitors, *others]
    # Not counted: the time until each has had a page and the server has imported what it needs, which on a busy machine takes long.
    _let_draw(visitors, WARM_UP * seconds, everyone)
    _let_memory_settle(server, visitors)
    for each in everyone:
        each.seen.ticks.clear()
        each.seen.waits.clear()
    memory, rows = [server.megabytes()], on.text(run.rows.metrics_file).count("\n")
    for _ in range(5):
        _let_draw(visitors, (1 - WARM_UP) * seconds / 5)
        memory.append(server.megabytes())
    _let_draw(visitors, 0, everyone)
    grown = on.text(run.rows.metrics_file).count("\n") - rows
    tally.figures |= {
        "tabs and clients": f"{len(visitors)} and {len(others)}",
        "server's memory, MB": ", ".join(f"{each:.0f}" for each in memory),
        "rows of the run meanwhile": grown,
    }
    if memory[-1] > (1 + GROWTH) * memory[0]:
        tally.miss(GREW, f"from {memory[0]:.0f} to {memory[-1]:.0f} MB")
    if grown <= 0 or not run.trainer.is_alive():
        tally.miss(STOOD_STILL, run.state())


def _let_memory_settle(server: Served, visitors: list[Visitor]) -> None:
    """They go on drawing until the server's memory hardly grows any more, or for `PATIENCE`: a leak goes on after that, and is counted."""
    until = time.monotonic() + PATIENCE
    before, now = 0.0, server.megabytes()
    while now > (1 + SETTLED) * before and time.monotonic() < until:
        _let_draw(visitors, LOOK_AGAIN)
        before, now = now, server.megabytes()


def _judge(tally: Tally, everyone: Sequence[Visitor | Client], timed: bool) -> None:
    ticks = [tick for each in everyone for tick in list(each.seen.ticks)]
    tally.cases += len(ticks)
    timings = [("a tick", SLOW, ticks)]
    for who, draws in (("who watches", False), ("who draws", True)):
        waits = [wait for each in everyone if each.draws == draws for wait in list(each.seen.waits)]
        timings.append((f"a wait of one {who}", WAITED, waits))
    for what, mark, seconds in timings:
        middle, p95 = np.percentile(seconds, (50, 95)) if seconds else (np.inf, np.inf)
        tally.figures[f"p50 and p95 of {what}, seconds"] = f"{middle:.2f}, {p95:.2f}"
        if timed and p95 > TICK:
            tally.miss(mark, f"{what}: {p95:.2f} s")
    for each in everyone:
        if not each.seen.waits:
            tally.miss(UNANSWERED, each.name)
        for error in dict.fromkeys(each.seen.errors):
            tally.miss(PAGE_ERROR, f"{each.name}: {error[:150]}")


def _let_draw(visitors: list[Visitor], seconds: float, everyone: Sequence[Visitor | Client] = ()) -> None:
    """Those who draw make strokes, one after the other, for `seconds` and until each of `everyone` has had an answer."""
    drawers = [visitor for visitor in visitors if visitor.draws]
    until = time.monotonic() + seconds
    turn = 0
    while (now := time.monotonic()) < until or (
        now < until + PATIENCE and not all(each.seen.waits for each in everyone)
    ):
        drawer = drawers[turn % len(drawers)]
        turn += 1
        try:
            _stroke(drawer.page)
        except BrowserError as error:
            drawer.seen.errors.append(str(error).splitlines()[0])
        drawer.page.wait_for_timeout(1000 * PAUSE)


def _stroke(page: Page) -> None:
    """A line across the pad; one time in five the pad is cleared first."""
    if random.random() < 0.2:
        clear = page.get_by_role("button", name=re.compile("Clear"))
        if clear.count() and clear.first.is_enabled():
            clear.first.click()
    box = page.get_by_role("application", name=re.compile("Drawing pad")).bounding_box()
    if box is None:
        raise BrowserError("the pad is not on the page")
    x, y = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(x + random.uniform(-60, 60), y + random.uniform(-60, 60))
    page.mouse.down()
    page.mouse.move(x + random.uniform(-60, 60), y + random.uniform(-60, 60), steps=6)
    page.mouse.up()
