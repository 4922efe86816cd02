"""The runs that pages offer, and the one that a page is about: chosen in a box, kept in the link."""

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from icm.runs.index import IndexedRun, RunIndex
from icm.runs.run import SHIPPED, Run
from icm.runs.store import RunStore, shipped, store_root
from pages.ui.html import plain
from pages.ui.run_view import apart, when


def store() -> RunStore:
    """The store that the pages show."""
    return RunStore(store_root())


def runs() -> list[IndexedRun]:
    """Every run of the store as it is now, newest first."""
    return _index(store().root).look()


def watchable() -> list[IndexedRun]:
    """Every run of the store, newest first, and at the end the run that ships with the project, wherever the store is."""
    found, box = runs(), shipped()
    if box is None or any(each.run.id == box.id for each in found):
        return found
    return [*found, IndexedRun(box, box.created, box.label, trained=True)]


@st.cache_resource(max_entries=4, show_spinner=False)
def _index(root: Path) -> RunIndex:
    """The index of the store, one for the whole server."""
    return RunIndex(RunStore(root))


def pick(found: Sequence[IndexedRun], name: str = "run", default: int = 0) -> Run | None:
    """One of the runs, kept in the link under `name`; None when there is none.

    Without a link it is the newest run, or with `default` 1 the second newest, and so on."""
    start = found[min(default, len(found) - 1)].run if found else None
    said = {each.run.id: f"{each.label}   ({when(each.created)})" for each in found}
    return _pick(name, [each.run for each in found], start, said.__getitem__)


def pick_trained(name: str = "run") -> Run | None:
    """Any run with a snapshot, for pages that ask its experts. Without a link it is the run that ships with the project."""
    trained = [each.run for each in watchable() if each.trained]
    start = next((run for run in trained if run.id == SHIPPED), trained[0] if trained else None)
    return _pick(name, trained, start, lambda run_id: next(run.label for run in trained if run.id == run_id))


def _pick(name: str, choice: Sequence[Run], start: Run | None, words: Callable[[str], str]) -> Run | None:
    """One of the runs, `start` when the link names none of them; None when there is none. `words` says what to call a run id."""
    if start is None:
        return None
    runs = {run.id: run for run in choice}
    wanted = st.query_params.get(name)
    if wanted is not None and wanted not in runs:
        st.warning(
            plain(f"There is no run {wanted!r} to show here; {start.label} is shown."),
            icon=":material/link_off:",
        )
    said = apart({run_id: words(run_id) for run_id in runs})
    # The link gets a name once somebody chooses. If the page wrote one by itself, the browser's Back would lead here again.
    key = f"picked {name}"
    if wanted in runs:
        st.session_state[key] = wanted
    elif st.session_state.get(key) not in runs:
        st.session_state[key] = start.id
    chosen = st.selectbox(
        name.capitalize(),
        list(runs),
        key=key,
        format_func=said.__getitem__,
        on_change=lambda: st.query_params.update({name: st.session_state[key]}),
    )
    return runs[chosen]
