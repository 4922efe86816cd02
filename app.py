"""Starts the laboratory: `streamlit run app.py`. The pages are in pages/; what they show is computed in icm/."""

import hashlib
import os
import re
import sys
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

# Set before numpy is imported. The other cores are for the trainer, and on small matrices two threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Seconds that one visitor's page keeps the interpreter while another waits for it. A page that looks at a run again sends many
# messages, and Streamlit waits for the interpreter before each: at Python's 5 ms a crowd waits too long (docs/LOG.md).
sys.setswitchinterval(0.001)

# This script tells Streamlit's front end where the app is. Without it a page opened at /train first asks for
# /train/_stcore/health, only then tries /, and logs the two 404s as errors. The app is at the folder of the page's address, also
# behind a proxy with a prefix, since no page here lies deeper.
BASE = b'<head><script>window.__streamlit = {BACKEND_BASE_URL: new URL(".", location.href).href}</script>'


def content_security_policy() -> str:
    """What a page may load and run: the app's own files, and of the scripts written into the page only those known here.

    Streamlit 1.67 does not work with anything stricter (tried in Chromium). It loads the drawing pad's script from a `blob:` and
    writes its own styles and those of `st.html` into the page. Its symbols and the digits on cards are `data:`. It turns a
    photo into a file by connecting to `data:`, which goes nowhere."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_bytes()
    inline = re.findall(rb"<script>(.*?)</script>", page + BASE, re.DOTALL)
    known = " ".join(f"'sha256-{b64encode(hashlib.sha256(script).digest()).decode()}'" for script in inline)
    allowed = {
        "default-src": "'none'",
        "script-src": f"'self' blob: {known}",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "connect-src": "'self' data:",
        "manifest-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{kind} {sources}" for kind, sources in allowed.items())


HEADERS = {
    "content-security-policy": content_security_policy(),
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "permissions-policy": "geolocation=(), microphone=()",
}


class ResponseHeaders:
    """Adds HEADERS to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class PageBase:
    """Puts BASE into every page that a browser opens."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "text/html" not in MutableHeaders(scope=scope).get("accept", ""):
            await self.app(scope, receive, send)
            return

        async def send_with_base(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # With BASE the page is longer than Streamlit says. Without a length it is sent in chunks.
                if headers.get("content-type", "").startswith("text/html"):
                    del headers["content-length"]
            elif message["type"] == "http.response.body":
                message["body"] = message.get("body", b"").replace(b"<head>", BASE, 1)
            await send(message)

        plain = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        await self.app(plain, receive, send_with_base)


class Leaving:
    """Lets a visitor leave without a word in the log: Streamlit closes a websocket once more that is closed, which is an error."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        closed = False

        async def receive_until_closed() -> Message:
            nonlocal closed
            message = await receive()
            closed = closed or message["type"] == "websocket.disconnect"
            return message

        async def send_until_closed(message: Message) -> None:
            nonlocal closed
            closed = closed or message["type"] == "websocket.close"
            try:
                await send(message)
            except OSError:
                closed = True
                raise

        try:
            await self.app(scope, receive_until_closed, send_until_closed)
        except RuntimeError:
            if scope["type"] != "websocket" or not closed:
                raise


class PageShown:
    """Keeps the page that a visitor has opened from what the page before still asks.

    A fragment of the page before, such as one that looks again and again, may ask while the next one opens. Streamlit 1.67 then
    either forgets that another page was asked for, or runs the fragment afterwards in the name of the page before, which its
    front end takes for one more change of pages: it clears what is shown, for good. So a fragment's question is not heard once
    another page was asked for, and the answer to one that was heard before is given in the name of the page that is shown."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        # Hashes of pages: of the one that the visitor asked for last, and of the one whose script was begun last. A connection that
        # was broken off and is there again begins with neither.
        wanted = shown = ""

        async def receive_of_page_wanted() -> Message:
            nonlocal wanted
            while True:
                message = await receive()
                said = BackMsg()
                with suppress(DecodeError):  # Streamlit says what it does not understand
                    said.ParseFromString(message.get("bytes") or b"")
                asked = said.rerun_script
                if asked.fragment_id and wanted and asked.page_script_hash not in ("", wanted):
                    continue
                wanted = asked.page_script_hash or wanted
                return message

        async def send_of_page_shown(message: Message) -> None:
            nonlocal wanted, shown
            told = ForwardMsg.FromString(message.get("bytes") or b"")
            kind = told.WhichOneof("type")
            if kind == "navigation":  # what a link's address leads to; its script was begun as the main one
                wanted = shown = told.navigation.page_script_hash
            elif kind == "new_session" and not told.metadata.run.fragment_ids:
                wanted = shown = told.new_session.page_script_hash
            elif kind == "new_session" and shown:
                told.new_session.page_script_hash = shown
                message = {**message, "bytes": told.SerializeToString()}
            await send(message)

        await self.app(scope, receive_of_page_wanted, send_of_page_shown)


def film(request: Request) -> Response:
    """One picture of a run's film. The version in its address is when the run was made: another run may take its name later."""
    from icm.errors import ActionableError  # with numpy, so not before the lines above
    from icm.runs.run import SHIPPED
    from icm.runs.store import RunStore, shipped, store_root

    run_id, version, name = (request.path_params[part] for part in ("run", "version", "name"))
    picture, box = None, shipped() if run_id == SHIPPED else None
    with suppress(ActionableError):
        found = RunStore(store_root()).open(run_id)
        picture = found.film.picture(name) if version == found.version else None
    # The store may be elsewhere, or have another run of that name.
    if picture is None and box is not None and version == box.version:
        picture = box.film.picture(name)
    if picture is None:
        return Response("no such picture", 404, media_type="text/plain")
    return Response(
        picture, media_type="image/webp", headers={"cache-control": "max-age=31536000, immutable"}
    )


# The websocket refuses a Host that is not in `server.allowedHosts`; plain requests follow the same list. An empty one allows all.
HOSTS = st.get_option("server.allowedHosts") or ["*"]

app = st.App(
    "pages/main.py",
    middleware=[
        Middleware(Leaving),
        Middleware(PageShown),
        Middleware(ResponseHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        Middleware(PageBase),
    ],
    routes=[Route("/film/{run}/{version}/{name}.webp", film)],
)
