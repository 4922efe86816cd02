"""Fetches a set of images in a process of its own, and tells how far it is."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from icm.jobs.process import Job, start_job
from icm.runs.store import store_root


@dataclass(frozen=True)
class Fetch(Job):
    """A set of images that is being fetched."""

    root: Path
    begun_with: int  # bytes under the root before the fetch began

    def megabytes(self) -> float:
        """Megabytes by which the root has grown so far."""
        return max(_bytes_under(self.root) - self.begun_with, 0) / 1e6


def start_fetch(name: str, root: Path) -> Fetch:
    """Starts a process that fetches a set into `root`."""
    before = _bytes_under(root)
    job = start_job(["data", name], store_root(), root)
    return Fetch(job.process, job.log, root, before)


def _bytes_under(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):  # a partial file may be renamed while we look
            total += path.stat().st_size
    return total
