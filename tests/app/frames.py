"""What a test sees of a tab: what it and its server say to one another, when its script has run, what the browser paints."""

import base64
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from icm.show.legible import Theme
from tests.app.laboratory import PATIENCE

# How many elements wait to be drawn, for the front end still fetches what draws them or their script runs again, or fade or open;
# whether the frame's own style is there. Animations of CSS, such as a spinner's, need not end.
FADING = """document.querySelectorAll('[data-stale=true], [data-testid=stSkeleton]').length
  + document.getAnimations().filter(each => !(each instanceof CSSAnimation) && each.playState === 'running').length"""
STYLED = "[...document.querySelectorAll('style')].some(each => each.textContent.includes('.stMainBlockContainer{'))"


def listen(
    page: Page,
    received: Callable[[ForwardMsg, float], None],
    sent: Callable[[BackMsg, float], None] | None = None,
) -> None:
    """From now on each message of the server, and each of the tab, with the browser's time in seconds."""

    def told(event: dict[str, Any]) -> None:
        if content := _content(event):
            received(ForwardMsg.FromString(content), event["timestamp"])

    def asked(event: dict[str, Any]) -> None:
        if sent and (content := _content(event)):
            sent(BackMsg.FromString(content), event["timestamp"])

    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.on("Network.webSocketFrameReceived", told)
    devtools.on("Network.webSocketFrameSent", asked)


def _content(event: dict[str, Any]) -> bytes:
    """Of a frame with a message; empty for any other."""
    frame = event["response"]
    return base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else b""


def wait_until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Waits until that is so, while the page's events go on coming in."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < deadline, f"never so: {what}"
        page.wait_for_timeout(50)


def settled(page: Page) -> None:
    """The page's script has run to its end."""
    still = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(still).to_be_visible(timeout=PATIENCE)


def at_rest(page: Page) -> None:
    """The script has run to its end, and nothing fades or moves any more: what a script runs again for is pale for a while, where
    a widget's code is fetched lies a grey patch, and what opens pushes down all below.

    And the frame's own style is there: the front end fetches what shows it, and until then captions are paler than ours."""
    settled(page)
    wait_until(page, lambda: page.evaluate(STYLED), "the style of pages/main.py is there")
    wait_until(page, lambda: page.evaluate(FADING) == 0, "nothing fades")


# Notes in the window whether, from now on, a script runs or something is about to be drawn anew.
WATCH = """() => {
  window.disturbed = false
  window.watching?.disconnect()
  window.watching = new MutationObserver(() => { window.disturbed = true })
  const attributeFilter = ['data-test-script-state', 'data-stale']
  window.watching.observe(document.body, {subtree: true, attributes: true, attributeFilter})
}"""


def undisturbed(page: Page, look: Callable[[], Any]) -> Any:
    """What a look at the page found while no script ran and nothing faded; it looks again when one did meanwhile.

    The page itself is asked: what its server says comes to a test when it comes."""
    while True:
        at_rest(page)
        page.evaluate(WATCH)
        at_rest(page)  # it may have begun just before
        found = look()
        if not page.evaluate("window.disturbed"):
            return found


def script_runs(page: Page) -> list[str]:
    """A list that grows with every run of the page's script and says what ran, a fragment or the page. On a busy machine a run
    may be cut short by the next; it counts like any other."""
    ended: list[str] = []

    def received(message: ForwardMsg, _: float) -> None:
        if message.WhichOneof("type") == "script_finished":
            ended.append("a fragment" if message.metadata.run.fragment_ids else "the page")

    listen(page, received)
    return ended


def open_in(theme: Theme, page: Page, address: str) -> Callable[[Theme], None]:
    """Opens the page light or dark, without motion. What it returns turns the system, as happens at sunset, and waits until the page
    is at rest again."""
    asked_as: list[str] = []

    def sent(message: BackMsg, _: float) -> None:
        if message.WhichOneof("type") == "rerun_script":
            asked_as.append(message.rerun_script.context_info.color_scheme)

    def turn(other: Theme) -> None:
        page.emulate_media(color_scheme=other, reduced_motion="reduce")
        wait_until(page, lambda: other in asked_as, f"the page is drawn anew when it turns {other}")
        at_rest(page)

    listen(page, lambda message, _: None, sent)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.goto(address)
    return turn


def frames_of(page: Page, chart: Locator, until: Callable[[], bool]) -> list[np.ndarray]:
    """What the browser painted where the chart is, as grey pictures; the chart stays in its place meanwhile."""
    frames: list[tuple[float, np.ndarray]] = []
    devtools = page.context.new_cdp_session(page)
    box = chart.bounding_box()
    assert box is not None
    assert box["y"] >= 0, "the chart is out of sight"
    left, top = round(box["x"]), round(box["y"])
    right, bottom = left + round(box["width"]), top + round(box["height"])

    def painted(event: dict[str, Any]) -> None:
        picture = Image.open(io.BytesIO(base64.b64decode(event["data"])))
        grey = np.asarray(picture.convert("L"), dtype=float)[top:bottom, left:right]
        frames.append((event["metadata"]["timestamp"], grey))
        devtools.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    devtools.on("Page.screencastFrame", painted)
    devtools.send("Page.startScreencast", {"format": "png"})
    wait_until(page, until, "enough was painted")
    devtools.send("Page.stopScreencast")
    assert chart.bounding_box() == box
    # Two frames may be encoded at once, and the second come first: by when they were painted.
    return [frame for _, frame in sorted(frames, key=lambda each: each[0])]
