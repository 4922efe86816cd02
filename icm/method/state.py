"""What training changes: networks, optimisers and counters. Here they become arrays for the disk, and come back from them.

On disk `TrainState.can_copy` is named `copies`. Axes: expert, batch, channel, height, width."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.method.adam import BETAS, EPSILON, ExpertAdam
from icm.method.engine import PLAIN, Engine
from icm.method.networks import Discriminator, ExpertBank
from icm.method.weights import misfit, named_weights


@dataclass
class TrainState:
    """All that training changes. Together with the configuration it decides how the run goes on."""

    experts: ExpertBank
    discriminator: Discriminator
    expert_adam: ExpertAdam
    discriminator_adam: torch.optim.Adam
    losers_are_fake: bool
    can_copy: Bool[Tensor, " expert"]  # experts whose identity initialisation is over
    copy_error: Float[Tensor, " expert"]  # running mean of each one's squared error; starts at 1
    identity_steps: int = 0  # steps of the identity phase done
    competing: bool = False
    step: int = 0  # steps of the competition done

    @property
    def device(self) -> torch.device:
        return self.can_copy.device


def init_state(
    config: RunConfig, generator: Generator, device: torch.device, engine: Engine = PLAIN
) -> TrainState:
    """Fresh networks and optimisers. `generator` is on the CPU, so the weights are the same on every device."""
    model = config.model
    experts = ExpertBank(model.experts, model.filters, model.norm, generator, engine=engine).to(device)
    discriminator = Discriminator(
        model.discriminator_filters, model.discriminator_hidden, generator, engine=engine
    ).to(device)
    can_copy = torch.zeros(model.experts, dtype=torch.bool, device=device)
    if config.identity.start == "shared":
        can_copy[1:] = True  # only the first expert trains; the others get its weights
    return TrainState(
        experts=experts,
        discriminator=discriminator,
        expert_adam=ExpertAdam(list(experts.parameters()), config.training.learning_rate),
        discriminator_adam=torch.optim.Adam(
            discriminator.parameters(),
            lr=config.training.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            # Fused Adam keeps its clock on the device and reads nothing back. The plain one stays elsewhere: it rounds as before.
            fused=engine.experts == "stacked",
        ),
        losers_are_fake=config.training.losers_are_fake,
        can_copy=can_copy,
        copy_error=torch.ones(model.experts, device=device),
    )


class UnfitState(ActionableError):
    """Arrays that cannot be a state of this run, although their file is whole."""


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Everything that a resume needs: weights, both optimisers, counters."""
    arrays = {name: tensor.cpu().numpy().copy() for name, tensor in _tensors(state).items()}
    for index, moments in state.discriminator_adam.state_dict()["state"].items():
        for name, value in moments.items():
            arrays[f"discriminator_adam.{index}.{name}"] = value.cpu().numpy().copy()
    arrays["counters"] = np.array([state.identity_steps, int(state.competing), state.step], dtype=np.int64)
    return arrays


@torch.no_grad()
def load_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes `state`: puts back what `to_arrays` returned. UnfitState when the arrays do not fit; then nothing is changed."""
    check_arrays(state, arrays)
    for name, tensor in _tensors(state).items():
        tensor.copy_(torch.from_numpy(arrays[name]))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, place in _moments(state).items():
        if name in arrays:
            _, index, moment = name.split(".")
            # In the parameter's memory format, as Adam makes it: fused Adam pairs numbers by place in memory, not by index.
            value = torch.empty_like(place).copy_(torch.from_numpy(arrays[name]).view(place.shape))
            moments.setdefault(int(index), {})[moment] = value
    groups = state.discriminator_adam.state_dict()["param_groups"]
    state.discriminator_adam.load_state_dict({"state": moments, "param_groups": groups})
    state.identity_steps, competing, state.step = (int(value) for value in arrays["counters"])
    state.competing = bool(competing)


def check_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """UnfitState with the first reason why `load_arrays` could not take the arrays.

    Arrays named `window.…` are not looked at: icm/runs/records.py checks them."""
    own = {name: values for name, values in arrays.items() if not name.startswith("window.")}
    places = {**_tensors(state), "counters": torch.zeros(3, dtype=torch.int64)}
    moments = _moments(state)
    if any(name.startswith("discriminator_adam.") for name in own):  # Adam has none before its first step
        places |= moments
    for name in moments:
        if name.endswith(".step") and name in own and own[name].shape == (1,):
            own[name] = own[name].reshape(())  # a file gives a single number an axis
    if wrong := misfit(own, places):
        raise UnfitState(wrong)
    identity_steps, competing, step = own["counters"].tolist()
    if min(identity_steps, step) < 0 or competing not in (0, 1):
        raise UnfitState(f"counters are {identity_steps}, {competing}, {step}: no steps that were ever done")
    if step > 0 and places.keys().isdisjoint(moments):
        raise UnfitState(f"{next(iter(moments))} is missing though the competition has begun")


def _tensors(state: TrainState) -> dict[str, Tensor]:
    """The tensors that every state has, under their names on disk. They are the state's own, not copies."""
    adam = state.expert_adam
    return {
        **named_weights(state.experts, state.discriminator),
        **{f"expert_adam.mean.{index}": mean for index, mean in enumerate(adam.mean)},
        **{f"expert_adam.square.{index}": square for index, square in enumerate(adam.square)},
        "expert_adam.clock": adam.clock,
        "copies": state.can_copy,
        "copy_error": state.copy_error,
    }


def _moments(state: TrainState) -> dict[str, Tensor]:
    """What the discriminator's Adam has from its first step on: the name of each tensor, and another one of the same shape."""
    named: dict[str, Tensor] = {}
    for index, parameter in enumerate(state.discriminator.parameters()):
        for moment in ("exp_avg", "exp_avg_sq"):
            named[f"discriminator_adam.{index}.{moment}"] = parameter.detach()
        named[f"discriminator_adam.{index}.step"] = torch.zeros(())
    return named
