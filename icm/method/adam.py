"""Adam on stacked experts. Each expert counts its own steps, so a step in which it won nothing leaves no trace in it."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor, nn

# What Kingma & Ba suggest, and torch's defaults.
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class ExpertAdam:
    """Adam (Kingma & Ba, 2015, algorithm 1) on stacked experts. Each expert has its own clock (steps taken) and pair of moments.

    An expert that is not active in a step keeps its weights, moments and clock to the last bit."""

    def __init__(self, parameters: list[nn.Parameter], learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self.reset()

    def reset(self) -> None:
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]
        first = self.parameters[0]
        self.clock = torch.zeros(len(first), dtype=torch.int64, device=first.device)

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...], active: Bool[Tensor, " expert"]) -> None:
        self.clock += active
        # 1 - beta^clock, without the rounding of a power close to one.
        clock = self.clock.clamp(min=1).to(self.parameters[0].dtype)
        bias_mean, bias_square = (-torch.expm1(clock * math.log(beta)) for beta in BETAS)
        for parameter, gradient, mean, square in zip(self.parameters, gradients, self.mean, self.square):
            rows = (-1, *[1] * (parameter.dim() - 1))
            keep = active.view(rows)
            mean.copy_(torch.where(keep, mean.lerp(gradient, 1 - BETAS[0]), mean))
            square.copy_(
                torch.where(
                    keep, square.mul(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1]), square
                )
            )
            step_size = (self.learning_rate / bias_mean).to(parameter.dtype).view(rows)
            root = square.sqrt() / bias_square.sqrt().to(parameter.dtype).view(rows) + EPSILON
            parameter.copy_(torch.where(keep, parameter - step_size * mean / root, parameter))
