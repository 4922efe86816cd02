"""What is wrong with a run's experts, told from scores alone; beside it, for who switches that on, what the truth says.

The digits go through the experts in a thread of their own: neither a page that looks at a live run again and again waits for them, nor
the rest of the page of a run that has ended."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from icm.measure.diagnosis import Diagnosis
from icm.runs.history import History
from pages.ui import decisions, html, run_view
from pages.ui.run_view import RunView

if TYPE_CHECKING:  # it needs torch, which takes seconds to import
    from pages.ui.cached import Judged

HELP = (
    "Nothing is looked at but the discriminator's scores of every expert's answers to held-out images, changed by the run's "
    "mechanisms. Images whose scores are alike are of one kind: there are as many kinds as lie apart best, and a kind that is "
    "clearly two is split. How far they lie apart before that is their silhouette: at 0 they are one heap, at 1 nothing lies "
    "between them. A good number of experts is the number of kinds."
)
ICONS = {
    "right": ":material/check_circle:",
    "too many": ":material/group_remove:",
    "too few": ":material/group_add:",
    "unevenly shared": ":material/balance:",
    "undecided": ":material/hourglass_empty:",
}
REST = 100  # times as long as judging took, before a run that is being trained is judged again: its trainer wants the machine


@dataclass(frozen=True)
class Begun:
    """A judgement that this visitor's page has begun."""

    of: tuple[str, float]  # run and when it was made: another one may take its name
    step: int
    at: float  # on the monotonic clock
    found: "Future[Judged]"

    def rests(self) -> bool:
        """Whether it is too early for another one."""
        return not self.found.done() or time.monotonic() - self.at < REST * self.found.result().seconds


def panel(seen: RunView, then: History, snapshots: Sequence[int]) -> DeltaGenerator:
    """The diagnosis of the last of `snapshots`, or for now an older one, or a place for it, which `finish` fills. Returns that place."""
    with st.container(border=True, key="diagnosis"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Without the truth** · what the scores alone say", help=HELP)
            st.toggle("Compare with the truth", key="truth", bind="query-params", width="content")
        place = st.empty()
    begun = begin(seen, snapshots)
    if begun.found.done():
        st.session_state["judged"] = begun
    judged: Begun | None = st.session_state.get("judged")
    with place.container():
        if judged and judged.of == begun.of:
            show(seen, then, judged.found.result())
        else:
            st.caption("The experts are being judged.")
            st.html(html.chips(dict.fromkeys(then.plays(), "…"), ()))
    return place


def finish(place: DeltaGenerator, seen: RunView, then: History, snapshots: Sequence[int]) -> None:
    """Waits for what `panel` has begun, where the page does not look again by itself."""
    begun, shown = begin(seen, snapshots), st.session_state.get("judged")
    if seen.live or (shown and shown.found is begun.found):
        return
    judged = begun.found.result()
    st.session_state["judged"] = begun
    with place.container():
        show(seen, then, judged)


def begin(seen: RunView, snapshots: Sequence[int]) -> Begun:
    """Has the last of `snapshots` judged. While a run is being trained it rests between two that follow one another."""
    from pages.ui import cached  # it needs torch, which takes seconds to import the first time

    of, step = (seen.run.id, seen.run.created), snapshots[-1]
    last: Begun | None = st.session_state.get("judging")
    if seen.live and last and last.of == of and last.step <= step and last.rests():
        return last
    images = cached.JUDGED_LIVE if seen.live else cached.JUDGED_IMAGES
    found = cached.judged(cached.snapshot_key(seen.run, step), images)
    if last is None or last.found is not found:
        last = st.session_state["judging"] = Begun(of, step, time.monotonic(), found)
    return last


def show(seen: RunView, then: History, judged: "Judged") -> None:
    diagnosis = judged.diagnosis
    words, wins = diagnosis.roles(), then.recent().wins[0]
    compared = st.session_state.get("truth", False)
    if compared:
        undone = run_view.role_words(wins, seen.mechanisms)
        words = {expert: f"{said} · {undone[expert]}" for expert, said in words.items()}
    st.markdown(f"{ICONS[diagnosis.verdict]} {diagnosis.in_words()}")
    st.html(html.chips(words, run_view.unowned_words(wins, seen.mechanisms) if compared else ()))
    told = [*diagnosis.evidence(), f"After step {judged.step:,}, by {diagnosis.images:,} images."]
    if compared:
        told.append(judged.truth.beside(diagnosis))
    st.caption(" ".join(told))
    if not seen.live and diagnosis.verdict not in ("right", "undecided"):
        start_again(seen, diagnosis)


def start_again(seen: RunView, diagnosis: Diagnosis) -> None:
    """A button to Train, with the settings of this run but for what the diagnosis would have otherwise."""
    words, changed = decisions.remedy(diagnosis, seen.config.seed)
    if st.button(words, icon=":material/replay:", key="start-again"):
        st.switch_page("train.py", query_params={"like": seen.run.id, **changed})
