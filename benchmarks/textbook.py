"""The algorithm as one would first write it down: a list of experts, each a plain nn.Module with nn.BatchNorm2d and nn.ELU, each
with an optimiser of its own; every expert answers every image with gradient; float32, default memory format.

benchmarks/training.py measures against it and tests/test_engines.py compares with it. The package uses no line of it;
of the package it takes the sizes of the networks, and the weights where it is to start from ours."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from icm.config import ModelConfig
from icm.method.networks import ExpertBank

NORMS: dict[str, Callable[[int], list[nn.Module]]] = {
    "none": lambda filters: [],
    "group": lambda filters: [nn.GroupNorm(4, filters)],
    "batch": lambda filters: [nn.BatchNorm2d(filters)],
}


class Expert(nn.Module):
    """The paper's expert: image to image, batch channel height width."""

    def __init__(self, filters: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(4):
            layers += [nn.Conv2d(channels, filters, 3, padding=1)]
            layers += NORMS[norm](filters)
            layers += [nn.ELU()]
            channels = filters
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters, 1, 3, padding=1), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Discriminator(nn.Module):
    """The paper's discriminator: image to logit."""

    def __init__(self, filters: int, hidden: int) -> None:
        super().__init__()
        widths = [filters] * 3 + [2 * filters] * 2 + [4 * filters] * 2
        layers: list[nn.Module] = []
        channels = 1
        for index, width in enumerate(widths):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ELU()]
            layers += [nn.AvgPool2d(2)] if index in (2, 4, 6) else []
            channels = width
        # 4 x 4: 32 x 32 pixels, pooled three times.
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * 4 * 4, hidden), nn.ELU(), nn.Linear(hidden, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


def of_expert(
    bank: ExpertBank, expert: int, values: dict[nn.Parameter, Tensor] | None = None
) -> list[Tensor]:
    """The parameters of one of our experts, or what `values` has for them, in the order of the textbook's expert: layer by layer,
    the norm after the convolution."""
    layers = [[weight, bias] for weight, bias in zip(bank.weights, bank.biases)]
    for layer, scale, shift in zip(layers, bank.scales, bank.shifts):
        layer += [scale, shift]
    parameters = [parameter for layer in layers for parameter in layer]
    return [(parameter if values is None else values[parameter])[expert] for parameter in parameters]


class Textbook:
    """The whole learner; `step` plays one round."""

    def __init__(
        self, model: ModelConfig, learning_rate: float, device: torch.device, norm: str = "batch"
    ) -> None:
        self.experts = nn.ModuleList(Expert(model.filters, norm) for _ in range(model.experts))
        self.experts.to(device)
        self.discriminator = Discriminator(model.discriminator_filters, model.discriminator_hidden).to(device)
        self.expert_adams = [torch.optim.Adam(each.parameters(), lr=learning_rate) for each in self.experts]
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), lr=learning_rate)

    @torch.no_grad()
    def take_weights(self, experts: ExpertBank, discriminator: nn.Module) -> None:
        """Copies the weights of ours, and the running means of norm batch."""
        for index, expert in enumerate(self.experts):
            for mine, theirs in zip(expert.parameters(), of_expert(experts, index), strict=True):
                mine.copy_(theirs)
            norms = [layer for layer in expert.modules() if isinstance(layer, nn.BatchNorm2d)]
            for layer, norm in enumerate(norms):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.copy_(experts.running_mean[layer, index])
                norm.running_var.copy_(experts.running_variance[layer, index])
        pairs = zip(self.discriminator.parameters(), discriminator.parameters(), strict=True)
        for mine, theirs in pairs:
            mine.copy_(theirs)

    def step(self, canonical: Tensor, transformed: Tensor) -> Tensor:
        """Changes everything; returns who won each image."""
        answers = torch.stack([expert(transformed) for expert in self.experts])
        fakes = self.discriminator(answers.detach().flatten(0, 1)).view(answers.shape[:2])
        winner = fakes.argmax(dim=0)

        loss = softplus(-self.discriminator(canonical)).mean() + softplus(fakes).mean()
        self.discriminator_adam.zero_grad()
        loss.backward()
        self.discriminator_adam.step()

        answers = self.answers_to_learn_from(transformed, answers, winner)
        scores = self.discriminator(answers.flatten(0, 1)).view(answers.shape[:2])
        won = [winner == index for index in range(len(self.experts))]
        losses = [softplus(-row[mine]).mean() for row, mine in zip(scores, won) if mine.any()]
        self.experts.zero_grad()
        torch.stack(losses).sum().backward()
        for adam, mine in zip(self.expert_adams, won):
            if mine.any():
                adam.step()
        return winner

    def answers_to_learn_from(self, transformed: Tensor, answers: Tensor, winner: Tensor) -> Tensor:
        """The answers, expert batch channel height width, through which the winners learn."""
        return answers


class Sampled(Textbook):
    """Each winner runs once more, on the images it won and the first `others` of the rest; it answers as before, and the statistics of
    its norm have the gradient of these images alone."""

    def __init__(self, model: ModelConfig, learning_rate: float, device: torch.device) -> None:
        super().__init__(model, learning_rate, device)
        self.others = model.others

    def answers_to_learn_from(self, transformed: Tensor, answers: Tensor, winner: Tensor) -> Tensor:
        again = answers.detach().clone()
        for index, expert in enumerate(self.experts):
            assert isinstance(expert, Expert)
            mine, rest = (winner == index).nonzero()[:, 0], (winner != index).nonzero()[:, 0]
            if len(mine):
                part = torch.cat([mine, rest[: self.others]])
                again[index, mine] = answers_as_scored(expert, transformed, part)[: len(mine)]
        return again


def answers_as_scored(expert: Expert, batch: Tensor, part: Tensor) -> Tensor:
    """The answers to the images `part` of the batch, normalised by the whole batch; the gradient of mean and variance is that of the
    mean and variance of the part."""
    whole, x = batch, batch[part]
    for layer in expert.layers:
        if not isinstance(layer, nn.BatchNorm2d):
            with torch.no_grad():
                whole = layer(whole)
            x = layer(x)
            continue
        axes = (0, 2, 3)
        mean, variance = (
            each.detach() for each in (whole.mean(axes, True), whole.var(axes, unbiased=False, keepdim=True))
        )
        mean_of_part, variance_of_part = x.mean(axes, True), (x - mean).square().mean(axes, True)
        scale, shift = (each[:, None, None] for each in (layer.weight, layer.bias))
        with torch.no_grad():
            whole = (whole - mean) / (variance + layer.eps).sqrt() * scale + shift
        mean = mean + mean_of_part - mean_of_part.detach()
        variance = variance + variance_of_part - variance_of_part.detach()
        x = (x - mean) / (variance + layer.eps).sqrt() * scale + shift
    return x
