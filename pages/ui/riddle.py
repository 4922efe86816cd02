"""A riddle of Guess who: one digit, changed by one mechanism that nobody names, everybody's answer, and who should have won."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from icm.images.batches import generator_for
from icm.images.mechanisms import apply_one, parse
from icm.measure.evaluation import EVALUATION_SEED, play
from icm.method.competition import Contest
from icm.method.networks import Discriminator, ExpertBank
from icm.shapes import Images
from icm.show.experts import badge


@dataclass(frozen=True)
class Riddle:
    """One image of it, and the contest over it. The owner of its mechanism is who should win."""

    original: Images
    changed: Images
    contest: Contest
    mechanism: int
    owner: int

    @property
    def winner(self) -> int:
        return int(self.contest.winner[0])


def owned(owner: Sequence[int | None]) -> list[int]:
    """The mechanisms that have an owner: only these make riddles."""
    return [mechanism for mechanism, by in enumerate(owner) if by is not None]


def riddle(
    networks: tuple[ExpertBank, Discriminator],
    digit: Float[np.ndarray, "32 32"],
    specs: Sequence[str],
    owner: Sequence[int | None],
    seed: Sequence[int],
) -> Riddle:
    """The digit, changed by a mechanism that the seed chooses among those with an owner."""
    original = torch.from_numpy(digit).float()[None, None]
    choice = owned(owner)
    mechanism = choice[int(np.random.default_rng(seed).integers(len(choice)))]
    by = owner[mechanism]
    assert by is not None
    noise = generator_for(EVALUATION_SEED, "evaluation", seed[-1])
    changed = apply_one(original, parse(specs)[mechanism], noise)
    return Riddle(original, changed, play(*networks, changed), mechanism, by)


def verdict(found: Riddle, bet: int, name: str) -> str:
    """Which mechanism it was, by its name in words, and who was right: the bet, the discriminator, both or neither."""
    fooled = found.winner != found.owner
    judge = (
        f"the discriminator was fooled and gave it to {badge(found.winner)}"
        if fooled
        else "the discriminator gave it to the right one"
    )
    said = f"The mechanism was {name}, and {badge(found.owner)} is its owner."
    if bet == found.owner:
        return f"{said} You were right; {judge}{'' if fooled else ' too'}."
    return f"{said} You bet on {badge(bet)}; {judge}."
