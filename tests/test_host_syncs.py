"""A step on stacked experts, which is what a GPU runs, never makes the device wait for the host.

It reads nothing back and takes no tensor that the host has just made. The tests watch the operations that torch dispatches: on
the CPU, with real numbers; on the `meta` device, which has no numbers to read and where a copy from the host is a change of
device; and on a GPU, where there is one and torch itself watches too."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from icm.config import ConscienceConfig, ModelConfig, RunConfig
from icm.images.batches import Batch, generator_for
from icm.method.engine import Engine
from icm.method.state import TrainState, init_state
from icm.method.training import start_competition, train_step

# By the first part of their names, `aten._local_scalar_dense` and so on.
READS_BACK = {
    "_local_scalar_dense",  # item(), float(), tolist() of one number
    "bincount",
    "equal",
    "is_nonzero",
    "item",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "_unique2",
}
MADE_ON_THE_HOST = {"lift_fresh", "lift_fresh_copy"}  # torch.tensor([...]), and indices written as a list
MASKS = (torch.bool, torch.uint8)  # a mask as an index: how many it chooses must be read back
DEVICES = ["cpu", "meta", *(["cuda"] if torch.cuda.is_available() else [])]


class Watch(TorchDispatchMode):
    """Counts the operations that read back, take a tensor made on the host, or mix devices."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(each.dtype in MASKS for each in tree_leaves(args[1]))
        if name in READS_BACK or by_mask:
            self.seen[f"{func} reads back from the device"] += 1
        if name in MADE_ON_THE_HOST:
            self.seen[f"{func} takes numbers of the host"] += 1
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        if len({tensor.device for tensor in tensors}) > 1:
            self.seen[f"{func} has tensors on two devices"] += 1
        return result


@contextmanager
def torch_watches(device: str) -> Iterator[None]:
    """On a GPU torch raises when the host waits for it."""
    if device != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a device. Fused Adam can run on `meta`, but torch's list of its devices lacks it; here it is added."""
    optimizer = import_module("torch.optim.optimizer")  # no attribute of torch.optim
    devices = [*optimizer._get_fused_kernels_supported_devices(), "meta"]
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: devices)
    return request.param


def make_state(norm: str, device: str, losers: str, rule: str) -> TrainState:
    """`losers` are fake or no fakes; `rule` is that of the conscience. With one, norm batch takes its statistics from a sample, and
    gradients are shortened."""
    model = ModelConfig(experts=4, filters=8, norm=norm, discriminator_filters=2, discriminator_hidden=5)  # pyright: ignore[reportArgumentType]
    if norm == "batch" and rule != "none":
        model = replace(model, statistics="sample")
    config = RunConfig(model=model, conscience=ConscienceConfig(rule=rule, until=1))  # pyright: ignore[reportArgumentType]
    clip = 0.0 if rule == "none" else 0.1
    training = replace(config.training, losers_are_fake=losers != "no fakes", clip=clip)
    config = replace(config, training=training)
    state = init_state(config, generator_for(3, "weights"), torch.device(device), Engine(experts="stacked"))
    start_competition(state, replace(config.identity, start="independent"), generator_for(3, "perturbation"))
    return state


@pytest.mark.parametrize(("losers", "rule"), [("fake", "none"), ("no fakes", "none"), ("fake", "conscience")])
@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_a_step_on_stacked_experts_reads_nothing_back_and_takes_nothing_from_the_host(
    norm: str, rule: str, losers: str, device: str, batch: Batch
) -> None:
    state = make_state(norm, device, losers, rule)
    canonical, transformed = batch.canonical.to(device), batch.transformed.to(device)
    with torch_watches(device), Watch() as watch:
        train_step(state, canonical, transformed)  # in its first step Adam makes its moments
        output = train_step(state, canonical, transformed)
    assert not watch.seen
    assert output.contest.answers.device.type == device
    assert state.step == 2


def test_the_watch_sees_what_it_should() -> None:
    on_host, on_device = torch.arange(3), torch.empty(3, 4, device="meta")
    between: list[tuple[str, Callable[[], object]]] = [
        ("reads back", lambda: on_host.sum().item()),
        ("reads back", lambda: bool(on_host.any())),
        ("reads back", lambda: torch.bincount(on_host)),
        ("reads back", lambda: on_host.nonzero()),
        ("reads back", lambda: torch.nn.functional.one_hot(on_host, 3)),
        ("reads back", lambda: torch.equal(on_host, on_host + 1)),
        ("reads back", lambda: on_host[on_host > 1]),
        ("of the host", lambda: torch.tensor([1, 2])),
        ("of the host", lambda: on_host[[0, 2]]),
        ("two devices", lambda: on_host.to("meta")),
        ("two devices", lambda: on_device[on_host]),
        ("two devices", lambda: on_device[0].copy_(torch.zeros(4))),
    ]
    for expected, operation in between:
        with Watch() as watch:
            operation()
        assert expected in " ".join(watch.seen)
    with Watch() as watch:
        _ = on_host[on_host.argsort()] + torch.arange(3).float().mul(2).sum()
    assert not watch.seen
