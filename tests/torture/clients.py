"""Visitors without a browser, for a crowd on few cores: they speak the protocol as the front end does.

One kind watches: it asks for a fragment again as many seconds after an answer as the answer says. The other kind draws: it sends
the pad's pixels every five seconds, whether or not the last answer has come."""

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


class Client(threading.Thread):
    """A watcher of the run `live`, or one who draws, until `leave` is called."""

    def __init__(self, server: Served, number: int, draws: bool) -> None:
        super().__init__(daemon=True)
        self.name = f"{'drawing' if draws else 'watching'} client {number}"
        self.server, self.draws = server, draws
        self.seen = Seen()
        self.leaving = threading.Event()
        self.due: dict[str, float] = {}  # fragment -> when it is asked for again
        self.widget = ""  # the pad or the clock
        self.look = 0.0  # the clock sends one for each look, and gets it back
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
        if message.WhichOneof("type") != "delta":
            return
        element = message.delta.new_element
        if element.WhichOneof("type") != "bidi_component":
            return
        component = element.bidi_component
        if component.component_name == ("drawing_pad" if self.draws else "clock"):
            self.widget, fragment, now = component.id, message.delta.fragment_id, time.monotonic()
            if self.draws:
                self.due.setdefault(fragment, now + STROKE_EVERY)  # a time that is set already stays
            else:
                given = json.loads(component.json)
                self.look = given["look"]
                self.due[fragment] = now + given["after"]

    def _ask(self, session: Session) -> None:
        """Asks for the fragments that are due, with what the widget has to say."""
        now = time.monotonic()
        for fragment in [each for each, when in self.due.items() if when <= now]:
            del self.due[fragment]
            if self.draws:
                self.due[fragment] = now + STROKE_EVERY
            widget = self._drawing(self.widget) if self.draws else self._looking(self.widget)
            state = ClientState(
                fragment_id=fragment,
                query_string="" if self.draws else "run=live",
                widget_states=WidgetStates(widgets=[widget]),
            )
            self._send(session, state)

    def _looking(self, widget: str) -> WidgetState:
        return WidgetState(id=widget, json_value=json.dumps({"look": self.look}))

    def _drawing(self, widget: str) -> WidgetState:
        """An upright stroke somewhere."""
        left, top = int(self.random.integers(30, 110)), int(self.random.integers(10, 50))
        return WidgetState(id=widget, json_value=json.dumps(stroke(left, top)))


def stroke(left: int, top: int) -> dict[str, str]:
    """What the pad sends of an upright stroke; `left` and `top` in pixels."""
    sheet = np.zeros((SHEET, SHEET), np.uint8)
    sheet[top : top + 90, left : left + 14] = 255
    return {"pixels": base64.b64encode(sheet.tobytes()).decode()}
