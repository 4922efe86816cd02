"""The networks: N' experts E_j in one bank, and the discriminator D (the paper, section 4).

The bank keeps the experts' weights stacked, axes: expert, then the axes of a convolution. How it runs them inside is
its own business: a plain loop over experts in channels-last memory (docs/LOG.md)."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from icm.shapes import Answers, ImageLogits, Images, Winner

GROUPS = 4  # of `norm: group`
BATCH_NORM_MOMENTUM = 0.1
HIDDEN_LAYERS = 4  # convolutions of an expert before the last one


class _Elu(torch.autograd.Function):
    """ELU from vectorised primitives: exp(min(x, 0)) - 1, raised to x where x is larger.

    1.6 times as fast as torch's own kernel on a CPU (docs/LOG.md)."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        y = torch.clamp(x, max=0).exp_().sub_(1)
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
    return _Elu.apply(x)  # pyright: ignore[reportReturnType]


def _fan_in_uniform(shape: tuple[int, ...], fan_in: int, generator: Generator) -> nn.Parameter:
    """Uniform within 1/sqrt(fan-in), which is what torch gives convolutions and dense layers."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


class ExpertBank(nn.Module):
    """N' experts, images to images: four 3x3 convolutions with ELU, one more to a single channel, a sigmoid."""

    def __init__(self, experts: int, filters: int, norm: str, generator: Generator) -> None:
        super().__init__()
        self.experts, self.norm = experts, norm
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
        """Whether an answer depends on the other images of the batch; then winners cannot be re-run alone."""
        return self.norm == "batch"

    def forward(self, images: Images, experts: list[int] | None = None) -> Answers:
        """The answers of the named experts, all by default, to every image."""
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        chosen = range(self.experts) if experts is None else experts
        images = images.contiguous(memory_format=torch.channels_last)
        return torch.stack([self._answer(expert, stacked, images) for expert in chosen])

    def answer_as_winner(self, images: Images, winner: Winner) -> Images:
        """Each image through the expert that won it, and through no other; not for a bank that mixes images."""
        if self.mixes_images:
            raise ValueError("norm 'batch' mixes the images of a batch: gather the winners from all answers")
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        order = winner.argsort(stable=True)
        won = torch.bincount(winner, minlength=self.experts).tolist()
        parts = images[order].split(won)
        answers = [self._answer(expert, stacked, part) for expert, part in enumerate(parts) if len(part)]
        return torch.cat(answers)[order.argsort()]

    def _answer(self, expert: int, stacked: list[tuple[Tensor, ...]], images: Images) -> Images:
        layers = HIDDEN_LAYERS + 1
        weights, biases = stacked[:layers], stacked[layers : 2 * layers]
        scales, shifts = stacked[2 * layers : 3 * layers - 1], stacked[3 * layers - 1 :]

        x = images.contiguous(memory_format=torch.channels_last)
        for layer in range(HIDDEN_LAYERS):
            x = functional.conv2d(x, weights[layer][expert], biases[layer][expert], padding=1)
            if self.norm != "none":
                x = self._normalise(x, layer, expert, scales[layer][expert], shifts[layer][expert])
            x = elu(x)
        return functional.conv2d(x, weights[-1][expert], biases[-1][expert], padding=1).sigmoid()

    def _normalise(self, x: Tensor, layer: int, expert: int, scale: Tensor, shift: Tensor) -> Tensor:
        if self.norm == "group":
            return functional.group_norm(x, GROUPS, scale, shift)
        return functional.batch_norm(
            x,
            self.running_mean[layer, expert],
            self.running_variance[layer, expert],
            scale,
            shift,
            training=self.training,
            momentum=BATCH_NORM_MOMENTUM,
        )


class Discriminator(nn.Module):
    """One logit an image: convolutions with ELU at three resolutions, average pooling between, two dense layers."""

    def __init__(self, filters: int, hidden: int, generator: Generator, image_size: int = 32) -> None:
        super().__init__()
        widths = [1, filters, filters, filters, 2 * filters, 2 * filters, 4 * filters, 4 * filters]
        convolutions = [nn.Conv2d(fan_in, fan_out, 3, padding=1) for fan_in, fan_out in pairwise(widths)]
        self.convolutions = nn.ModuleList(convolutions)
        self.dense = nn.Linear(widths[-1] * (image_size // 8) ** 2, hidden)
        self.logit = nn.Linear(hidden, 1)
        for layer in (*convolutions, self.dense, self.logit):
            fan_in = layer.weight[0].numel()
            layer.weight = _fan_in_uniform(tuple(layer.weight.shape), fan_in, generator)
            layer.bias = _fan_in_uniform((len(layer.weight),), fan_in, generator)

    def forward(self, images: Images) -> ImageLogits:
        x = images.contiguous(memory_format=torch.channels_last)
        for index, convolution in enumerate(self.convolutions):
            x = elu(convolution(x))
            if index in (2, 4, 6):
                x = functional.avg_pool2d(x, 2)
        return self.logit(elu(self.dense(x.flatten(1)))).squeeze(1)


def weights(experts: ExpertBank, discriminator: Discriminator) -> dict[str, np.ndarray]:
    """The networks as arrays, as a snapshot keeps them."""
    named = {
        **{f"experts.{name}": value for name, value in experts.state_dict().items()},
        **{f"discriminator.{name}": value for name, value in discriminator.state_dict().items()},
    }
    return {name: value.cpu().numpy().copy() for name, value in named.items()}


def load_weights(experts: ExpertBank, discriminator: Discriminator, arrays: Mapping[str, np.ndarray]) -> None:
    """Changes the networks: the mirror image of `weights`; arrays of other names are left alone."""
    for prefix, module in (("experts.", experts), ("discriminator.", discriminator)):
        values = {
            name.removeprefix(prefix): torch.from_numpy(value)
            for name, value in arrays.items()
            if name.startswith(prefix)
        }
        module.load_state_dict(values)


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU when there is one. RuntimeError when it is not here."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(each for each, here in available.items() if here))
    if not available[name]:
        raise RuntimeError(f"device {name!r} is not available here; use --device auto or cpu")
    return torch.device(name)
