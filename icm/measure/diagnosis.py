"""What is wrong with a set of experts, told without the truth: who idles, who has two mechanisms, who share one.

All that it sees is a table of scores: what the discriminator says of every expert's answer to every image of a mixture. Images that
one mechanism changed are scored alike: those who undo something near to it come close, the others fail, each in its own way. So the
column of an image's scores tells of what kind it is. An expert whose images are of two kinds has too much to do, and two experts whose
images are of one kind share it. Both are asked of the silhouette (Rousseeuw, 1987): how much nearer an image is to its own group than
to the other, from -1 to 1; about 0 where the two groups are one. No mechanism is known here, and no original."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

IDLE = 0.01  # an expert that wins less than this share of the images idles; as in icm.ownership, which knows mechanisms
TWO_KINDS = 0.6  # silhouette from which two halves of an expert's images are two kinds
ONE_KIND = 0.2  # silhouette up to which the images of two experts are one kind
ALIKE = 1.0  # logits by which a winner is ahead, below which it won by luck
LEAST_PART = 0.2  # of an expert's images, that its second kind must have
LEAST_IMAGES = 12  # of an expert, below which nothing is said of their kinds
UNTOLD = 0.2  # of the images, from which too many are won by experts of which nothing is said

Verdict = Literal["right", "too many", "too few", "unevenly shared", "undecided"]


@dataclass(frozen=True)
class Diagnosis:
    """Who wins how much, and the silhouettes by which the experts' images are told apart."""

    share: dict[int, float]  # of the images, won by each expert that plays
    apart: dict[int, float]  # silhouette of the two halves of an expert's images; of those with enough images
    part: dict[int, float]  # share of the smaller half
    between: dict[tuple[int, int], float]  # silhouette of two experts' images
    ahead: float  # logits by which the winner's score is above the mean of the others', median over images
    images: int  # that all this was seen on

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
        return len(self.idle) + sum(len(each) - 1 for each in groups(self.duplicates))

    @property
    def silent(self) -> list[int]:
        """Who wins too few images for their kinds to be told, and too many to be idle."""
        return [expert for expert in self.share if expert not in self.apart and expert not in self.idle]

    @property
    def missing(self) -> int:
        """How many experts would have to take over a second kind."""
        return len(self.overloaded)

    @property
    def verdict(self) -> Verdict:
        """Whether the number of experts fits the number of kinds."""
        alike = self.ahead < ALIKE or self.surplus == len(self.share) - 1
        if alike or len(self.apart) < 2 or sum(self.share[each] for each in self.silent) > UNTOLD:
            return "undecided"
        if self.missing and self.surplus:
            return "unevenly shared"
        return "too few" if self.missing else "too many" if self.surplus else "right"

    @property
    def fitting(self) -> int:
        """How many experts would fit what was seen."""
        return len(self.share) - self.surplus + self.missing

    def roles(self) -> dict[int, str]:
        """A word or two for each expert."""
        if self.verdict == "undecided":
            return {expert: f"wins {share:.0%}" for expert, share in self.share.items()}
        shared = {
            expert: [
                f"E{other}" for pair in self.duplicates if expert in pair for other in pair if other != expert
            ]
            for expert in self.share
        }
        known = dict.fromkeys(self.share, "too few images") | dict.fromkeys(self.apart, "one kind")
        known |= {expert: f"shares with {', '.join(with_)}" for expert, with_ in shared.items() if with_}
        return known | dict.fromkeys(self.overloaded, "two kinds") | dict.fromkeys(self.idle, "idle")

    def in_words(self) -> str:
        """The verdict, as a sentence."""
        experts = len(self.share)
        return {
            "right": f"Each of the {experts} experts wins images of a kind of its own: the number looks right.",
            "too many": f"{self.fitting} of the {experts} experts would do: the number looks too large.",
            "too few": f"{_counted(self.missing, 'expert wins', 'experts win')} images of two kinds: the number looks too small.",
            "unevenly shared": f"{_counted(self.missing, 'expert wins', 'experts win')} images of two kinds while "
            f"{_counted(self.surplus, 'other', 'others').lower()} could go: the number may be right, the sharing is not.",
            "undecided": "The experts do not differ enough yet, or win too few images each, for anything to be said.",
        }[self.verdict]

    def evidence(self) -> list[str]:
        """A sentence for each thing that is wrong, with what it was seen by."""
        if self.verdict == "undecided":
            return []
        told = [
            f"E{each} idles: it wins {self.share[each]:.1%} of {self.images:,} images." for each in self.idle
        ]
        told += [
            f"E{each} has too much to do: its images are of two kinds, {self.apart[each]:.2f} apart, and the smaller makes {self.part[each]:.0%}."
            for each in self.overloaded
        ]
        for each in groups(self.duplicates):
            apart = [self.between[pair] for pair in self.duplicates if pair[0] in each]
            told.append(f"{named(each)} share a kind: their images are at most {max(*apart, 0.0):.2f} apart.")
        if self.silent:
            told.append(f"Of {named(self.silent)} nothing is said: fewer than {LEAST_IMAGES} images.")
        return told


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Who is joined by these pairs, directly or through others: [[1, 2, 3], [5, 6]] for (1, 2), (5, 6) and (2, 3)."""
    found: list[set[int]] = []
    for pair in pairs:
        joined = [each for each in found if each & {*pair}]
        found = [each for each in found if each not in joined] + [set(pair).union(*joined)]
    return sorted(sorted(each) for each in found)


def _counted(count: int, one: str, several: str) -> str:
    return f"One {one}" if count == 1 else f"{count} {several}"


def named(experts: Sequence[int]) -> str:
    """E0, E1 and E2."""
    names = [f"E{each}" for each in experts]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def diagnose(scores: Float[np.ndarray, "expert image"]) -> Diagnosis:
    """The diagnosis of experts whose answers to images of a mixture were given these scores; -inf for who does not play.

    Some thirty images for each expert say enough."""
    plays = np.isfinite(scores).all(axis=1)
    winner = scores.argmax(axis=0)
    looks = _looks(scores[plays])
    won = {int(expert): winner == expert for expert in np.flatnonzero(plays)}
    enough = [expert for expert, mine in won.items() if mine.sum() >= LEAST_IMAGES]
    halves = {expert: _halves(looks[won[expert]]) for expert in enough}
    return Diagnosis(
        ahead=_ahead(scores[plays]),
        images=scores.shape[1],
        share={expert: float(mine.mean()) for expert, mine in won.items()},
        apart={expert: silhouette(looks[won[expert]], half) for expert, half in halves.items()},
        part={expert: float(min(half.mean(), 1 - half.mean())) for expert, half in halves.items()},
        between={
            (one, other): silhouette(looks[won[one] | won[other]], winner[won[one] | won[other]] == other)
            for one, other in combinations(enough, 2)
        },
    )


def _ahead(scores: Float[np.ndarray, "player image"]) -> float:
    """By how much the best score of an image is above the mean of the others, median over images; 0 for one player."""
    best, others = scores.max(axis=0), max(len(scores) - 1, 1)
    return float(np.median(best - (scores.sum(axis=0) - best) / others)) if len(scores) > 1 else 0.0


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
