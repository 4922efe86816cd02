"""How well a set of networks inverts the mechanisms, measured against the true originals, which the learner never saw.

It keeps two questions apart: who wins (win share, routing) and what comes back (PSNR of the winner's and of the
owner's answer). Axes: expert, batch, channel, height, width; of tables: mechanism, expert."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from icm.config import RunConfig
from icm.images.batches import as_images, generator_for
from icm.images.mechanisms import Mechanism, apply_each, apply_one
from icm.measure.doubt import Reliability, doubt
from icm.method.competition import Contest, compete, count_wins
from icm.method.networks import Discriminator, ExpertBank
from icm.method.state import players_at_first
from icm.method.weights import load_weights
from icm.ownership import is_one_to_one, owners
from icm.shapes import Images, Labels, Pixels

EVALUATION_SEED = 0  # the same images, and the same noise for runs with the same mechanisms
EVALUATION_IMAGES = 256  # held-out originals, each through every mechanism
CHUNK = 64  # images at once
LOWEST_ERROR = 1e-10  # a smaller mean squared error counts as this one: 100 dB


@dataclass(frozen=True)
class Evaluation:
    """Who wins and what comes back, by mechanism, in the order of `mechanisms`."""

    mechanisms: list[str]
    win_share: Float[np.ndarray, "mechanism expert"]
    owner: list[int | None]
    psnr: list[float]  # dB, winners' answers
    psnr_owner: list[float | None]  # dB, the owner's answers to all images; None without an owner
    psnr_nothing: list[float]  # dB, the transformed images themselves
    # The discriminator's of every answer, one mechanism's images after the other's; -inf for who does not play.
    scores: Float[np.ndarray, "expert image"]
    accuracy: dict[str, float] | None = None  # the digit reader's, on images: original, transformed, restored

    @property
    def one_to_one(self) -> bool:
        return is_one_to_one(self.owner)

    @property
    def routing_accuracy(self) -> float:
        """Share of the images that were won by the owner of their mechanism."""
        shares = [
            0.0 if owner is None else float(row[owner]) for row, owner in zip(self.win_share, self.owner)
        ]
        return float(np.mean(shares))

    @property
    def nothing_where_owned(self) -> list[float]:
        """PSNR of the untouched images in dB, of the mechanisms that have an owner, whose answers it is to be held against."""
        return [nothing for owner, nothing in zip(self.owner, self.psnr_nothing) if owner is not None]

    @property
    def doubt(self) -> Reliability:
        """How sure the winners are, and how right: a winner is right that owns the mechanism."""
        return doubt(self.scores, self.owner)

    def to_json(self) -> dict[str, Any]:
        def by_mechanism(values: Sequence[float | int | None]) -> dict[str, float | int | None]:
            return {
                name: round(value, 3) if isinstance(value, float) else value
                for name, value in zip(self.mechanisms, values)
            }

        return {
            "mechanisms": self.mechanisms,
            "win_share": np.round(self.win_share, 4).tolist(),
            "owner": by_mechanism(self.owner),
            "one_to_one": self.one_to_one,
            "routing_accuracy": round(self.routing_accuracy, 4),
            "psnr": by_mechanism(self.psnr),
            "psnr_owner": by_mechanism(self.psnr_owner),
            "psnr_nothing": by_mechanism(self.psnr_nothing),
            "doubt": self.doubt.in_sum(),
        } | ({} if self.accuracy is None else {"accuracy": self.accuracy})


def psnr(
    images: Float[Tensor, "*stack 1 height width"], originals: Float[Tensor, "*#stack 1 height width"]
) -> Float[Tensor, "*stack"]:
    """Peak signal-to-noise ratio in dB of each image, for pixels in [0, 1]: -10 log10 of the mean squared error."""
    error = (images - originals).square().mean(dim=(-3, -2, -1))
    return -10 * torch.log10(error.clamp(min=LOWEST_ERROR))


def networks(config: RunConfig, arrays: Mapping[str, np.ndarray]) -> tuple[ExpertBank, Discriminator]:
    """The experts and the discriminator of a snapshot, on the CPU, in evaluation mode."""
    model, generator = config.model, generator_for(0, "weights")
    experts = ExpertBank(
        model.experts, model.filters, model.norm, generator, players=players_at_first(config)
    )
    discriminator = Discriminator(model.discriminator_filters, model.discriminator_hidden, generator)
    load_weights(experts, discriminator, arrays)
    return experts.eval(), discriminator.eval()


@torch.no_grad()
def play(experts: ExpertBank, discriminator: Discriminator, images: Images) -> Contest:
    """One round without learning: every answer, every score, every winner."""
    players = None if experts.playing is None else experts.players()
    answers = experts(images, players)
    contest = compete(answers, discriminator(answers.flatten(0, 1)).view(answers.shape[:2]))
    return contest if players is None else contest.among(experts.experts, torch.tensor(players))


def evaluate(
    experts: ExpertBank,
    discriminator: Discriminator,
    held_out: Pixels,
    mechanisms: Sequence[Mechanism],
    owner: Sequence[int | None] | None = None,
    labels: Labels | None = None,
    read: Callable[[Images], Labels] | None = None,
) -> Evaluation:
    """Puts every image through every mechanism and then every expert. `held_out` must be images never trained on.

    `owner` names the expert that owns each mechanism on other images, the digits; without it, the owners are found on these.
    With `labels` and `read`, which says the digit of each image, `accuracy` is the share of images that are read right."""
    originals = as_images(held_out)
    shares, winners_psnr, answers_psnr, nothing, scores = [], [], [], [], []
    right: dict[str, list[Tensor]] = {"original": [], "transformed": [], "restored": []}
    for index, mechanism in enumerate(mechanisms):
        generator = generator_for(EVALUATION_SEED, "evaluation", index)
        transformed = apply_one(originals, mechanism, generator)
        winner, quality = [], []
        for start in range(0, len(originals), CHUNK):
            piece = slice(start, start + CHUNK)
            images, truth = transformed[piece], originals[piece]
            contest = play(experts, discriminator, images)
            winner.append(contest.winner)
            scores.append(contest.logits.numpy())
            quality.append(psnr(contest.answers, truth))
            if labels is not None and read is not None:
                shown = {"original": truth, "transformed": images, "restored": contest.restored}
                for name, each in shown.items():
                    right[name].append(read(each) == labels[piece])
        winner, quality = torch.cat(winner), torch.cat(quality, dim=1)

        shares.append((count_wins(winner, experts.experts) / len(winner)).numpy())
        winners_psnr.append(float(quality.gather(0, winner[None]).mean()))
        answers_psnr.append(quality.mean(dim=1).tolist())
        nothing.append(float(psnr(transformed, originals).mean()))

    owner = owners(np.stack(shares).T) if owner is None else list(owner)
    return Evaluation(
        mechanisms=[mechanism.name for mechanism in mechanisms],
        win_share=np.stack(shares),
        owner=owner,
        psnr=winners_psnr,
        psnr_owner=[None if expert is None else row[expert] for expert, row in zip(owner, answers_psnr)],
        psnr_nothing=nothing,
        scores=np.concatenate(scores, axis=1),
        accuracy={name: round(float(torch.cat(each).float().mean()), 4) for name, each in right.items()}
        if right["original"]
        else None,
    )


@dataclass(frozen=True)
class Examples:
    """Digits with their truth and what the experts made of them."""

    original: Images
    transformed: Images
    contest: Contest


def examples(
    experts: ExpertBank, discriminator: Discriminator, held_out: Pixels, mechanisms: Sequence[Mechanism]
) -> Examples:
    """Digit m of `held_out` goes through mechanism m and then through the competition."""
    original, transformed = changed_digits(held_out, mechanisms)
    return Examples(original, transformed, play(experts, discriminator, transformed))


def examples_of_one(
    experts: ExpertBank,
    discriminator: Discriminator,
    held_out: Pixels,
    mechanism: Mechanism,
    count: int,
) -> Examples:
    """The first `count` digits of `held_out` go through one mechanism and then through the competition."""
    original = as_images(held_out[:count])
    transformed = apply_one(original, mechanism, generator_for(EVALUATION_SEED, "evaluation"))
    return Examples(original, transformed, play(experts, discriminator, transformed))


def changed_digits(held_out: Pixels, mechanisms: Sequence[Mechanism]) -> tuple[Images, Images]:
    """Digit m of `held_out` as it is, and changed by mechanism m."""
    original = as_images(held_out[: len(mechanisms)])
    generator = generator_for(EVALUATION_SEED, "evaluation")
    return original, apply_each(original, torch.arange(len(mechanisms)), mechanisms, generator)
