"""Adam (Kingma & Ba, 2015, algorithm 1), once for the discriminator and once for the stacked experts.

Each expert counts its own steps, so a step in which it won nothing leaves no trace in it."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.optim.adam import adam

# What Kingma & Ba suggest, and torch's defaults.
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class DiscriminatorAdam:
    """torch's Adam. Its moments are kept here, because making a `torch.optim.Adam` imports torch's compiler, which takes a
    trainer 2.5 seconds and 150 MB at its start (docs/LOG.md)."""

    def __init__(self, parameters: list[nn.Parameter], fused: bool) -> None:
        """A fused one keeps its clock on the device and reads nothing back; it rounds otherwise than a plain one."""
        self.parameters, self.fused = parameters, fused
        self.reset()

    def reset(self) -> None:
        # In the memory format of the parameters: a fused one pairs numbers by their place in memory.
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]
        # Steps taken; float32 and one for each parameter, as torch wants them.
        self.clock = [
            torch.zeros((), device=parameter.device if self.fused else "cpu") for parameter in self.parameters
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Changes the parameters by the gradients that a backward pass has left in them, and takes these away."""
        gradients = [parameter.grad for parameter in self.parameters]
        adam(
            list[Tensor](self.parameters),
            [gradient for gradient in gradients if gradient is not None],
            self.mean,
            self.square,
            [],
            self.clock,
            foreach=False,
            fused=self.fused,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        for parameter in self.parameters:
            parameter.grad = None


def shortened(
    gradients: tuple[Float[Tensor, "expert ..."], ...], most: float
) -> tuple[Float[Tensor, "expert ..."], ...]:
    """The gradients of stacked experts, those of each shortened to norm `most`, over all its weights, where they are longer.

    Clipping by the norm (Pascanu, Mikolov & Bengio, 2013), as torch's `clip_grad_norm_` does it. Adam's own memory is too long to
    bound what one odd batch does: a gradient forty times the usual one moves an expert by six steps at once (docs/LOG.md)."""
    norm = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).norm(dim=1)
    factor = (most / (norm + 1e-6)).clamp(max=1)
    return tuple(gradient * factor.view(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients)


class ExpertAdam:
    """Adam on stacked experts. Each expert has its own clock (steps taken) and pair of moments.

    An expert that is not active in a step keeps its weights, moments and clock to the last bit."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]
        first = self.parameters[0]
        self.clock = torch.zeros(len(first), dtype=torch.int64, device=first.device)

    def forget(self, expert: int) -> None:
        """Puts the moments and the clock of one expert back to zero."""
        for values in (*self.mean, *self.square, self.clock):
            values[expert] = 0

    @torch.no_grad()
    def step(
        self, gradients: tuple[Tensor, ...], active: Bool[Tensor, " expert"], learning_rate: float
    ) -> None:
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
            step_size = (learning_rate / bias_mean).to(parameter.dtype).view(rows)
            root = square.sqrt() / bias_square.sqrt().to(parameter.dtype).view(rows) + EPSILON
            parameter.copy_(torch.where(keep, parameter - step_size * mean / root, parameter))
