"""Who wins, and the two losses (section 3 of the paper). Pure functions on tensors; axes: expert, batch.

E_j is an expert and D the discriminator. D is a probability, but our discriminator returns its logit z: D = sigmoid(z), so
-log D = softplus(-z) and -log(1 - D) = softplus(z)."""

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
    """Each image is won by the expert whose answer has the highest logit; of equal ones, by the first."""
    return Contest(answers=answers, logits=logits, winner=logits.argmax(dim=0))


def count_wins(winner: Int[Tensor, " batch"], experts: int) -> Int[Tensor, " expert"]:
    """How many images each expert won. It compares, because bincount would make a GPU wait while the host reads from it."""
    return (winner == torch.arange(experts, device=winner.device)[:, None]).sum(dim=1)


def winners_loss(
    logits: Float[Tensor, " batch"], winner: Int[Tensor, " batch"], experts: int
) -> Float[Tensor, ""]:
    """Sum over experts of the mean of -log D over the images each one won.

    `logits` are the scores of the winning answers. Each expert has its own mean, so that one with three wins and one
    with thirty take equally long steps. An expert without a win adds nothing."""
    wins = count_wins(winner, experts)
    return (softplus(-logits) / wins[winner]).sum()


def discriminator_loss(
    canonical: Float[Tensor, " canonical"], fakes: Float[Tensor, "expert batch"]
) -> Float[Tensor, ""]:
    """Mean of -log D over canonical images plus mean of -log(1 - D) over fakes, which are experts' answers.

    When the fakes are the answers of all N' experts, each expert weighs 1/N', as in the paper."""
    return softplus(-canonical).mean() + softplus(fakes).mean()


def winners_logits(contest: Contest) -> Float[Tensor, "1 batch"]:
    """The score of each image's winning answer."""
    return torch.gather(contest.logits, dim=0, index=contest.winner[None])
