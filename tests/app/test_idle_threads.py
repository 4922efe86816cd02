"""What `python -m icm` sets before torch is loaded: threads that wait leave the cores to those that work."""

import os
import subprocess
import sys

from icm.files import PROJECT

IDLE = """
import contextlib, runpy, sys, time
sys.argv = ["icm"]
with contextlib.suppress(SystemExit):
    runpy.run_module("icm", run_name="__main__")
import torch
torch.set_num_threads(2)
numbers = torch.ones(1_000_000)
numbers.add_(1)
began = time.process_time()
for _ in range(20):
    numbers.add_(1)
    time.sleep(0.02)
print("taken", time.process_time() - began)
"""


def test_a_thread_that_waits_for_the_next_operation_takes_no_core() -> None:
    """By default OpenMP's threads turn for some milliseconds after each, on the cores that the pieces of a step need."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    said = subprocess.run(
        [sys.executable, "-c", IDLE], env=variables, cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert float(said.split()[-1]) < 0.06
