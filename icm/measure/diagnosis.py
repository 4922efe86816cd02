"""What is wrong with a set of experts, told without the truth: who idles, who has two mechanisms, who share one.

All that it sees is a table of scores: what the discriminator says of every expert's answer to every image of a mixture. Images that
one mechanism changed are scored alike: those who undo something near to it come close, the others fail, each in its own way. So the
column of an image's scores tells of what kind it is. An expert whose images are of two kinds has too much to do, and two experts whose
images are of one kind share it. Both are asked of the silhouette (Rousseeuw, 1987): how much nearer an image is to its own group than
to the other, from -1 to 1; about 0 where the two groups are one. No mechanism is known here, and no original."""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

IDLE = 0.01  # an expert that wins less than this share of the images idles; as in icm.ownership, which knows mechanisms
TWO_KINDS = 0.6  # silhouette from which two halves of an expert's images are two kinds
ONE_KIND = 0.2  # silhouette up to which the images of two experts are one kind
LEAST_PART = 0.2  # of an expert's images, that its second kind must have
LEAST_IMAGES = 12  # of an expert, below which nothing is said of their kinds

Verdict = Literal["right", "too many", "too few", "unevenly shared", "undecided"]


@dataclass(frozen=True)
class Diagnosis:
    """Who wins how much, and the silhouettes by which the experts' images are told apart."""

    share: dict[int, float]  # of the images, won by each expert that plays
    apart: dict[int, float]  # silhouette of the two halves of an expert's images; of those with enough images
    part: dict[int, float]  # share of the smaller half
    between: dict[tuple[int, int], float]  # silhouette of two experts' images

    @property
    def idle(self) -> list[int]:
        return [expert for expert, share in self.share.items() if share < IDLE]

    @property
    def overloaded(self) -> list[int]:
        return [
            expert
            for expert, found in self.apart.items()
            if found >= TWO_KINDS and self.part[expert] >= LEAST_PART
        ]

    @property
    def duplicates(self) -> list[tuple[int, int]]:
        return [pair for pair, found in self.between.items() if found <= ONE_KIND]

    @property
    def surplus(self) -> int:
        """How many experts the others could do without: those that idle, and of those that share one kind all but one."""
        group = {expert: expert for expert in self.share}
        for one, other in self.duplicates:
            joined, kept = group[other], group[one]
            group = {expert: kept if mine == joined else mine for expert, mine in group.items()}
        return len(self.idle) + len(group) - len(set(group.values()))

    @property
    def missing(self) -> int:
        """How many experts would have to take over a second kind."""
        return len(self.overloaded)

    @property
    def verdict(self) -> Verdict:
        """Whether the number of experts fits the number of kinds."""
        if len(self.apart) < 2:
            return "undecided"
        if self.missing and self.surplus:
            return "unevenly shared"
        return "too few" if self.missing else "too many" if self.surplus else "right"


def diagnose(scores: Float[np.ndarray, "expert image"]) -> Diagnosis:
    """The diagnosis of experts whose answers to images of a mixture were given these scores; -inf for who does not play.

    Some 300 images say enough of ten experts."""
    plays = np.isfinite(scores).all(axis=1)
    winner = scores.argmax(axis=0)
    looks = _looks(scores[plays])
    won = {int(expert): winner == expert for expert in np.flatnonzero(plays)}
    enough = [expert for expert, mine in won.items() if mine.sum() >= LEAST_IMAGES]
    halves = {expert: _halves(looks[won[expert]]) for expert in enough}
    return Diagnosis(
        share={expert: float(mine.mean()) for expert, mine in won.items()},
        apart={expert: silhouette(looks[won[expert]], half) for expert, half in halves.items()},
        part={expert: float(min(half.mean(), 1 - half.mean())) for expert, half in halves.items()},
        between={
            (one, other): silhouette(looks[won[one] | won[other]], winner[won[one] | won[other]] == other)
            for one, other in combinations(enough, 2)
        },
    )


def _looks(scores: Float[np.ndarray, "player image"]) -> Float[np.ndarray, "image player"]:
    """What the scores say of each image's kind: its column without its mean, which says how clear the image is."""
    return (scores - scores.mean(axis=0)).T


def _halves(looks: Float[np.ndarray, "image player"]) -> Bool[np.ndarray, " image"]:
    """The two groups into which the images fall best."""
    from sklearn.cluster import KMeans  # it takes a second to import

    if len(np.unique(looks, axis=0)) < 2:
        return np.zeros(len(looks), dtype=bool)
    halves = KMeans(2, n_init=5, random_state=0)  # pyright: ignore[reportArgumentType]
    return halves.fit_predict(looks).astype(bool)


def silhouette(
    looks: Float[np.ndarray, "image player"],
    group: Bool[np.ndarray, " image"] | Int[np.ndarray, " image"],
) -> float:
    """The mean silhouette of the images in their two groups; 0 where there is only one."""
    from sklearn.metrics import silhouette_score

    if len(np.unique(group)) < 2:
        return 0.0
    return float(silhouette_score(looks, group))
