"""What a tab and its server say to one another on the websocket."""

import base64
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


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
