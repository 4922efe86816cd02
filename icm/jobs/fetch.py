"""Fetches a set of images in a process of its own, and tells how far it is."""

import contextlib
import os
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
    return Fetch(job.process, job.output, job.errors, root, before)


def _bytes_under(root: Path) -> int:
    """The size of all files under the folder. Files and folders that come and go while we look may be counted or not."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
