"""Who wins, and the two losses (section 3 of the paper), and a conscience that the paper does not have. Pure functions on
tensors; axes: expert, batch.

E_j is an expert and D the discriminator. D is a probability, but our discriminator returns its logit z: D = sigmoid(z), so
-log D = softplus(-z) and -log(1 - D) = softplus(z)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from icm.config import ConscienceConfig
from icm.shapes import Answers, Images, Logits, Winner

FAINTEST = 0.3  # of a digit's ink, up to which an image counts as nearly blank
NO_BIAS = 0.01  # logits; a bias that has leaked away to less than this counts as none


@dataclass(frozen=True)
class Contest:
    """One round: every answer, every score and who won each image."""

    answers: Answers
    logits: Logits  # the discriminator's scores, without any bias; -inf for an expert that does not play
    winner: Winner

    @property
    def winner_by_score(self) -> Winner:
        """Who would have won by the score alone."""
        return self.logits.argmax(dim=0)

    @property
    def restored(self) -> Images:
        """The winners' answers."""
        return self.answers[self.winner, torch.arange(len(self.winner), device=self.winner.device)]

    def players(self) -> list[int]:
        """The experts that took part."""
        return (self.logits > -torch.inf).any(dim=1).nonzero()[:, 0].tolist()

    def among(self, experts: int, players: Int[Tensor, " player"]) -> "Contest":
        """This contest between `players`, as one between all experts: who does not play has an empty answer and no score."""
        answers = self.answers.new_zeros(experts, *self.answers.shape[1:])
        logits = self.logits.new_full((experts, len(self.winner)), -torch.inf)
        return Contest(
            answers=answers.index_copy(0, players, self.answers),
            logits=logits.index_copy(0, players, self.logits),
            winner=players[self.winner],
        )


def compete(answers: Answers, logits: Logits, bias: Float[Tensor, " expert"] | None = None) -> Contest:
    """Each image is won by the expert whose answer has the highest logit; of equal ones, by the first.

    With a `bias`, in logits, by the expert whose logit and bias together are the highest."""
    scores = logits if bias is None else logits + bias[:, None]
    return Contest(answers=answers, logits=logits, winner=scores.argmax(dim=0))


def next_bias(
    bias: Float[Tensor, " expert"], winner: Winner, step: int, conscience: ConscienceConfig
) -> Float[Tensor, " expert"]:
    """The bias after step `step`, whose images `winner` says who won: more for an expert that won less than its share of them.

    A conscience for competitive learning is DeSieno's (1988); this form, which needs no label, no loss and no gradient, is the
    balancing of mixtures of experts by Wang et al. (2024, arXiv 2408.15664). It takes every mechanism to be equally frequent.
    After step `until` what is left leaks away, and the score alone decides."""
    bias = (1 - conscience.leak) * bias
    if step > conscience.until:
        return torch.where(bias.abs() < NO_BIAS, 0.0, bias)
    share = count_wins(winner, len(bias)) / len(winner)
    return bias + conscience.rate * (1 / len(bias) - share)


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
    canonical: Float[Tensor, " canonical"],
    fakes: Float[Tensor, "expert batch"],
    blanks: Float[Tensor, " blank"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of -log D over canonical images plus mean of -log(1 - D) over fakes, which are experts' answers.

    When the fakes are the answers of all N' experts, each expert weighs 1/N', as in the paper. `blanks` weigh as one more."""
    if blanks is None:
        return softplus(-canonical).mean() + softplus(fakes).mean()
    experts = len(fakes)
    of_fakes = (experts * softplus(fakes).mean() + softplus(blanks).mean()) / (experts + 1)
    return softplus(-canonical).mean() + of_fakes


def nearly_blank(images: Images, count: int) -> Float[Tensor, "blank 1 height width"]:
    """The first `count` images, the first with no ink at all, the last with `FAINTEST` of its own: nobody would call them digits."""
    strength = torch.linspace(0, FAINTEST, count, device=images.device, dtype=images.dtype)
    return strength[:, None, None, None] * images[:count]


def winners_logits(logits: Logits, winner: Winner) -> Float[Tensor, "1 batch"]:
    """The score of each image's winning answer."""
    return torch.gather(logits, dim=0, index=winner[None])
