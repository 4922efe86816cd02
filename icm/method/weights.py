"""The networks' weights as named arrays: taken out of the networks, and put back once they are known to fit."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from icm.errors import ActionableError
from icm.method.networks import Discriminator, ExpertBank


class UnfitWeights(ActionableError):
    """Weights that were written for other networks, or that are no weights."""


def named_weights(experts: ExpertBank, discriminator: Discriminator) -> dict[str, Tensor]:
    """The tensors of the networks, under their names on disk. They are the networks' own, not copies."""
    return {
        **{f"experts.{name}": value for name, value in experts.state_dict().items()},
        **{f"discriminator.{name}": value for name, value in discriminator.state_dict().items()},
    }


def weights(experts: ExpertBank, discriminator: Discriminator) -> dict[str, np.ndarray]:
    """The networks as arrays, as a snapshot keeps them."""
    return {name: value.cpu().numpy().copy() for name, value in named_weights(experts, discriminator).items()}


def load_weights(experts: ExpertBank, discriminator: Discriminator, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes the networks: puts back what `weights` returned, also if it was stored in half precision.

    UnfitWeights when an array is missing, is one too many or does not fit; then nothing is changed."""
    places = named_weights(experts, discriminator)
    if wrong := misfit(arrays, places, halves=True):
        raise UnfitWeights(f"the weights do not fit these networks: {wrong}; take another snapshot")
    for name, place in places.items():
        place.copy_(torch.from_numpy(arrays[name]))


def misfit(
    arrays: Mapping[str, np.ndarray], places: Mapping[str, Tensor], halves: bool = False
) -> str | None:
    """The first reason why these arrays cannot be copied into the tensors of the same names; None if there is none.

    A number that is not finite is a reason: networks that hold one give no answer and never learn again."""
    if missing := [name for name in places if name not in arrays]:
        return f"{missing[0]} is missing"
    if extra := [name for name in arrays if name not in places]:
        return f"{extra[0]} belongs nowhere"
    for name, place in places.items():
        values, shape = arrays[name], tuple(place.shape)
        dtype = np.dtype(str(place.dtype).removeprefix("torch."))
        floats = values.dtype.kind == "f"
        if values.shape != shape:
            return f"{name} has shape {values.shape} where {shape} belongs"
        if values.dtype != dtype and not (halves and values.dtype == np.float16):
            return f"{name} is of {values.dtype} where {dtype} belongs"
        if floats and not np.isfinite(values).all():
            return f"{name} has numbers that are not finite"
    return None
