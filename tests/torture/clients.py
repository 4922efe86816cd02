"""Visitors without a browser, for a crowd on few cores: they speak the protocol as the front end does.

One watches: it asks for a fragment again whenever the server said it should. The other draws: it sends the pad's pixels some
times a minute. What they measure is what a tab would: from the server's first message of a run to its last."""

import base64
import json
import threading
import time

import numpy as np
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.exceptions import ConnectionClosed

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
        self.ticks: list[float] = []  # seconds
        self.errors: list[str] = []
        self.leaving = threading.Event()
        self.begun: float | None = None
        self.due: dict[str, tuple[float, float]] = {}  # fragment -> when it is asked for again, and how often
        self.pad: tuple[str, str] | None = None  # widget and fragment
        self.random = np.random.default_rng(number)

    def leave(self) -> None:
        self.leaving.set()
        self.join(timeout=60)

    def run(self) -> None:
        try:
            with Session(self.server.port) as session:
                page, query = ("draw", "") if self.draws else ("monitor", "run=live")
                session.send(rerun_script=ClientState(page_name=page, query_string=query))
                while not self.leaving.is_set():
                    self._listen(session)
                    self._ask(session)
        except (ConnectionClosed, OSError) as error:
            self.errors.append(f"thrown out: {error}")

    def _listen(self, session: Session) -> None:
        try:
            data = session.socket.recv(timeout=0.1)
        except TimeoutError:
            return
        message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.begun = time.monotonic()
        elif kind == "script_finished" and self.begun is not None:
            self.ticks.append(time.monotonic() - self.begun)
            self.begun = None
        elif kind == "auto_rerun":
            interval = message.auto_rerun.interval
            self.due[message.auto_rerun.fragment_id] = (time.monotonic() + interval, interval)
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._look_at(message)

    def _look_at(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.errors.append(element.exception.type)
        elif kind == PAD and self.draws:
            self.pad = (element.bidi_component.id, message.delta.fragment_id)
            self.due.setdefault(message.delta.fragment_id, (time.monotonic() + STROKE_EVERY, STROKE_EVERY))

    def _ask(self, session: Session) -> None:
        """For the fragments that are due, when none is being computed; a drawing goes along with it."""
        now = time.monotonic()
        for fragment, (when, every) in self.due.items():
            if when > now or self.begun is not None:
                continue
            self.due[fragment] = (now + every, every)
            widgets = [] if self.pad is None else [self._drawing(self.pad[0])]
            session.send(
                rerun_script=ClientState(
                    fragment_id=fragment,
                    is_auto_rerun=not self.draws,
                    query_string="" if self.draws else "run=live",
                    widget_states=WidgetStates(widgets=widgets),
                )
            )

    def _drawing(self, widget: str) -> WidgetState:
        """An upright stroke somewhere."""
        sheet = np.zeros((SHEET, SHEET), np.uint8)
        left, top = self.random.integers(30, 110), self.random.integers(10, 50)
        sheet[top : top + 90, left : left + 14] = 255
        pixels = base64.b64encode(sheet.tobytes()).decode()
        return WidgetState(id=widget, json_value=json.dumps({"pixels": pixels}))
