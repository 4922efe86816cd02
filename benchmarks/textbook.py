"""The algorithm as one would first write it down: a list of experts, each a plain nn.Module with nn.BatchNorm2d and nn.ELU, each
with an optimiser of its own; every expert answers every image with gradient; float32, default memory format.

benchmarks/training.py measures against it and tests/test_engines.py compares with it. The package uses no line of it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from icm.config import ModelConfig

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

    def step(self, canonical: Tensor, transformed: Tensor) -> Tensor:
        """Changes everything; returns who won each image."""
        answers = torch.stack([expert(transformed) for expert in self.experts])
        fakes = self.discriminator(answers.detach().flatten(0, 1)).view(answers.shape[:2])
        winner = fakes.argmax(dim=0)

        loss = softplus(-self.discriminator(canonical)).mean() + softplus(fakes).mean()
        self.discriminator_adam.zero_grad()
        loss.backward()
        self.discriminator_adam.step()

        scores = self.discriminator(answers.flatten(0, 1)).view(answers.shape[:2])
        won = [winner == index for index in range(len(self.experts))]
        losses = [softplus(-row[mine]).mean() for row, mine in zip(scores, won) if mine.any()]
        self.experts.zero_grad()
        torch.stack(losses).sum().backward()
        for adam, mine in zip(self.expert_adams, won):
            if mine.any():
                adam.step()
        return winner
