"""Hostile links and labels in a real browser: whatever a link or a label says, the browser asks nobody but the app.

Payloads stand in a parameter of a link and in the labels of the runs on the page. Three things are counted: requests of the
page to any other address, what a listener at the payloads' address hears, and elements of the page that point there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError

from tests.torture import ground as on
from tests.torture.ground import Ground
from tests.torture.rows import Tally
from tests.torture.served import FINISHED, Served

MARKS = (
    "links: requests elsewhere",
    "links: elements that point elsewhere",
    "links: a page that does not come",
)
ELSEWHERE, ELEMENTS, NO_PAGE = MARKS

# Twenty. The first A stands for the address of the listener.
PAYLOADS = (
    "![x](http://A/p.png)",
    "[click](http://A/)",
    "<img src=http://A/i.png>",
    "<a href=http://A/>x</a>",
    "http://A/auto",
    "<http://A/auto>",
    "`![x](http://A/c.png)",
    ":red[![x](http://A/r.png)]",
    "**![x](http://A/b.png)**",
    "</style><img src=http://A/s.png>",
    "<style>@import 'http://A/s'</style>",
    "<iframe src=http://A/f></iframe>",
    "<svg><image href=http://A/v /></svg>",
    "$\\href{http://A/k}{x}$",
    "'><img src=http://A/q.png>",
    '"><img src=http://A/d.png>',
    "[x]: http://A/ [x] ![x]",
    "![x][x] www.example.com",
    "me@example.com <b>bold</b>",
    "[x](javascript:fetch('//A'))",
)
PLACES = (
    "monitor?run=",
    "train?run=",
    "draw?run=",
    "compare?run=",
    "versus?left=",
    "versus?right=",
    "train?preset=",
    "train?like=",
    "monitor?step=",
    "monitor?mechanism=",
    "draw?mechanisms=",
    "?embed=",
)
POINTING = """address => [...document.querySelectorAll('[data-testid=stMain] *, [data-testid=stToastContainer] *')]
    .flatMap(e => ['href', 'src', 'xlink:href', 'action', 'srcset'].map(name => e.getAttribute(name)))
    .filter(to => to && [address, 'example.com', 'javascript:'].some(part => to.includes(part)))"""


def trial(tally: Tally, place: Ground, server: Served, browser: Browser, links: int, labels: int) -> None:
    """Opens `links` links with each of `labels` labels."""
    with listener() as (address, heard):
        context = browser.new_context()
        context.set_default_timeout(60_000)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for payload in (PAYLOADS[number % len(PAYLOADS)] for number in range(labels)):
            label = payload.replace("A", address, 1)
            for run in place.store.runs():
                (run.folder / "label.txt").write_text(label)
            for number in range(links):
                tally.cases += 1
                where = PLACES[number % len(PLACES)]
                value = PAYLOADS[(number + number // len(PLACES)) % len(PAYLOADS)].replace("A", address, 1)
                _open(
                    tally,
                    page,
                    f"{server.address}/{where}{quote(value)}",
                    address,
                    f"{where}{value} | {label}",
                )
                _count(tally, server, asked, heard, f"{where}{value} | {label}")
        context.close()


def _open(tally: Tally, page: Page, link: str, address: str, name: str) -> None:
    try:
        page.goto(link)
        page.locator(FINISHED).wait_for(state="attached")
        page.locator("[data-testid=stHeading], [data-testid=stMarkdown]").first.wait_for()
        pointing = page.evaluate(POINTING, address)
    except BrowserError as error:
        return tally.miss(NO_PAGE, f"{name}: {str(error).splitlines()[0]}")
    if pointing:
        tally.miss(ELEMENTS, f"{name}: {', '.join(sorted(set(pointing)))}")
    return None


def _count(tally: Tally, server: Served, asked: list[str], heard: list[str], name: str) -> None:
    own = (server.address, server.address.replace("http", "ws"), "data:", "blob:")
    elsewhere = sorted({url for url in asked if not url.startswith(own)} | set(heard))
    asked.clear()
    heard.clear()
    if elsewhere:
        tally.miss(ELSEWHERE, f"{name}: {', '.join(elsewhere)[:120]}")


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address that writes down what is asked of it."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()


def some_runs(place: Ground) -> None:
    """Two finished runs, so that every page has something to show."""
    on.unbroken(place, on.little())
    assert place.forks.icm(*place.train("second", on.little())).wait().code == 0
