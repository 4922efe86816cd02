"""A visitor who leaves, or whose connection breaks off, is no error of the server; a page that is left does not spoil the next."""

import contextlib
import sys
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Navigation_pb2 import Navigation
from streamlit.proto.NewSession_pb2 import NewSession

from tests.app.frames import at_rest, settled, wait_until


def middleware(name: str) -> Any:
    """A middleware of app.py, which sets the interval at which threads take turns when it is imported."""
    interval = sys.getswitchinterval()
    import app

    sys.setswitchinterval(interval)
    return getattr(app, name)


async def as_streamlit(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends, and closes once more what may be closed by then."""
    with contextlib.suppress(OSError):
        await send({"type": "websocket.send"})
    await receive()
    raise RuntimeError('Cannot call "send" once a close message has been sent.')


@pytest.mark.parametrize(
    ("kind", "heard", "breaks", "quiet"),
    [
        ("websocket", "websocket.disconnect", False, True),
        ("websocket", "websocket.receive", True, True),
        ("websocket", "websocket.receive", False, False),  # a visitor who is there
        ("http", "http.disconnect", True, False),
    ],
)
def test_only_who_has_left_is_let_go_without_a_word(kind: str, heard: str, breaks: bool, quiet: bool) -> None:
    async def receive() -> Message:
        return {"type": heard}

    async def send(message: Message) -> None:
        if breaks:
            raise OSError("the connection broke off")

    # The coroutine waits for nothing, so that it comes to its end, which is a StopIteration, or to its error at once.
    end = pytest.raises(StopIteration) if quiet else pytest.raises(RuntimeError, match="close message")
    with end:
        middleware("Leaving")(as_streamlit)({"type": kind}, receive, send).send(None)


# While `window.holding`, what the tab says to its server is kept. It is sent behind what the tab says next.
HOLD = """(() => {
  const send = WebSocket.prototype.send
  window.held = []
  window.holding = false
  WebSocket.prototype.send = function (...words) {
    const say = () => send.apply(this, words)
    if (holding) return held.push(say)
    say()
    held.splice(0).forEach(each => each())
  }
})()"""


def test_a_look_that_is_sent_right_after_a_press_on_another_page_does_not_hold_the_visitor_back(
    page: Page, server: str
) -> None:
    page.add_init_script(HOLD)
    page.goto(f"{server}/train")
    settled(page)
    page.evaluate("holding = true")
    wait_until(page, lambda: page.evaluate("held.length") == 1, "the table of runs looks again")
    page.evaluate("holding = false")
    page.get_by_role("link", name="Results").first.click()
    wait_until(page, lambda: page.evaluate("held.length") == 0, "the look is sent")
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    at_rest(page)
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    expect(page.get_by_role("heading", name="Train", exact=True)).to_have_count(0)


def asks(page: str, fragment: str = "") -> Message:
    """What a tab sends to have a page's script run, or only a fragment of it."""
    said = BackMsg(rerun_script=ClientState(page_script_hash=page, fragment_id=fragment))
    return {"type": "websocket.receive", "bytes": said.SerializeToString()}


def begins(page: str, fragment: str = "") -> Message:
    """What the server sends when a page's script begins, or only a fragment of it."""
    told = ForwardMsg(new_session=NewSession(page_script_hash=page))
    told.metadata.run.fragment_ids.extend([fragment] * bool(fragment))
    return {"type": "websocket.send", "bytes": told.SerializeToString()}


def opens(page: str) -> Message:
    """What the server sends once it knows which page the address in a link means."""
    told = ForwardMsg(navigation=Navigation(page_script_hash=page))
    return {"type": "websocket.send", "bytes": told.SerializeToString()}


@pytest.mark.parametrize(
    ("passes", "arrives"),
    [
        ([asks(""), begins("main"), opens("a"), asks("a", "clock"), begins("a", "clock")], "all"),
        ([asks("a"), begins("a"), asks("a", "clock"), begins("a", "clock")], "all"),
        ([begins("a"), asks("b"), asks("a", "clock"), asks("b", "clock")], [begins("a"), asks("b"), asks("b", "clock")]),
        ([begins("a"), begins("b"), asks("a", "clock"), asks("b")], [begins("a"), begins("b"), asks("b")]),
        ([begins("a"), asks("b"), begins("a", "clock"), begins("b")], "all"),  # while a is still shown
        ([begins("a"), begins("b"), begins("a", "clock")], [begins("a"), begins("b"), begins("b", "clock")]),
        ([asks("a", "clock"), begins("a", "clock")], "all"),  # the connection had been broken off
        ([begins("a"), asks("", "clock"), begins("a", "clock")], "all"),  # from no page in particular
        ([{"type": "websocket.receive", "bytes": b"\xff"}, {"type": "websocket.disconnect"}], "all"),
        ([{"type": "websocket.receive", "text": "no message"}, {"type": "websocket.accept"}], "all"),
    ],
)  # fmt: skip
def test_a_fragment_of_the_page_before_is_not_heard_and_not_answered_in_its_name(
    passes: list[Message], arrives: list[Message] | str
) -> None:
    arrived: list[Message] = []
    waiting = list(passes)

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        arrived.append(message)

    async def as_both(scope: Scope, receive: Receive, send: Send) -> None:
        while waiting:
            if waiting[0]["type"] in ("websocket.send", "websocket.accept"):
                await send(waiting.pop(0))
            else:
                arrived.append(await receive())

    with pytest.raises(StopIteration):
        middleware("PageShown")(as_both)({"type": "websocket"}, receive, send).send(None)
    assert arrived == (passes if arrives == "all" else arrives)
