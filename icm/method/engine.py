"""How the networks are computed: an `Engine`, chosen once from device and `arithmetic`.

Every engine gives the same numbers but for rounding. On a CPU each expert runs by itself in channels-last memory, on a
GPU all run at once as grouped convolutions (docs/LOG.md)."""

import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from icm.errors import ActionableError

FORCE_BFLOAT16 = "ICM_BFLOAT16"  # environment variable: `on` or `off` decides for a CPU instead of timing it


@dataclass(frozen=True)
class Engine:
    """How the networks are computed. Every engine gives the same numbers but for rounding."""

    experts: Literal["loop", "stacked"] = "loop"
    """Each expert by itself, side by side on as many threads, or all at once in grouped convolutions."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number type of the convolutions and the discriminator's wide dense layer; weights, losses and optimisers are float32."""
    deterministic: bool = True
    """Whether the same step gives the same numbers to the last bit."""


PLAIN = Engine()


def choose_engine(device: torch.device, arithmetic: str) -> Engine:
    """The engine that should be the fastest on this device within `arithmetic`, which is exact or fast (docs/LOG.md)."""
    fast = arithmetic == "fast"
    if device.type == "cpu":
        dtype = "bfloat16" if fast and _takes_bfloat16() else "float32"
        return Engine(experts="loop", dtype=dtype)
    return Engine(experts="stacked", deterministic=not fast)


def set_arithmetic(engine: Engine, device: torch.device) -> None:
    """Tells torch, for the whole process, what the engine allows on a GPU. On other devices it does nothing."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
        torch.use_deterministic_algorithms(engine.deterministic)
        torch.backends.cudnn.benchmark = not engine.deterministic
        precision = "ieee" if engine.deterministic else "tf32"
        torch.backends.cudnn.conv.fp32_precision = precision  # pyright: ignore[reportAttributeAccessIssue]
        torch.backends.cuda.matmul.fp32_precision = precision


def _takes_bfloat16() -> bool:
    """Whether to convolve in bfloat16 on this CPU: as ICM_BFLOAT16 says, and if it is not set, where bfloat16 is faster."""
    forced = os.environ.get(FORCE_BFLOAT16, "")
    if forced == "":
        return _bfloat16_is_faster()
    if forced not in ("on", "off"):
        raise DeviceError(f"{FORCE_BFLOAT16}={forced!r} says neither on nor off: set it to one or unset it")
    return forced == "on"


def _bfloat16_is_faster() -> bool:
    """Whether a convolution, timed here, takes less than 0.8 of the time in bfloat16 that it takes in float32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if supported is None or not supported():  # None in a build of torch without oneDNN
        return False
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        images = torch.ones(8, 32, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.ones(32, 32, 3, 3, dtype=dtype)
        times = []
        for _ in range(6):
            started = time.perf_counter()
            functional.conv2d(images, weight, padding=1)
            times.append(time.perf_counter() - started)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]


def precision(device: torch.device, engine: Engine) -> AbstractContextManager:
    """The context for one forward pass. autocast keeps its bfloat16 copies of the weights until it is left, so a context that
    stayed open across an optimiser's step would compute with old weights."""
    return torch.autocast(device.type, torch.bfloat16) if engine.dtype == "bfloat16" else nullcontext()


class DeviceError(ActionableError):
    """A device that is not available here or not the one a run began on, or a value of ICM_BFLOAT16 that means nothing."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU when there is one. DeviceError when it is not here."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(each for each, here in available.items() if here))
    if not available[name]:
        raise DeviceError(f"device {name!r} is not available here; use --device auto or cpu")
    return torch.device(name)
