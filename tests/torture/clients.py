"""Visitors without a browser, for a crowd on few cores: they speak the protocol as the front end does.

One watches: it asks for a fragment again whenever the server said it should. The other draws: it sends the pad's pixels some
times a minute. Like the front end they ask when the time has come, whether or not the last answer has."""

import base64
import json
import threading
import time

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.exceptions import ConnectionClosed

from tests.torture.seen import Seen
from tests.torture.served import Served, Session

SHEET = 160  # pixels of the pad, each way
STROKE_EVERY = 5.0  # seconds
PAD = "bidi_component"


class Client(threading.Thread):
    """A watcher of the run `live`, or one who draws, until `leave` is called."""

    def __init__(self, server: Served, number: int, draws: bool) -> None:
        super().__init__(daemon=True)
        self.name = f"{'drawing' if draws else 'watching'} client {number}"
        self.server, self.draws = server, draws
        self.seen = Seen()
        self.leaving = threading.Event()
        self.due: dict[str, tuple[float, float]] = {}  # fragment -> when it is asked for again, and how often
        self.pad = ""  # the widget
        self.random = np.random.default_rng(number)

    def leave(self) -> None:
        self.leaving.set()
        self.join(timeout=60)

    def run(self) -> None:
        try:
            with Session(self.server.port) as session:
                page, query = ("draw", "") if self.draws else ("monitor", "run=live")
                self._send(session, ClientState(page_name=page, query_string=query))
                while not self.leaving.is_set():
                    self._listen(session)
                    self._ask(session)
        except (ConnectionClosed, OSError) as error:
            self.seen.errors.append(f"thrown out: {error}")

    def _send(self, session: Session, state: ClientState) -> None:
        self.seen.sent(BackMsg(rerun_script=state), time.monotonic())
        session.send(rerun_script=state)

    def _listen(self, session: Session) -> None:
        try:
            data = session.socket.recv(timeout=0.1)
        except TimeoutError:
            return
        message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
        self.seen.received(message, time.monotonic())
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self._every(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.due.pop(fragment, None)
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == PAD and self.draws:
            self.pad = message.delta.new_element.bidi_component.id
            self._every(message.delta.fragment_id, STROKE_EVERY)

    def _every(self, fragment: str, seconds: float) -> None:
        """From now on the fragment is asked for so often; one that is already, goes on as it does."""
        if self.due.get(fragment, (0.0, 0.0))[1] != seconds:
            self.due[fragment] = (time.monotonic() + seconds, seconds)

    def _ask(self, session: Session) -> None:
        """For the fragments that are due; a drawing goes along with it."""
        now = time.monotonic()
        for fragment, (when, every) in self.due.items():
            if when > now:
                continue
            self.due[fragment] = (now + every, every)
            widgets = [self._drawing(self.pad)] if self.pad else []
            state = ClientState(
                fragment_id=fragment,
                is_auto_rerun=not self.draws,
                query_string="" if self.draws else "run=live",
                widget_states=WidgetStates(widgets=widgets),
            )
            self._send(session, state)

    def _drawing(self, widget: str) -> WidgetState:
        """An upright stroke somewhere."""
        left, top = int(self.random.integers(30, 110)), int(self.random.integers(10, 50))
        return WidgetState(id=widget, json_value=json.dumps(stroke(left, top)))


def stroke(left: int, top: int) -> dict[str, str]:
    """What the pad sends of an upright stroke; `left` and `top` in pixels."""
    sheet = np.zeros((SHEET, SHEET), np.uint8)
    sheet[top : top + 90, left : left + 14] = 255
    return {"pixels": base64.b64encode(sheet.tobytes()).decode()}
