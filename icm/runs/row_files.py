"""The rows of a run on disk: metrics.jsonl, a line of JSON for each row, and history.f8, their running sums (history.py)."""

import json
import os
from pathlib import Path
from typing import Any

from icm import files
from icm.files import FileError


class RowFiles:
    """The two files in one run's folder."""

    def __init__(self, folder: Path) -> None:
        self.metrics_file = folder / "metrics.jsonl"
        self.history_file = folder / "history.f8"
        self._replaced: files.FileIdentity | None = (
            None  # metrics.jsonl as `replace` wrote it: the one to append to
        )

    def lines(self) -> list[str]:
        """Every whole line. One that is still being written, or that a crash cut off, is left out."""
        if not os.path.lexists(self.metrics_file):
            return []
        with files.on_disk(self.metrics_file, "read"):
            text = files.read_bytes(self.metrics_file).decode(errors="replace")
        return text.split("\n")[:-1]

    def read(self) -> list[dict[str, Any]]:
        """The rows in the whole lines; FileError when one is damaged."""
        try:
            return [json.loads(line) for line in self.lines()]
        except ValueError as error:
            raise FileError(
                f"{self.metrics_file} is damaged ({error}); a resume leaves the damaged rows out"
            ) from error

    def replace(self, lines: list[str]) -> None:
        """Makes these lines the whole content of metrics.jsonl. A resume begins with this."""
        files.write_whole(self.metrics_file, "".join(f"{line}\n" for line in lines).encode())
        self._replaced = files.identity(self.metrics_file)

    def append(self, row: dict[str, Any]) -> None:
        """Adds a row; FileError when the file that `replace` wrote is no longer there, so that no other run gets it."""
        line = json.dumps(row, separators=(",", ":")) + "\n"
        files.append(self.metrics_file, line.encode(), self._replaced)

    def flush(self) -> None:
        """What was appended so far now survives a power cut. Called before a state that contains these steps is saved."""
        for path in (self.metrics_file, self.history_file):
            files.flush(path)
