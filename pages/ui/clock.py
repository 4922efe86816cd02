"""The clock of a fragment that looks at something again and again.

Streamlit's own `run_every` has one pace for as long as the page is open, and goes on asking while the server is still busy with
the last answer. This clock begins when a look has arrived: each look may set another pace, a busy server is asked no more
often than it can answer, and a page that nobody sees asks for nothing. A look that does not arrive is asked for again."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import streamlit as st
from streamlit.components.v2 import component

BUSY = 15  # a page waits so many times as long as a look took; measured with a crowd, docs/LOG.md
LONGEST = 5.0  # seconds between two looks, however busy the server is
JUDGED = 3  # looks whose median tells how busy the server is; the first one alone may have imported torch

# Keeps the clock from taking up room among what the fragment shows.
STYLE = "<style>[class*=st-key-clock]{position:absolute}</style>"
_component = component("clock", js=(Path(__file__).parent / "clock.js").read_text(encoding="utf-8"))


@contextmanager
def looking(what: str, pace: float | None) -> Iterator[None]:
    """One look at `what`. The fragment that calls this runs again `pace` seconds after the look has reached the browser,
    later on a busy server, and not at all when `pace` is None.

    The block is all that the fragment shows. The clock comes first, so that an error further down does not stop it."""
    noted = f"looks at {what} took"  # seconds, the last ones
    took: Sequence[float] = st.session_state.get(noted, ())
    begun = time.monotonic()
    if pace is not None:
        _component(key=f"clock-{what}", data={"after": max(pace, breath(took)), "look": begun})
    else:
        st.empty()  # keeps the clock's place: elements that move up by one are made anew, and a chart flickers
    yield
    st.session_state[noted] = (*took, time.monotonic() - begun)[-JUDGED:]


def breath(took: Sequence[float]) -> float:
    """Whole seconds that a page waits at least between two looks, from how many seconds its last ones took."""
    return min(float(round(BUSY * median(took))), LONGEST) if len(took) >= JUDGED else 0.0
