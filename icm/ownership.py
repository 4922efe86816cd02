"""Which expert owns which mechanism, read off a table of wins. Axes: expert, mechanism. Numpy only: pages use it too."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

MAJORITY = 0.5  # an owner wins more than this share of a mechanism's images


def win_share(
    wins: Num[np.ndarray, "*point expert mechanism"],
) -> Float[np.ndarray, "*point expert mechanism"]:
    """Share of each mechanism's images that each expert won; 0 for a mechanism without an image."""
    return wins / np.maximum(wins.sum(axis=-2, keepdims=True), 1)


def owners(share: Float[np.ndarray, "expert mechanism"]) -> list[int | None]:
    """For each mechanism the expert that wins most of its images, None where no expert has a majority."""
    return owners_at(share[None])[0]


def owners_at(share: Float[np.ndarray, "point expert mechanism"]) -> list[list[int | None]]:
    """`owners` at each of some points."""
    best, most = share.argmax(axis=1).tolist(), share.max(axis=1).tolist()
    return [
        [expert if won > MAJORITY else None for expert, won in zip(experts, shares)]
        for experts, shares in zip(best, most)
    ]


def experts_with_own(owner: list[int | None]) -> int:
    """How many mechanisms have an owner that owns nothing else."""
    return sum(expert is not None and owner.count(expert) == 1 for expert in owner)


def is_one_to_one(owner: list[int | None]) -> bool:
    """Whether every mechanism has an owner and no expert owns two."""
    return experts_with_own(owner) == len(owner)


IDLE = 0.01  # an expert that wins less than this share of all images, and owns nothing, is idle; nobody is before the first image


@dataclass(frozen=True)
class Roles:
    """Experts by what they own, and mechanisms that nobody owns."""

    single: dict[int, int]  # expert: its one mechanism
    overloaded: dict[int, list[int]]  # expert: its mechanisms, two or more
    idle: list[int]
    unowned: list[int]  # mechanisms


def roles(wins: Num[np.ndarray, "expert mechanism"]) -> Roles:
    """The roles that a table of wins shows."""
    owner = owners(win_share(wins))
    owned = {
        expert: [mechanism for mechanism, by in enumerate(owner) if by == expert]
        for expert in range(len(wins))
    }
    share = wins.sum(axis=1) / max(wins.sum(), 1)
    return Roles(
        single={expert: mine[0] for expert, mine in owned.items() if len(mine) == 1},
        overloaded={expert: mine for expert, mine in owned.items() if len(mine) > 1},
        idle=[expert for expert, mine in owned.items() if wins.any() and not mine and share[expert] < IDLE],
        unowned=[mechanism for mechanism, by in enumerate(owner) if by is None],
    )


def win_entropy(wins: Num[np.ndarray, "expert mechanism"]) -> float:
    """Shannon entropy in bits of who wins: log2 of the number of experts when all win equally, 0 when one wins all."""
    share = wins.sum(axis=1) / max(wins.sum(), 1)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum()) + 0.0  # makes -0.0 a plain 0.0
