"""Sets are fetched by a process of their own, which can be stopped and whose last words reach the page."""

import time
from pathlib import Path

from icm import launch
from icm.store import RunStore


def ended(fetch: launch.Fetch) -> launch.Fetch:
    deadline = time.monotonic() + 60
    while fetch.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return fetch


def test_a_fetch_that_fails_says_why(store: RunStore, tmp_path: Path) -> None:
    fetch = ended(launch.start_fetch("nowhere", tmp_path))
    assert fetch.failed
    assert fetch.last_words().startswith("unknown set 'nowhere'; known: mnist, omniglot, fashion, usps")


def test_a_fetch_that_is_cancelled_has_not_failed(store: RunStore, tmp_path: Path) -> None:
    fetch = launch.start_fetch("omniglot", tmp_path)
    fetch.cancel()
    assert not ended(fetch).failed


def test_what_has_come_so_far_is_counted_from_the_start(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(bytes(3_000_000))
    fetch = launch.start_fetch("nowhere", tmp_path)
    assert fetch.megabytes() == 0
    (tmp_path / "part").write_bytes(bytes(2_500_000))
    assert fetch.megabytes() == 2.5
    ended(fetch)
