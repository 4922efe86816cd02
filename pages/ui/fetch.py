"""Fetches sets of images that are missing, incomplete or damaged here.

Each is fetched by a process of its own, which the page watches and can stop."""

from pathlib import Path

import streamlit as st

from icm.images import sets
from icm.images.unseen import SETS
from icm.jobs.fetch import start_fetch
from pages.ui.begun import fetches
from pages.ui.html import plain
from pages.ui.told import telling

TICK = 1.0  # seconds between two looks while something is being fetched
WORDS: dict[sets.State, str] = {
    "absent": "",
    "incomplete": "only a part of it is here",
    "damaged": "what is here is damaged",
}


def fetch_sets(root: Path) -> None:
    """A line with a button for every set that is missing, incomplete or damaged under `root`; nothing when all are here."""
    for name, fetch in tuple(fetches().items()):
        if fetch.process.poll() == 0:
            sets.forget_damage(name, root)
            fetches().pop(name, None)
    states: dict[str, sets.State] = {name: sets.state(name, root) for name in sets.PARTS}
    missing = {name: WORDS[state] for name, state in states.items() if state != "here"}
    if not missing:
        return
    with st.expander("Fetch more sets from the network", icon=":material/download:"):
        moving = any(fetch.running for fetch in fetches().values())
        st.fragment(_lines, run_every=TICK if moving else None)(missing, root, moving)


def _lines(missing: dict[str, str], root: Path, moving: bool) -> None:
    running = fetches()
    for name, why in missing.items():
        fetch = running.get(name)
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
                        running[name] = start_fetch(name, root)
                        st.rerun()
        if fetch is not None and fetch.failed:
            words = fetch.last_words() or f"{name} could not be fetched"
            st.error(plain(words), icon=":material/error:")
    if moving and not any(fetch.running for fetch in running.values()):
        st.rerun()  # the whole page: a set may be here now
