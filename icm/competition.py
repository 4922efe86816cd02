"""Who wins, and the two losses (section 3 of the paper). Pure functions on tensors; axes: expert, batch.

E_j is an expert, D the discriminator; D(E_j(x)) is its logit, and -log sigmoid(z) is softplus(-z)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from icm.shapes import Answers, Images, Logits, Winner


@dataclass(frozen=True)
class Contest:
    """One round: every answer, every score and who won each image."""

    answers: Answers
    logits: Logits
    winner: Winner

    @property
    def restored(self) -> Images:
        """The winners' answers."""
        return self.answers[self.winner, torch.arange(len(self.winner), device=self.winner.device)]


def compete(answers: Answers, logits: Logits) -> Contest:
    """The expert whose answer the discriminator likes best wins the image; the first of equals."""
    return Contest(answers=answers, logits=logits, winner=logits.argmax(dim=0))


def count_wins(winner: Int[Tensor, " batch"], experts: int) -> Int[Tensor, " expert"]:
    """How many images each expert won. Compared, because bincount makes a GPU wait while the host reads."""
    return (winner == torch.arange(experts, device=winner.device)[:, None]).sum(dim=1)


def winners_loss(
    logits: Float[Tensor, " batch"], winner: Int[Tensor, " batch"], experts: int
) -> Float[Tensor, ""]:
    """Sum over experts of the mean of -log D over the images each one won.

    `logits` are the scores of the winners' own answers. The mean is per expert, so that an expert with three wins and
    one with thirty take equally long steps; one without a win adds nothing."""
    wins = count_wins(winner, experts)
    return (softplus(-logits) / wins[winner]).sum()


def discriminator_loss(
    canonical: Float[Tensor, " canonical"], fakes: Float[Tensor, "expert batch"]
) -> Float[Tensor, ""]:
    """Canonical images are real, answers are fake, each side averaged: with all N' experts' answers each weighs 1/N'."""
    return softplus(-canonical).mean() + softplus(fakes).mean()


def winners_logits(contest: Contest) -> Float[Tensor, "1 batch"]:
    """The score of each image's winning answer."""
    return torch.gather(contest.logits, dim=0, index=contest.winner[None])
