"""The networks: N' experts E_j in one bank, and the discriminator D (the paper, section 4).

The bank keeps the experts' weights stacked; axes: expert, then the axes of a convolution. An `Engine` (engine.py) says how
the bank runs them; the answers are the same but for rounding."""

import math
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from icm.method.engine import PLAIN, Engine, precision
from icm.method.parallel import Piece, side_by_side
from icm.shapes import Answers, ImageLogits, Images, Winner

GROUPS = 4  # groups of filters for `norm: group`
BATCH_NORM_MOMENTUM = 0.1  # weight of the newest batch; torch's default, like the next
BATCH_NORM_EPSILON = 1e-5
HIDDEN_LAYERS = 4  # convolutions of an expert before the last one
# On a CPU the discriminator takes 16 images and more in pieces: two, up to eight where each has 16 or more, and more where a piece would
# have over 96, which its cache can hold.
PIECES, USUAL_PIECE, LARGEST_PIECE = 8, 16, 96
LOG2_E = 1 / math.log(2)


class _Elu(torch.autograd.Function):
    """ELU from vectorised primitives: the larger of 2^(min(x, 0) / ln 2) - 1 and x.

    On a CPU 2^x takes half the time of e^x (docs/LOG.md), and all of this takes 0.55 of the time of torch's own ELU. `forward` takes
    the context itself: with `setup_context` torch binds the arguments anew at every call."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        y = torch.mul(x, LOG2_E).clamp_(max=0).exp2_().sub_(1)
        torch.maximum(y, x, out=y)
        ctx.save_for_backward(y)
        return y

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

    torch's own convolution leaves its result in the default memory format, which slows every later layer (docs/LOG.md)."""
    surroundings = functional.unfold(images, 3, padding=1).transpose(1, 2).reshape(-1, 9)
    rows = torch.addmm(bias, surroundings, weight.flatten(1).t())
    return rows.view(len(images), *images.shape[2:], -1).permute(0, 3, 1, 2)


def pieces_of(images: int) -> int:
    """In how many pieces the discriminator takes so many images: an even number, so that two threads end together."""
    if images < USUAL_PIECE:
        return 1
    usual, needed = min(PIECES, images // USUAL_PIECE), math.ceil(images / LARGEST_PIECE)
    return max(2, usual - usual % 2, needed + needed % 2)


def _fan_in_uniform(shape: tuple[int, ...], fan_in: int, generator: Generator) -> nn.Parameter:
    """Uniform between -1/sqrt(fan_in) and 1/sqrt(fan_in), as torch initialises convolutions and dense layers."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


class ExpertBank(nn.Module):
    """N' experts, each a map from images to images: four 3x3 convolutions with ELU, one more to a single channel, a sigmoid."""

    def __init__(
        self,
        experts: int,
        filters: int,
        norm: str,
        generator: Generator,
        engine: Engine = PLAIN,
        others: int | None = None,
        players: int | None = None,
    ) -> None:
        """With norm batch and `others`, winners run again to learn, each on the images it won and so many others.

        With `players` the bank keeps who plays, at first so many experts; without it all do, always."""
        super().__init__()
        self.experts, self.filters, self.norm, self.engine = experts, filters, norm, engine
        self.others = others
        # Mean and 1 / standard deviation of the last batch that was scored, by layer and first expert; for winners that run again.
        self.scored: dict[tuple[int, int | None], tuple[Tensor, Tensor]] = {}
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
            self.running_mean: Tensor  # axes: layer, expert, filter
            self.running_variance: Tensor
            self.register_buffer("running_mean", torch.zeros(HIDDEN_LAYERS, experts, filters))
            self.register_buffer("running_variance", torch.ones(HIDDEN_LAYERS, experts, filters))
        self.playing: Tensor | None
        self.register_buffer("playing", None if players is None else torch.arange(experts) < players)

    @property
    def statistics(self) -> list[Float[Tensor, "layer expert filter"]]:
        """The running means and variances of norm batch."""
        return [self.running_mean, self.running_variance] if self.norm == "batch" else []

    def players(self) -> list[int]:
        """The experts that play, in their order."""
        return list(range(self.experts)) if self.playing is None else self.playing.nonzero()[:, 0].tolist()

    @property
    def winners_again(self) -> bool:
        """Whether the winners run once more, with gradient, to learn; if not, all answers keep their gradient.

        With norm batch an answer depends on the other images of the batch, so that winners run again only with a sample of
        these. To run each winner on its images alone the host must know who won, for which a GPU would have to wait."""
        if self.norm == "batch":
            return self.others is not None
        return self.engine.experts == "loop"

    def forward(self, images: Images, experts: list[int] | None = None) -> Answers:
        """The answers of the named experts, all by default, to every image."""
        one_alone = len(images) == 1 and not self.training  # half the time so (docs/LOG.md)
        if self.engine.experts == "stacked" or one_alone:
            chosen = slice(None) if experts is None else experts
            return self._answers(chosen, [layer[chosen].flatten(0, 1) for layer in self.parameters()], images)
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        named = range(self.experts) if experts is None else experts
        return torch.cat(side_by_side([self._alone(each, stacked, images) for each in named]))

    def answer_as_winner(self, images: Images, winner: Winner, experts: list[int] | None = None) -> Images:
        """The answer to each image of the expert that won it, from a pass of its own, which has a gradient.

        `winner` counts among the named experts, all by default.

        With norm batch it is the answer that was scored: that pass normalises by the statistics of the whole batch, which
        must have been answered just before. Their gradient is estimated from the images that the expert won and the first
        `others` of those that it did not; which ones these are is chance, as the images of a batch are in random order.
        ValueError for norm batch without `others`."""
        if self.norm == "batch" and self.others is None:
            raise ValueError("norm 'batch' mixes the images of a batch: gather the winners from all answers")
        if self.engine.experts == "stacked":
            # All answer all: to run each on its own images the host would have to know who won.
            chosen = slice(None) if experts is None else experts
            parameters = [layer[chosen].flatten(0, 1) for layer in self.parameters()]
            seen = self._seen(winner, self.experts if experts is None else len(experts))
            answers = self._answers(chosen, parameters, images, seen)
            return answers[winner, torch.arange(len(images), device=images.device)]
        stacked = [parameter.unbind(0) for parameter in self.parameters()]
        named = list(range(self.experts)) if experts is None else experts
        order = winner.argsort(stable=True)
        won = torch.bincount(winner, minlength=len(named)).tolist()
        pieces = []
        for place, (each, mine) in enumerate(zip(named, order.split(won))):
            if len(mine):
                beside = (winner != place).nonzero().flatten()[: self.others or 0]
                pieces.append(self._alone(each, stacked, images[torch.cat([mine, beside])], seen="all"))
        answers = side_by_side(pieces)
        winning = [answered[0, :count] for answered, count in zip(answers, filter(None, won))]
        return torch.cat(winning)[order.argsort()]

    def _alone(
        self,
        expert: int,
        stacked: list[tuple[Tensor, ...]],
        images: Images,
        seen: Literal["all"] | None = None,
    ) -> Piece:
        """The answers of one expert, as a piece that may run beside those of others."""
        answers = partial(self._answers_of_one, slice(expert, expert + 1), seen)
        return answers, [images, *(layer[expert] for layer in stacked)]

    def _answers_of_one(
        self, expert: slice, seen: Literal["all"] | None, images: Images, *parameters: Tensor
    ) -> Answers:
        return self._answers(expert, list(parameters), images, seen)

    def _seen(self, winner: Winner, experts: int) -> Float[Tensor, "batch expert"]:
        """1 for an image that an expert runs on to learn: those it won and the first `others` of the rest."""
        lost = winner[:, None] != torch.arange(experts, device=winner.device)
        return (~lost | (lost.cumsum(0) <= (self.others or 0))).to(self.biases[0].dtype)

    def _answers(
        self,
        experts: slice | list[int],
        parameters: list[Tensor],
        images: Images,
        seen: Float[Tensor, "batch expert"] | Literal["all"] | None = None,
    ) -> Answers:
        """The answers of `experts`, whose `parameters` come with expert and filter flattened into one axis.

        `seen` is for a pass in which winners learn: the images through which the statistics of norm batch have a gradient."""
        layers = HIDDEN_LAYERS + 1
        weights, biases = parameters[:layers], parameters[layers : 2 * layers]
        scales, shifts = parameters[2 * layers : 3 * layers - 1], parameters[3 * layers - 1 :]
        groups = len(biases[-1])  # one for each expert: the last layer has one filter each

        with precision(images.device, self.engine):
            x = images
            for layer in range(HIDDEN_LAYERS):
                if layer == 0:
                    x = first_convolution(x, weights[0], biases[0])
                else:
                    x = functional.conv2d(x, weights[layer], biases[layer], padding=1, groups=groups)
                if self.norm != "none":
                    x = self._normalise(x, layer, experts, scales[layer], shifts[layer], seen)
                x = elu(x)
            x = functional.conv2d(x, weights[-1], biases[-1], padding=1, groups=groups)
        return x.to(images.dtype).sigmoid().transpose(0, 1).unsqueeze(2)

    def _normalise(
        self,
        x: Tensor,
        layer: int,
        experts: slice | list[int],
        scale: Tensor,
        shift: Tensor,
        seen: Tensor | Literal["all"] | None,
    ) -> Tensor:
        """Normalises one layer. While training with norm batch it also changes these experts' running mean and variance, but
        not in a pass in which winners learn."""
        if self.norm == "group":
            return functional.group_norm(x, GROUPS * (len(scale) // self.filters), scale, shift)
        place = (layer, experts.start if isinstance(experts, slice) else experts[0])
        if seen == "all":
            return _NormAsScored.apply(x, scale, shift, *self.scored[place])  # pyright: ignore[reportReturnType]
        if isinstance(seen, Tensor):
            return _norm_as_scored(x, scale, shift, *self.scored[place], seen)
        mean, variance = self.running_mean[layer], self.running_variance[layer]
        # A slice gives a view, into which batch_norm writes. A list gives a copy, which is written back below.
        means, variances = mean[experts], variance[experts]
        x, *statistics = torch.native_batch_norm(
            x,
            scale,
            shift,
            means.view(-1),
            variances.view(-1),
            self.training,
            BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
        )
        if self.training and isinstance(experts, list):
            mean[experts], variance[experts] = means, variances
        if self.training and self.others is not None:
            self.scored[place] = (statistics[0], statistics[1])
        return x


class _NormAsScored(torch.autograd.Function):
    """Batch norm by a mean and a standard deviation that are given; their gradient goes through the images of this pass."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, mean, inverse)
        variance = inverse.pow(-2) - BATCH_NORM_EPSILON
        return functional.batch_norm(x, mean, variance, scale, shift, eps=BATCH_NORM_EPSILON)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, scale, mean, inverse = ctx.saved_tensors
        of_all = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scale, None, None, mean, inverse, True, BATCH_NORM_EPSILON, [True, True, True]
        )
        return (*of_all, None, None)


def _norm_as_scored(
    x: Float[Tensor, "batch filters height width"],
    scale: Float[Tensor, " filters"],
    shift: Float[Tensor, " filters"],
    mean: Float[Tensor, " filters"],
    inverse: Float[Tensor, " filters"],
    seen: Float[Tensor, "batch expert"],
) -> Float[Tensor, "batch filters height width"]:
    """`_NormAsScored` for stacked experts, each of which has seen other images of the batch; `filters` are those of all experts.

    What is added to mean and variance is zero and has the gradient of those of the seen images."""
    mean, inverse, scale, shift = (each[:, None, None] for each in (mean, inverse, scale, shift))
    each = seen[:, :, None].expand(-1, -1, len(scale) // seen.shape[1]).flatten(1)[:, :, None, None]
    pixels = each.sum(dim=0).clamp(min=1) * x.shape[2] * x.shape[3]  # 1: an expert may have seen none
    mean_of_seen = (x * each).sum(dim=(0, 2, 3), keepdim=True)[0] / pixels
    variance_of_seen = ((x - mean).square() * each).sum(dim=(0, 2, 3), keepdim=True)[0] / pixels
    mean = mean + mean_of_seen - mean_of_seen.detach()
    variance = inverse.pow(-2) + variance_of_seen - variance_of_seen.detach()
    return (x - mean) * (scale * variance.rsqrt()) + shift


class Discriminator(nn.Module):
    """One logit for each image: convolutions with ELU at three resolutions, average pooling after each, two dense layers."""

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
        self.dense = nn.Linear(widths[-1] * (image_size // 8) ** 2, hidden)  # 8: pooled three times
        self.logit = nn.Linear(hidden, 1)
        for layer in (*convolutions, self.dense, self.logit):
            fan_in = layer.weight[0].numel()
            layer.weight = _fan_in_uniform(tuple(layer.weight.shape), fan_in, generator)
            layer.bias = _fan_in_uniform((len(layer.weight),), fan_in, generator)
        self.to(memory_format=torch.channels_last)  # the format that their gradients have

    def forward(self, images: Images, learns: bool = True) -> ImageLogits:
        """The logits. They have a gradient in the images and, if D `learns` from it, in its weights."""
        layers = [layer if learns else layer.detach() for layer in self.parameters()]
        if images.device.type != "cpu":
            return self._logits(images, *layers)
        parts = images.tensor_split(pieces_of(len(images)))
        return torch.cat(side_by_side([(self._logits, [part, *layers]) for part in parts]))

    def _logits(self, images: Images, *layers: Tensor) -> ImageLogits:
        """`layers`: weight and bias of each layer, as `parameters` gives them."""
        *convolutions, dense, logit = zip(layers[::2], layers[1::2], strict=True)
        with precision(images.device, self.engine):
            x = images
            for index, (weight, bias) in enumerate(convolutions):
                x = (
                    functional.conv2d(x, weight, bias, padding=1)
                    if index
                    else first_convolution(x, weight, bias)
                )
                x = elu(x)
                if index in (2, 4, 6):
                    x = functional.avg_pool2d(x, 2)
            x = elu(functional.linear(x.flatten(1), *dense))
        return functional.linear(x.to(images.dtype), *logit).squeeze(1)
