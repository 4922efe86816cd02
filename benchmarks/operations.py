"""What a step of the competition spends its time on: the operations of torch, the longest first.

python -m benchmarks.operations --device cuda --preset robust"""

from dataclasses import replace
from typing import Annotated, Literal

import torch
import tyro
from torch.profiler import ProfilerActivity, profile

from benchmarks.training import contestants
from icm.presets import preset

WARM = 3  # steps that are not watched: the first ones allocate and choose their kernels
STEPS = 5
LINES = 25


def main(
    device: str = "cpu",
    preset_name: Annotated[Literal["paper", "robust"], tyro.conf.arg(name="preset")] = "robust",
) -> None:
    """What does a step spend its time on?

    Args:
        device: cpu, cuda or mps.
        preset_name: whose form a step has.
    """
    torch.set_num_threads(1)  # the profiler does not see what other threads do
    both = contestants(replace(preset(preset_name), device=device))
    for _ in range(WARM):
        both.ours()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=kinds) as seen:
        for _ in range(STEPS):
            both.ours()
    print(both.engine)
    by = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    print(seen.key_averages().table(sort_by=by, row_limit=LINES, max_name_column_width=48))


if __name__ == "__main__":
    tyro.cli(main)
