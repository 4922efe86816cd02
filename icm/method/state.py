"""What training changes: networks, optimisers and counters. Here they become arrays for the disk, and come back from them.

On disk `TrainState.can_copy` is named `copies`. Axes: expert, batch, channel, height, width."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from icm.config import ConscienceConfig, RunConfig, TrainingConfig
from icm.errors import ActionableError
from icm.method.adam import DiscriminatorAdam, ExpertAdam
from icm.method.engine import PLAIN, Engine
from icm.method.networks import Discriminator, ExpertBank
from icm.method.roster import Roster
from icm.method.weights import misfit, named_weights

MOMENTS = "discriminator_adam."  # how the names on disk begin of what the discriminator's Adam keeps


@dataclass
class TrainState:
    """All that training changes. Together with the configuration it decides how the run goes on."""

    experts: ExpertBank
    discriminator: Discriminator
    expert_adam: ExpertAdam
    discriminator_adam: DiscriminatorAdam
    training: TrainingConfig
    conscience: ConscienceConfig
    can_copy: Bool[Tensor, " expert"]  # experts whose identity initialisation is over
    copy_error: Float[Tensor, " expert"]  # running mean of each one's squared error; starts at 1
    bias: Float[Tensor, " expert"]  # what the conscience adds to each one's logits
    roster: Roster | None = None  # None when it is fixed: all experts play
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
    others = model.others if model.statistics == "sample" else None
    experts = ExpertBank(
        model.experts,
        model.filters,
        model.norm,
        generator,
        engine=engine,
        others=others,
        players=players_at_first(config),
    ).to(device)
    discriminator = Discriminator(
        model.discriminator_filters, model.discriminator_hidden, generator, engine=engine
    ).to(device)
    can_copy = torch.zeros(model.experts, dtype=torch.bool, device=device)
    if config.identity.start == "shared":
        can_copy[1:] = True  # only the first expert trains; the others get its weights
    return TrainState(
        experts=experts,
        discriminator=discriminator,
        expert_adam=ExpertAdam(list(experts.parameters())),
        discriminator_adam=DiscriminatorAdam(
            list(discriminator.parameters()),
            fused=engine.experts == "stacked",
        ),
        training=config.training,
        conscience=config.conscience,
        can_copy=can_copy,
        copy_error=torch.ones(model.experts, device=device),
        bias=torch.zeros(model.experts, device=device),
        roster=Roster.of(config.roster, experts) if config.roster.rule == "open" else None,
    )


def players_at_first(config: RunConfig) -> int | None:
    """How many experts an open roster begins with; None for a fixed one."""
    return config.roster.start if config.roster.rule == "open" else None


class UnfitState(ActionableError):
    """Arrays that cannot be a state of this run, although their file is whole."""


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Everything that a resume needs: weights, both optimisers, counters."""
    arrays = {name: tensor.cpu().numpy().copy() for name, tensor in _tensors(state).items()}
    counters = [state.identity_steps, int(state.competing), state.step]
    counters += state.roster.counters() if state.roster else []
    arrays["counters"] = np.array(counters, dtype=np.int64)
    return arrays


@torch.no_grad()
def load_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes `state`: puts back what `to_arrays` returned. UnfitState when the arrays do not fit; then nothing is changed."""
    check_arrays(state, arrays)
    state.discriminator_adam.reset()
    for name, tensor in _tensors(state).items():
        if name in arrays:
            tensor.copy_(torch.from_numpy(arrays[name]).view(tensor.shape))
    state.identity_steps, competing, state.step, *of_roster = arrays["counters"].tolist()
    state.competing = bool(competing)
    if state.roster:
        state.roster.changed, state.roster.hires, state.roster.in_vain = of_roster
        state.roster.players = state.experts.players()


def check_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> None:
    """UnfitState with the first reason why `load_arrays` could not take the arrays.

    Arrays named `window.…` are not looked at: icm/runs/records.py checks them. The moments of the discriminator's Adam may
    be missing before its first step, when they are zero; earlier versions wrote none then."""
    own = {name: values for name, values in arrays.items() if not name.startswith("window.")}
    counters = torch.zeros(6 if state.roster else 3, dtype=torch.int64)
    places = {**_tensors(state), "counters": counters}
    moments = {name for name in places if name.startswith(MOMENTS)}
    for name in moments:
        if name.endswith(".step") and name in own and own[name].shape == (1,):
            own[name] = own[name].reshape(())  # a file gives a single number an axis
    without = not any(name.startswith(MOMENTS) for name in own)
    expected = {name: place for name, place in places.items() if not (without and name in moments)}
    if wrong := misfit(own, expected):
        raise UnfitState(wrong)
    identity_steps, competing, step, *of_roster = own["counters"].tolist()
    if min(identity_steps, step, *of_roster, 0) < 0 or competing not in (0, 1):
        raise UnfitState(f"counters are {identity_steps}, {competing}, {step}: no steps that were ever done")
    if state.roster and not own["experts.playing"].any():
        raise UnfitState("experts.playing has nobody who plays")
    if step > 0 and without:
        raise UnfitState(f"{min(moments)} is missing though the competition has begun")


def _tensors(state: TrainState) -> dict[str, Tensor]:
    """The tensors of the state under their names on disk. They are the state's own, not copies."""
    experts, discriminator = state.expert_adam, state.discriminator_adam
    return {
        **named_weights(state.experts, state.discriminator),
        **{f"expert_adam.mean.{index}": mean for index, mean in enumerate(experts.mean)},
        **{f"expert_adam.square.{index}": square for index, square in enumerate(experts.square)},
        "expert_adam.clock": experts.clock,
        **{f"{MOMENTS}{index}.exp_avg": mean for index, mean in enumerate(discriminator.mean)},
        **{f"{MOMENTS}{index}.exp_avg_sq": square for index, square in enumerate(discriminator.square)},
        **{f"{MOMENTS}{index}.step": clock for index, clock in enumerate(discriminator.clock)},
        "copies": state.can_copy,
        "copy_error": state.copy_error,
        **({"bias": state.bias} if state.conscience.rule == "conscience" else {}),
        **(_roster_tensors(state.roster) if state.roster else {}),
    }


def _roster_tensors(roster: Roster) -> dict[str, Tensor]:
    return {
        "roster.since": roster.since,
        "roster.share": roster.share,
        "roster.twinned": roster.twinned,
        "roster.seen": roster.seen,
        **{f"roster.newcomer.{index}": values for index, values in enumerate(roster.newcomer)},
    }
