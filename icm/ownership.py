"""Which expert owns which mechanism, read off a table of wins. Axes: expert, mechanism. Numpy only: pages use it too."""

import numpy as np
from jaxtyping import Float, Num

MAJORITY = 0.5  # an owner wins more than this share of a mechanism's images


def win_share(wins: Num[np.ndarray, "expert mechanism"]) -> Float[np.ndarray, "expert mechanism"]:
    """Share of each mechanism's images that each expert won; 0 for a mechanism without an image."""
    return wins / np.maximum(wins.sum(axis=0), 1)


def owners(share: Float[np.ndarray, "expert mechanism"]) -> list[int | None]:
    """For each mechanism the expert that wins most of its images, None where no expert has a majority."""
    best = share.argmax(axis=0)
    return [
        int(expert) if share[expert, mechanism] > MAJORITY else None for mechanism, expert in enumerate(best)
    ]


def experts_with_own(owner: list[int | None]) -> int:
    """How many mechanisms have an owner that owns nothing else."""
    return sum(expert is not None and owner.count(expert) == 1 for expert in owner)


def is_one_to_one(owner: list[int | None]) -> bool:
    """Whether every mechanism has an owner and no expert owns two."""
    return experts_with_own(owner) == len(owner)
