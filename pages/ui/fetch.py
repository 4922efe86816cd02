"""Sets of images that are not here: fetched by a process of their own, watched and stopped from the page."""

from pathlib import Path

import streamlit as st

from icm import launch
from icm.unseen import SETS

TICK = 1.0  # seconds


@st.cache_resource(show_spinner=False)
def _running() -> dict[str, launch.Fetch]:
    """What is being fetched, for the whole server."""
    return {}


def fetch_sets(root: Path) -> None:
    """A line for every set that is not under `root`, with a button; nothing when all are here."""
    missing = [name for name, kind in SETS.items() if not kind.here(root)]
    if not missing:
        return
    with st.expander("Fetch more sets from the network", icon=":material/download:"):
        moving = any(fetch.running for fetch in _running().values())
        st.fragment(_lines, run_every=TICK if moving else None)(missing, root, moving)


def _lines(missing: list[str], root: Path, moving: bool) -> None:
    fetches = _running()
    for name in missing:
        fetch = fetches.get(name)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{SETS[name].title}**", width=260)
            if fetch is not None and fetch.running:
                st.caption(f"{fetch.megabytes():.1f} MB so far", width="content")
                if st.button("Cancel", key=f"cancel {name}", icon=":material/close:"):
                    fetch.cancel()
                    st.rerun()
            elif st.button("Fetch", key=f"fetch {name}", icon=":material/download:"):
                fetches[name] = launch.start_fetch(name, root)
                st.rerun()
        if fetch is not None and fetch.failed:
            st.error(fetch.last_words(), icon=":material/error:")
    if moving and not any(fetch.running for fetch in fetches.values()):
        st.rerun()  # the whole page: a set may be here now
