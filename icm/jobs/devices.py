"""The devices that can train here, in words for a person to choose from."""

import os
import subprocess

import psutil
import torch

MEBIBYTE = 2**20  # bytes; the driver counts in these


def devices() -> dict[str, str]:
    """Devices that can train here, and for each its name and, where known, free memory in words. Takes no memory on a GPU whose
    driver has `nvidia-smi`."""
    free = psutil.virtual_memory().available / 1e9
    found = {"cpu": f"cpu · {os.cpu_count()} cores, {free:.0f} GB free"}
    if torch.cuda.is_available():
        found["cuda"] = f"cuda · {_graphics_card()}"
    if torch.backends.mps.is_available():
        found["mps"] = "mps · Apple GPU"
    return found


def _graphics_card() -> str:
    """Name and free memory of the first graphics card. The driver's tool is asked first: torch would open the card, and only
    the trainer should do that."""
    query = ["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
        name, free = done.stdout.splitlines()[0].rsplit(",", 1)
        return f"{name.strip()}, {float(free) * MEBIBYTE / 1e9:.0f} GB free"
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return torch.cuda.get_device_name()
