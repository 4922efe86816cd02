"""The networks: N' experts E_j in one bank, and the discriminator D (the paper, section 4).

The bank keeps the experts' weights stacked, axes: expert, then the axes of a convolution. How it runs them is said by an
`Engine`, chosen once by `choose_engine`: on a CPU one expert after the other in channels-last memory, on a GPU all
at once as grouped convolutions (docs/LOG.md). The answers are the same."""

import math
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from icm.errors import ActionableError
from icm.shapes import Answers, ImageLogits, Images, Winner

GROUPS = 4  # of `norm: group`
BATCH_NORM_MOMENTUM = 0.1
HIDDEN_LAYERS = 4  # convolutions of an expert before the last one
PIECE = (
    96  # images that a CPU takes through the discriminator at once; more fall out of its cache (docs/LOG.md)
)
LOG2_E = 1 / math.log(2)
FORCE_BFLOAT16 = "ICM_BFLOAT16"  # environment variable, `on` or `off`: a CPU is not timed but told


class _Elu(torch.autograd.Function):
    """ELU from vectorised primitives: 2^(min(x, 0) / ln 2) - 1, raised to x where x is larger.

    On a CPU 2^x takes half the time of e^x, and the whole 0.55 of torch's own ELU (docs/LOG.md)."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        y = torch.mul(x, LOG2_E).clamp_(max=0).exp2_().sub_(1)
        return torch.maximum(y, x, out=y)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (y,) = ctx.saved_tensors
        return torch.clamp(y, max=0).add_(1).mul_(gradient)


def elu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x where positive, exp(x) - 1 elsewhere; differentiable once."""
    if x.device.type != "cpu":
        return functional.elu(x)
    return _Elu.apply(x)  # pyright: ignore[reportReturnType]


def first_convolution(
    images: Images, weight: Float[Tensor, "filter 1 3 3"], bias: Float[Tensor, " filter"]
) -> Float[Tensor, "batch filter height width"]:
    """A 3x3 convolution of images of one channel, as a matrix product whose result lies channels-last.

    torch's own leaves the result in the default memory format, in which every layer after it is slower (docs/LOG.md)."""
    surroundings = functional.unfold(images, 3, padding=1).transpose(1, 2).reshape(-1, 9)
    rows = torch.addmm(bias, surroundings, weight.flatten(1).t())
    return rows.view(len(images), *images.shape[2:], -1).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Engine:
    """How the networks are computed; which numbers they compute is the same but for rounding."""

    experts: Literal["loop", "stacked"] = "loop"
    """One expert after the other, or all at once in grouped convolutions."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the convolutions; weights, losses and optimisers are float32."""
    deterministic: bool = True
    """Whether the same step gives the same numbers to the last bit."""


PLAIN = Engine()


def choose_engine(device: torch.device, arithmetic: str) -> Engine:
    """What is fastest on this device within `arithmetic`, exact or fast (docs/LOG.md)."""
    fast = arithmetic == "fast"
    if device.type == "cpu":
        dtype = "bfloat16" if fast and _takes_bfloat16() else "float32"
        return Engine(experts="loop", dtype=dtype)
    return Engine(experts="stacked", deterministic=not fast)


def set_arithmetic(engine: Engine, device: torch.device) -> None:
    """Tells torch, for the whole process, what the engine allows on a GPU."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
        torch.use_deterministic_algorithms(engine.deterministic)
        torch.backends.cudnn.benchmark = not engine.deterministic
        precision = "ieee" if engine.deterministic else "tf32"
        torch.backends.cudnn.conv.fp32_precision = precision  # pyright: ignore[reportAttributeAccessIssue]
        torch.backends.cuda.matmul.fp32_precision = precision


def _takes_bfloat16() -> bool:
    """Whether this CPU convolves in bfloat16: as ICM_BFLOAT16 says, or where it is faster."""
    forced = os.environ.get(FORCE_BFLOAT16, "")
    if forced == "":
        return _bfloat16_is_faster()
    if forced not in ("on", "off"):
        raise DeviceError(f"{FORCE_BFLOAT16}={forced!r} says neither on nor off: set it to one or unset it")
    return forced == "on"


def _bfloat16_is_faster() -> bool:
    """Whether this CPU convolves in bfloat16 in under 0.8 of the time of float32, timed."""
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


def _fan_in_uniform(shape: tuple[int, ...], fan_in: int, generator: Generator) -> nn.Parameter:
    """Uniform within 1/sqrt(fan-in), which is what torch gives convolutions and dense layers."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


def _precision(device: torch.device, engine: Engine) -> AbstractContextManager:
    """Entered for each forward pass: a region open across an optimiser's step would keep stale weights."""
    return torch.autocast(device.type, torch.bfloat16) if engine.dtype == "bfloat16" else nullcontext()


class ExpertBank(nn.Module):
    """N' experts, images to images: four 3x3 convolutions with ELU, one more to a single channel, a sigmoid."""

    def __init__(
        self, experts: int, filters: int, norm: str, generator: Generator, engine: Engine = PLAIN
    ) -> None:
        super().__init__()
        self.experts, self.filters, self.norm, self.engine = experts, filters, norm, engine
        widths = [1, *[filters] * HIDDEN_LAYERS, 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in pairwise(widths):
            self.weights.append(_fan_in_uniform((experts, fan_out, fan_in, 3, 3), 9 * fan_in, generator))
            self.biases.append(_fan_in_uniform((experts, fan_out), 9 * fan_in, generator))

        self.scales, self.shifts = nn.ParameterList(), nn.ParameterList()
        if norm != "none":
            for _ in range(HIDDEN_LAYERS):
                self.scales.append(nn.Parameter(torch.ones(experts, filters)))
                self.shifts.append(nn.Parameter(torch.zeros(experts, filters)))
        if norm == "batch":
            self.running_mean: Tensor  # layer expert filter
            self.running_variance: Tensor
            self.register_buffer("running_mean", torch.zeros(HIDDEN_LAYERS, experts, filters))
            self.register_buffer("running_variance", torch.ones(HIDDEN_LAYERS, experts, filters))

    @property
    def mixes_images(self) -> bool:
        """Whether an answer depends on the other images of the batch."""
        return self.norm == "batch"

    @property
    def winners_alone(self) -> bool:
        """Whether each winner is run again alone to learn; else all answers keep their gradient.

        Running winners alone needs to know on the host who won. A GPU would have to wait for that at every step."""
        return self.engine.experts == "loop" and not self.mixes_images

    def forward(self, images: Images, experts: list[int] | None = None) -> Answers:
        """The answers of the named experts, all by default, to every image."""
        if self.engine.experts == "stacked" or len(images) == 1:  # one drawing: half the time (docs/LOG.md)
            chosen = slice(None) if experts is None else experts
            return self._answers(chosen, [layer[chosen].flatten(0, 1) for layer in self.parameters()], images)
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        answers = [
            self._answers(slice(each, each + 1), [layer[each] for layer in stacked], images)
            for each in (range(self.experts) if experts is None else experts)
        ]
        return torch.cat(answers)

    def answer_as_winner(self, images: Images, winner: Winner) -> Images:
        """Each image through the expert that won it, and through no other; not for a bank that mixes images."""
        if self.mixes_images:
            raise ValueError("norm 'batch' mixes the images of a batch: gather the winners from all answers")
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        order = winner.argsort(stable=True)
        won = torch.bincount(winner, minlength=self.experts).tolist()
        answers = [
            self._answers(slice(each, each + 1), [layer[each] for layer in stacked], part)[0]
            for each, part in enumerate(images[order].split(won))
            if len(part)
        ]
        return torch.cat(answers)[order.argsort()]

    def _answers(self, experts: slice | list[int], parameters: list[Tensor], images: Images) -> Answers:
        """The answers of these experts, whose parameters are flattened: expert and filter are one axis."""
        layers = HIDDEN_LAYERS + 1
        weights, biases = parameters[:layers], parameters[layers : 2 * layers]
        scales, shifts = parameters[2 * layers : 3 * layers - 1], parameters[3 * layers - 1 :]
        groups = len(biases[-1])  # experts: the last layer has one filter for each

        with _precision(images.device, self.engine):
            x = images
            for layer in range(HIDDEN_LAYERS):
                if layer == 0:
                    x = first_convolution(x, weights[0], biases[0])
                else:
                    x = functional.conv2d(x, weights[layer], biases[layer], padding=1, groups=groups)
                if self.norm != "none":
                    x = self._normalise(x, layer, experts, scales[layer], shifts[layer])
                x = elu(x)
            x = functional.conv2d(x, weights[-1], biases[-1], padding=1, groups=groups)
        return x.to(images.dtype).sigmoid().transpose(0, 1).unsqueeze(2)

    def _normalise(
        self, x: Tensor, layer: int, experts: slice | list[int], scale: Tensor, shift: Tensor
    ) -> Tensor:
        """Changes, while training with norm batch, what these experts remember of mean and variance."""
        if self.norm == "group":
            return functional.group_norm(x, GROUPS * (len(scale) // self.filters), scale, shift)
        mean, variance = self.running_mean[layer], self.running_variance[layer]
        # A slice is a view, which batch_norm writes into; a list of experts is a copy to be written back.
        means, variances = mean[experts], variance[experts]
        x = functional.batch_norm(
            x,
            means.view(-1),
            variances.view(-1),
            scale,
            shift,
            training=self.training,
            momentum=BATCH_NORM_MOMENTUM,
        )
        if self.training and isinstance(experts, list):
            mean[experts], variance[experts] = means, variances
        return x


class Discriminator(nn.Module):
    """One logit an image: convolutions with ELU at three resolutions, average pooling between, two dense layers."""

    def __init__(
        self,
        filters: int,
        hidden: int,
        generator: Generator,
        image_size: int = 32,
        engine: Engine = PLAIN,
    ) -> None:
        super().__init__()
        self.engine = engine
        widths = [1, filters, filters, filters, 2 * filters, 2 * filters, 4 * filters, 4 * filters]
        convolutions = [nn.Conv2d(fan_in, fan_out, 3, padding=1) for fan_in, fan_out in pairwise(widths)]
        self.convolutions = nn.ModuleList(convolutions)
        self.dense = nn.Linear(widths[-1] * (image_size // 8) ** 2, hidden)
        self.logit = nn.Linear(hidden, 1)
        for layer in (*convolutions, self.dense, self.logit):
            fan_in = layer.weight[0].numel()
            layer.weight = _fan_in_uniform(tuple(layer.weight.shape), fan_in, generator)
            layer.bias = _fan_in_uniform((len(layer.weight),), fan_in, generator)
        self.to(memory_format=torch.channels_last)  # as their gradients lie

    def forward(self, images: Images) -> ImageLogits:
        piece = PIECE if images.device.type == "cpu" else len(images)
        return torch.cat([self._logits(part) for part in images.split(piece)])

    def _logits(self, images: Images) -> ImageLogits:
        with _precision(images.device, self.engine):
            x = images
            for index, convolution in enumerate(self.convolutions):
                assert isinstance(convolution, nn.Conv2d)
                assert convolution.bias is not None
                x = elu(
                    convolution(x) if index else first_convolution(x, convolution.weight, convolution.bias)
                )
                if index in (2, 4, 6):
                    x = functional.avg_pool2d(x, 2)
            x = elu(self.dense(x.flatten(1)))
        return self.logit(x.to(images.dtype)).squeeze(1)


class UnfitWeights(ActionableError):
    """Weights that were written for other networks, or that are no weights."""


def named_weights(experts: ExpertBank, discriminator: Discriminator) -> dict[str, Tensor]:
    """The tensors of the networks, not copies, under the names that their arrays have on disk."""
    return {
        **{f"experts.{name}": value for name, value in experts.state_dict().items()},
        **{f"discriminator.{name}": value for name, value in discriminator.state_dict().items()},
    }


def weights(experts: ExpertBank, discriminator: Discriminator) -> dict[str, np.ndarray]:
    """The networks as arrays, as a snapshot keeps them."""
    return {name: value.cpu().numpy().copy() for name, value in named_weights(experts, discriminator).items()}


def load_weights(experts: ExpertBank, discriminator: Discriminator, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes the networks: the mirror image of `weights`, whole or in half precision.

    UnfitWeights, and nothing is changed, when the arrays are not all that these networks have, and nothing else."""
    places = named_weights(experts, discriminator)
    if wrong := misfit(arrays, places, halves=True):
        raise UnfitWeights(f"the weights do not fit these networks: {wrong}; take another snapshot")
    for name, place in places.items():
        place.copy_(torch.from_numpy(arrays[name]))


def misfit(
    arrays: Mapping[str, np.ndarray], places: Mapping[str, Tensor], halves: bool = False
) -> str | None:
    """What keeps these arrays from being copied into the tensors of the same names, the first reason; None if nothing does.

    A number that is not finite does: networks that hold one give no answer and never learn again."""
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


class DeviceError(ActionableError):
    """A device that is not here, or a wish for one that cannot be understood."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU when there is one. DeviceError when it is not here."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(each for each, here in available.items() if here))
    if not available[name]:
        raise DeviceError(f"device {name!r} is not available here; use --device auto or cpu")
    return torch.device(name)
