"""A visitor who speaks Streamlit's protocol badly, random links, and pages of other hosts that want in.

Whatever is sent, the server goes on to serve the next visitor. What no front end sends, Streamlit itself refuses with an
exception on the sender's own page; that is counted and not judged. A foreign Host is refused on plain HTTP and on the websocket,
a foreign Origin on the websocket."""

import http.client
import random
from collections.abc import Callable
from urllib.parse import quote

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileUploaderState, FileURLsRequest, UploadedFileInfo
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.torture.rows import Tally
from tests.torture.served import Served, Session, Shown

MARKS = (
    "sockets: the next visitor is not served",
    "queries: an exception on the page",
    "a foreign Host or Origin is let in",
)
UNSERVED, EXCEPTION, LET_IN = MARKS
EACH = 30  # links that one visitor opens
PAGES = ("", "train", "monitor", "draw", "compare", "versus")

Hostile = Callable[[Session, Shown], Shown | None]  # what the page shows then, where it was asked for


def payloads(tally: Tally, server: Served, count: int) -> None:
    """Each hostile payload in a session of its own, on the Draw page, which has most widgets; then an honest visitor."""
    chosen, refused = list(PAYLOADS.items()), 0
    for index in range(count):
        name, hostile = chosen[index * len(chosen) // count]
        tally.cases += 1
        try:
            with Session(server.port) as session:
                shown = hostile(session, session.show("draw")) or Shown()
                refused += bool(shown.exceptions)
                session.read(seconds=0.5)
        except (ConnectionClosed, OSError):
            pass  # the server may throw such a visitor out
        try:
            with Session(server.port) as honest:
                shown = honest.show("")
            if shown.ended != "FINISHED_SUCCESSFULLY" or shown.exceptions:
                tally.miss(UNSERVED, f"after {name}: {shown.ended} {shown.exceptions}")
        except (ConnectionClosed, OSError, InvalidHandshake) as error:
            tally.miss(UNSERVED, f"after {name}: {error}")
    tally.figures["forged messages that the sender's own page answers with an exception"] = refused


def _answered(session: Session, state: ClientState) -> Shown:
    """Asks for a run of the script and waits for its end."""
    session.send(rerun_script=state)
    return session.read(seconds=20.0)


def _raw(data: bytes | str) -> Hostile:
    return lambda session, shown: session.socket.send(data)


def _rerun(**state: object) -> Hostile:
    return lambda session, shown: _answered(session, ClientState(page_name="draw", **state))  # pyright: ignore[reportArgumentType]


def _widgets(kind: str = "", **value: object) -> Hostile:
    """Gives this value to every widget of the page, or to every one of a kind."""

    def hostile(session: Session, shown: Shown) -> Shown:
        states = [WidgetState(id=each, **value) for each, what in shown.widgets.items() if kind in what]  # pyright: ignore[reportArgumentType]
        assert states
        return _answered(session, ClientState(page_name="draw", widget_states=WidgetStates(widgets=states)))

    return hostile


def _unknown_widgets(session: Session, shown: Shown) -> Shown:
    names = ("", "x" * 10_000, "$$ID-0-none", "../../etc/passwd", "\0")
    states = [WidgetState(id=name, string_value="a") for name in names]
    return _answered(session, ClientState(page_name="draw", widget_states=WidgetStates(widgets=states)))


def _cut(session: Session, shown: Shown) -> None:
    whole = BackMsg(rerun_script=ClientState(page_name="draw", query_string="a" * 500)).SerializeToString()
    session.socket.send(whole[: len(whole) // 2])


def _flood(session: Session, shown: Shown) -> None:
    for number in range(300):
        session.send(rerun_script=ClientState(page_name=PAGES[number % 6], query_string=f"run={number}"))


def _foreign_files(session: Session, shown: Shown) -> Shown | None:
    info = UploadedFileInfo(name="../../etc/passwd", size=10**12, file_id="nobody's")
    return _widgets(file_uploader_state_value=FileUploaderState(uploaded_file_info=[info]))(session, shown)


PAYLOADS: dict[str, Hostile] = {
    "nothing": _raw(b""),
    "garbage": _raw(random.Random(17).randbytes(5000)),
    "text": _raw("hello"),
    "zeros": _raw(bytes(1_000_000)),
    "10 MB of garbage": _raw(random.Random(18).randbytes(10_000_000)),
    "half a message": _cut,
    "unknown fields": _raw(b"\xfa\xff\xff\x7f\x05hello" * 99),
    "a page outside": _rerun(page_script_hash="../../etc/passwd"),
    "a strange fragment": _rerun(fragment_id="nobody's"),
    "a query of a megabyte": _rerun(query_string="run=" + "a" * 1_000_000),
    "a query that is none": _rerun(query_string="&&=%zz%00%ff;==&run&run=&" * 99),
    "unknown widgets": _unknown_widgets,
    "words for every widget": _widgets(string_value="<script>"),
    "a huge number for every widget": _widgets(int_value=2**62),
    "JSON of no shape from the pad": _widgets(
        "component", json_value='{"pixels": [1, null], "value": {"a": []}}'
    ),
    "NaN for every widget": _widgets(double_value=float("nan")),
    "files of nobody": _foreign_files,
    "files for nobody": lambda session, shown: session.send(
        file_urls_request=FileURLsRequest(request_id="a", file_names=["../x"] * 99, session_id="nobody's")
    ),
    "three hundred reruns": _flood,
}


def queries(tally: Tally, server: Served, count: int) -> None:
    """Random links: known and unknown names, values from words to noise."""
    draw = random.Random(19)
    for first in range(0, count, EACH):
        with Session(server.port) as session:
            for _ in range(first, min(first + EACH, count)):
                tally.cases += 1
                page, query = draw.choice(PAGES), random_query(draw)
                shown = session.show(page, query)
                if shown.exceptions or shown.ended == "none":
                    tally.miss(EXCEPTION, f"{page}?{query[:150]}: {shown.exceptions or 'no end'}")


NAMES = (
    "run",
    "left",
    "right",
    "step",
    "mechanism",
    "expert",
    "preset",
    "like",
    "input",
    "stage",
    "mechanisms",
    "set",
)
NAMES += ("look", "numbers", "smoothing", "live", "embed", "seed", "")


def random_query(draw: random.Random) -> str:
    def value() -> str:
        kinds = (
            lambda: draw.choice(
                ("unbroken", "second", "pretrained", "right", "0", "18", "-1", "true", "Upload")
            ),
            lambda: str(draw.choice((10**30, -1, 0.5, "nan", "1e999", "0x10", "٣"))),
            lambda: "".join(chr(draw.randrange(1, 0x3000)) for _ in range(draw.randrange(20))),
            lambda: draw.choice("a%'\"<&") * draw.randrange(3000),
            lambda: draw.randbytes(12).decode("latin-1"),
        )
        return quote(draw.choice(kinds)())

    return "&".join(f"{draw.choice(NAMES)}={value()}" for _ in range(draw.randrange(1, 6)))


def foreign(tally: Tally, server: Served) -> None:
    """Asks with foreign Hosts and Origins, on every kind of address. The app's own are let in."""
    hosts = (
        "evil.example",
        "localhost.evil.example",
        f"evil.example:{server.port}",
        "127.0.0.1.nip.io",
        "evil@localhost.example",
    )
    for path in (
        "/",
        "/train",
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/upload_file/a/b",
        "/media/x.png",
    ):
        for host in hosts:
            tally.cases += 1
            status = _status(server, path, host)
            if not 400 <= status < 500 or status == 404:
                tally.miss(LET_IN, f"{path} for Host {host}: {status}")
    for host, origin in ((None, "http://evil.example"), (None, "null"), *((host, None) for host in hosts)):
        tally.cases += 1
        if _is_served(server, host, origin):
            tally.miss(LET_IN, f"a websocket with Host {host}, Origin {origin}")
    tally.cases += 1
    if _status(server, "/", f"localhost:{server.port}") != 200 or not _is_served(server, None, None):
        tally.miss(UNSERVED, "the app's own Host and Origin are refused")


def _status(server: Served, path: str, host: str) -> int:
    connection = http.client.HTTPConnection("localhost", server.port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host, "Accept": "text/html"})
        return connection.getresponse().status
    finally:
        connection.close()


def _is_served(server: Served, host: str | None, origin: str | None) -> bool:
    try:
        with Session(server.port, origin=origin, host=host) as session:
            return session.show("").ended != "none"
    except (ConnectionClosed, InvalidHandshake, OSError):
        return False
