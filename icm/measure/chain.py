"""Several mechanisms undone one after the other: the winner's answer goes back in as the next image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icm.measure.evaluation import play
from icm.method.competition import Contest
from icm.method.networks import Discriminator, ExpertBank
from icm.shapes import Images

LEAST_GAIN = 0.1  # logits; an expert that only touches up its own answer gains less


@dataclass(frozen=True)
class Round:
    """One round of a chain: an image, what the discriminator thinks of the image itself, and the contest over it."""

    image: Images
    score: float  # logit of the image itself
    contest: Contest

    @property
    def better(self) -> bool:
        """Whether the winner's answer scores more than `LEAST_GAIN` above the image itself. If not, the chain ends here."""
        return float(self.contest.logits.max()) > self.score + LEAST_GAIN


@torch.no_grad()
def chain(
    experts: ExpertBank, discriminator: Discriminator, image: Float[Tensor, "1 1 height width"], most: int
) -> list[Round]:
    """Undoes mechanisms applied one after the other: at most `most` rounds, each on the answer that won the round before.

    Ends with the first round whose winning answer gains no more than `LEAST_GAIN` over the image it was given."""
    rounds: list[Round] = []
    while len(rounds) < most:
        rounds.append(Round(image, float(discriminator(image)), play(experts, discriminator, image)))
        if not rounds[-1].better:
            break
        image = rounds[-1].contest.restored
    return rounds
