"""Processes that the server has begun for its visitors: one timing for each store, one fetch for each set.

They are remembered for as long as the server runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from icm.runs.store import RunStore

if TYPE_CHECKING:  # they need torch, which takes seconds to import the first time
    from icm.jobs.fetch import Fetch
    from icm.jobs.process import Job


@st.cache_resource(show_spinner=False)
def timings() -> "dict[Path, Job]":
    """The timings of the presets that were begun, by the folder of the store."""
    return {}


@st.cache_resource(show_spinner=False)
def fetches() -> "dict[str, Fetch]":
    """The fetches that were begun, by the name of the set. Some may have ended."""
    return {}


def timing(store: RunStore) -> "Job":
    """The timing of the presets for this store. The first call begins it; later ones return the same."""
    from icm.images.digits import data_root
    from icm.jobs import pace

    if store.root not in timings():
        timings()[store.root] = pace.start_timing(store, data_root())
    return timings()[store.root]
