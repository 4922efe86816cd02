"""The benchmarks measure what they were asked for, and write where they were told to."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training
from icm.files import PROJECT
from icm.presets import preset


def test_the_script_for_a_gpu_writes_where_its_caller_is_and_not_where_a_run_lies(tmp_path: Path) -> None:
    words = ["env", "PYTHON=true", "bash", str(PROJECT / "benchmarks" / "gpu.sh"), "found"]
    first = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (first.returncode, first.stderr) == (0, "")
    assert (tmp_path / "found" / "train.txt").exists()

    (tmp_path / "found" / "runs").mkdir()
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert again.stderr == (
        f"{tmp_path}/found holds the run of an earlier time, which would be measured instead; give another folder\n"
    )


def test_sizes_are_measured_with_the_arithmetic_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measured(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(words[words.index("--arithmetic") + 1])
        return subprocess.CompletedProcess(words, 0, stdout='{"seconds": 1.0, "memory_mb": 1.0}')

    monkeypatch.setattr(subprocess, "run", measured)
    monkeypatch.setattr(training, "plot", lambda *_: None)
    training.scale(replace(preset("robust"), arithmetic="exact"), steps=1, out=None)
    assert set(asked) == {"exact"}
