"""How long a visitor waits for a page, from the messages that go to and fro on its websocket.

A tick is one run of a fragment or of a page, from the server's first message of it to the last. Runs that were cut short for
this one belong to it. A wait begins earlier, when the visitor asks for that run: the time in the server's queue is in it."""

from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


@dataclass
class Seen:
    """What one visitor has seen: how long each run and each answer took, in seconds, and the errors on its page."""

    ticks: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    # Requests without an answer, oldest first: the fragment, empty for the page, and the time.
    asked: list[tuple[str, float]] = field(default_factory=list)
    begun: float | None = None  # when the run that is going on began
    since: float | None = None  # when its tick began: runs that were cut short for it included

    def sent(self, message: BackMsg, now: float) -> None:
        if message.WhichOneof("type") == "rerun_script":
            self.asked.append((message.rerun_script.fragment_id, now))

    def received(self, message: ForwardMsg, now: float) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.begun = now
            self.since = now if self.since is None else self.since
        elif kind == "script_finished" and self.begun is not None and self.since is not None:
            if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:  # the next run is the answer
                self.ticks.append(now - self.since)
                self._answer(set(message.metadata.run.fragment_ids), self.begun, now)
                self.since = None
            self.begun = None
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            self.errors.append(message.delta.new_element.exception.type)

    def _answer(self, fragments: set[str], begun: float, now: float) -> None:
        """A run of these fragments, or of the page where there are none, answers what was asked for before it began.

        The server answers in order. What was asked for even earlier and has no answer was dropped, for example because its
        fragment is no longer on the page."""
        answered = [
            when for fragment, when in self.asked if when < begun and (not fragments or fragment in fragments)
        ]
        self.waits += [now - when for when in answered]
        if answered:
            self.asked = [(fragment, when) for fragment, when in self.asked if when > answered[-1]]
