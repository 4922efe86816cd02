"""Sets of images that are not here, whole: fetched by a process of their own, watched and stopped from the page."""

from pathlib import Path

import streamlit as st

from icm import launch, sets
from icm.unseen import SETS
from pages.ui.told import plain, telling

TICK = 1.0  # seconds
WORDS: dict[sets.State, str] = {
    "absent": "",
    "incomplete": "only a part of it is here",
    "damaged": "what is here is damaged",
}


@st.cache_resource(show_spinner=False)
def _running() -> dict[str, launch.Fetch]:
    """What is being fetched, for the whole server."""
    return {}


def fetch_sets(root: Path) -> None:
    """A line for every set that is not under `root`, whole, with a button; nothing when all are here."""
    for name, fetch in tuple(_running().items()):
        if fetch.process.poll() == 0:
            sets.forget_damage(name, root)
            _running().pop(name, None)
    states: dict[str, sets.State] = {name: sets.state(name, root) for name in sets.PARTS}
    missing = {name: WORDS[state] for name, state in states.items() if state != "here"}
    if not missing:
        return
    with st.expander("Fetch more sets from the network", icon=":material/download:"):
        moving = any(fetch.running for fetch in _running().values())
        st.fragment(_lines, run_every=TICK if moving else None)(missing, root, moving)


def _lines(missing: dict[str, str], root: Path, moving: bool) -> None:
    fetches = _running()
    for name, why in missing.items():
        fetch = fetches.get(name)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{SETS[name].title}**", width=260)
            if fetch is not None and fetch.running:
                st.caption(f"{fetch.megabytes():.1f} MB so far", width="content")
                if st.button("Cancel", key=f"cancel {name}", icon=":material/close:"):
                    fetch.cancel()
                    st.rerun()
            else:
                if why:
                    st.caption(why, width="content")
                label = "Fetch again" if why else "Fetch"
                if st.button(label, key=f"fetch {name}", icon=":material/download:"):
                    with telling():
                        fetches[name] = launch.start_fetch(name, root)
                        st.rerun()
        if fetch is not None and fetch.failed:
            words = fetch.last_words() or f"{name} could not be fetched"
            st.error(plain(words), icon=":material/error:")
    if moving and not any(fetch.running for fetch in fetches.values()):
        st.rerun()  # the whole page: a set may be here now
