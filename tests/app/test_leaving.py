"""A visitor who leaves, or whose connection breaks off, is no error of the server."""

import contextlib
import sys

import pytest
from starlette.types import Message, Receive, Scope, Send


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
    interval = sys.getswitchinterval()
    from app import Leaving  # it sets the interval

    sys.setswitchinterval(interval)

    async def receive() -> Message:
        return {"type": heard}

    async def send(message: Message) -> None:
        if breaks:
            raise OSError("the connection broke off")

    # The coroutine waits for nothing, so that it comes to its end, which is a StopIteration, or to its error at once.
    end = pytest.raises(StopIteration) if quiet else pytest.raises(RuntimeError, match="close message")
    with end:
        Leaving(as_streamlit)({"type": kind}, receive, send).send(None)
