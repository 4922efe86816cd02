"""What is wrong with a set of experts, told without the truth: who idles, who has two kinds of images, who share one.

All that it sees is a table of scores: what the discriminator says of every expert's answer to every image of a mixture. Images that
one mechanism changed are scored alike: those who undo something near to it come close, the others fail, each in its own way. So the
images fall into kinds by how far each expert's score lies behind the best. How many kinds there are is first the number at which they
lie apart best, by their silhouette (Rousseeuw, 1987): how much nearer an image is to its own kind than to the next, from -1 to 1. Two
kinds that one expert wins lie nearer to each other than to all others, and the silhouette takes them for one. So each is split in two
as long as two normal distributions describe it clearly better than one, by the Bayesian information criterion (Schwarz, 1978), and lie
apart; where they do not, the images of it that its main winner won are tried alone, for a few that somebody else won can lie apart from
both. Some hundred images of one kind can look like two by chance. So parts that one expert won most of stay together unless all that it
won, in this kind and others, is of several kinds by images that nothing was fitted to. An expert that wins images of two kinds has too
much to do, and two that win images of one kind share it. No mechanism is known here, and no original."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

IDLE = 0.01  # an expert that wins less than this share of the images idles; as in icm.ownership, which knows mechanisms
LEAST_PART = 0.2  # of an expert's images, from which it counts that they are of a kind; also of a kind that is split in two
SERVED = 0.5  # of a kind's images, that one expert must win
LEAST_IMAGES = 5  # of an expert, below which nothing is said of their kinds
UNTOLD = 0.2  # of the images, from which too many are won by experts of which nothing is said
APART = 0.5  # silhouette of the kinds, below which they are none
COARSE = 0.6  # of the images, from which a kind is likely to be several that are not told apart yet
ALIKE = 1.0  # logits by which a winner is ahead, below which it won by luck
# A kind is split where the criterion falls by so much (10 is very strong evidence: Kass & Raftery, 1995) and the middles of the two lie
# so many of their own standard deviations apart, in so many principal components.
STRONG, PARTED, COMPONENTS = 20.0, 2.5, 4
RIDGE = 1e-3  # added to variances, of looks that spread by about 1
# A fifth of an expert's images is described by normal distributions fitted to the rest: two must do so better than one by more than
# this (nats an image), with variances that keep apart what a few images alone would give.
FORETOLD, WIDE_RIDGE = 0.25, 0.05
ODD = 0.1  # of an expert's images; the smaller of the two distributions must describe more
LEAST_HALF = 15  # images of either half, whose normal distribution has 14 numbers
NEAR = 1.0  # logits; by how much a score lies behind the best counts by its root from here on, and in proportion below
# Numbers of kinds that are tried: from so many to so many more than there are experts, but at most so many.
FEWEST, MORE, MOST = 3, 6, 24

Verdict = Literal["right", "too many", "too few", "unevenly shared", "undecided"]


@dataclass(frozen=True)
class Diagnosis:
    """Who wins how much of which kind of images."""

    share: dict[int, float]  # of the images, won by each expert that plays
    parts: dict[int, list[float]]  # of the images that it won, of each kind; of those with enough images
    of_kind: list[float]  # share of all images that are of each kind
    served: list[float]  # of each kind's images, won by who wins most of them
    apart: float  # silhouette of the kinds
    ahead: float  # logits by which the winner's score is above the mean of the others', median over images
    images: int  # that all this was seen on

    @property
    def is_told(self) -> bool:
        """Whether the kinds are clear enough for anything to be said of them."""
        alike = self.ahead < ALIKE or self.apart < APART or max(self.of_kind) > COARSE
        return not alike and len(self.parts) > 1 and sum(self.share[each] for each in self.silent) <= UNTOLD

    @property
    def idle(self) -> list[int]:
        return [expert for expert, share in self.share.items() if share < IDLE]

    @property
    def overloaded(self) -> list[int]:
        """Who wins images of two kinds or more."""
        return [each for each in self.parts if self.is_told and len(self._kinds_of(each)) > 1]

    @property
    def duplicates(self) -> list[tuple[int, int]]:
        """Pairs of experts who win more of the same kind than of any other."""
        main = {expert: int(np.argmax(parts)) for expert, parts in self.parts.items()}
        return [pair for pair in combinations(main, 2) if self.is_told and main[pair[0]] == main[pair[1]]]

    @property
    def unserved(self) -> list[int]:
        """Kinds of which no expert wins most images."""
        return [kind for kind, share in enumerate(self.served) if share < SERVED]

    @property
    def silent(self) -> list[int]:
        """Who wins too few images for their kinds to be told, and too many to be idle."""
        return [expert for expert in self.share if expert not in self.parts and expert not in self.idle]

    @property
    def surplus(self) -> int:
        """How many experts the others could do without: those that idle, and of those that share one kind all but one."""
        return len(self.idle) + sum(len(each) - 1 for each in groups(self.duplicates))

    @property
    def missing(self) -> int:
        """How many kinds are nobody's main one."""
        return len(self.served) - len({int(np.argmax(parts)) for parts in self.parts.values()})

    @property
    def fitting(self) -> int:
        """How many experts would fit what was seen: one for each kind."""
        return len(self.served)

    @property
    def verdict(self) -> Verdict:
        """Whether the number of experts fits the number of kinds."""
        if not self.is_told:
            return "undecided"
        if (self.missing and self.surplus) or (self.overloaded and not self.missing):
            return "unevenly shared"
        return "too few" if self.missing else "too many" if self.surplus else "right"

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
        known = dict.fromkeys(self.share, "too few images") | dict.fromkeys(self.parts, "one kind")
        known |= {expert: f"shares with {', '.join(with_)}" for expert, with_ in shared.items() if with_}
        known |= {each: f"{_number(len(self._kinds_of(each)))} kinds" for each in self.overloaded}
        return known | dict.fromkeys(self.idle, "idle")

    def _kinds_of(self, expert: int) -> list[float]:
        """The parts of its images that count, the largest first."""
        return sorted((part for part in self.parts[expert] if part >= LEAST_PART), reverse=True)

    def in_words(self) -> str:
        """The verdict, as a sentence."""
        experts, kinds = len(self.share), len(self.served)
        return {
            "right": f"Each of the {experts} experts wins images of a kind of its own: the number looks right.",
            "too many": f"{kinds} kinds of images for {experts} experts: the number looks too large.",
            "too few": f"{kinds} kinds of images for {experts} experts: the number looks too small.",
            "unevenly shared": f"{kinds} kinds of images for {experts} experts, but unevenly shared.",
            "undecided": "The experts do not differ enough yet, or win too few images each, for anything to be said.",
        }[self.verdict]

    def evidence(self) -> list[str]:
        """What is wrong, and by what it was seen, a sentence each."""
        if self.verdict == "undecided":
            return []
        told = [
            f"E{each} idles: it wins {self.share[each]:.1%} of {self.images:,} images." for each in self.idle
        ]
        for each in self.overloaded:
            parts = [f"{part:.0%}" for part in self._kinds_of(each)]
            told.append(
                f"E{each} has too much to do: its images are of {_number(len(parts))} kinds ({', '.join(parts)})."
            )
        told += [
            f"{named(each)} share a kind: no other is so much of what each wins."
            for each in groups(self.duplicates)
        ]
        if self.unserved:
            best = max(self.served[kind] for kind in self.unserved)
            kinds = "One kind has" if len(self.unserved) == 1 else f"{len(self.unserved)} kinds have"
            told.append(f"{kinds} no expert: nobody wins more than {best:.0%} of one.")
        if self.silent:
            told.append(f"Of {named(self.silent)} nothing is said: fewer than {LEAST_IMAGES} images.")
        return [
            *told,
            f"By their scores the images are of {len(self.served)} kinds; those that lie apart best are {self.apart:.2f} apart.",
        ]


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Who is joined by these pairs, directly or through others: [[1, 2, 3], [5, 6]] for (1, 2), (5, 6) and (2, 3)."""
    found: list[set[int]] = []
    for pair in pairs:
        joined = [each for each in found if each & {*pair}]
        found = [each for each in found if each not in joined] + [set(pair).union(*joined)]
    return sorted(sorted(each) for each in found)


def _number(count: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(count, str(count))


def named(experts: Sequence[int]) -> str:
    """E0, E1 and E2."""
    names = [f"E{each}" for each in experts]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def diagnose(scores: Float[np.ndarray, "expert image"]) -> Diagnosis:
    """The diagnosis of experts whose answers to images of a mixture were given these scores; -inf for who does not play.

    Some thirty images for each expert say enough."""
    plays = np.flatnonzero(np.isfinite(scores).all(axis=1))
    best = scores[plays].argmax(axis=0)
    kind, apart = kinds(scores[plays])
    wins = np.zeros((len(plays), kind.max() + 1))
    np.add.at(wins, (best, kind), 1)
    won = wins.sum(axis=1)
    return Diagnosis(
        share={int(expert): float(count / won.sum()) for expert, count in zip(plays, won)},
        parts={
            int(expert): (row / row.sum()).tolist()
            for expert, row in zip(plays, wins)
            if row.sum() >= LEAST_IMAGES and row.sum() / won.sum() >= IDLE
        },
        of_kind=(wins.sum(axis=0) / won.sum()).tolist(),
        served=(wins.max(axis=0) / wins.sum(axis=0)).tolist(),
        apart=apart,
        ahead=_ahead(scores[plays]),
        images=scores.shape[1],
    )


def kinds(scores: Float[np.ndarray, "player image"]) -> tuple[Int[np.ndarray, " image"], float]:
    """The kind of each image, numbered from 0, and the silhouette of the kinds; one kind, and 0, where they cannot be told apart.

    An image is looked at by the square root of how far each score lies behind the best: the root keeps a mechanism that most experts
    fail at by far, such as a swap of bright and dark, from hiding the differences among the others. The silhouette is that of the
    kinds before they are split; they are not while one has most of the images."""
    from sklearn.cluster import KMeans  # it takes a second to import
    from sklearn.metrics import silhouette_score

    behind = (scores.max(axis=0) - scores).T
    looks = np.sqrt(behind)
    most = min(2 * len(scores), len(scores) + MORE, MOST, len(np.unique(looks, axis=0)) - 1)
    best, apart = np.zeros(len(looks), dtype=int), 0.0
    for count in range(min(FEWEST, len(scores)), most + 1):
        found = KMeans(count, n_init=3, random_state=0).fit_predict(looks)  # pyright: ignore[reportArgumentType]
        if (silhouette := float(silhouette_score(looks, found))) > apart:
            best, apart = found.astype(int), silhouette
    if np.bincount(best).max() > COARSE * len(best):
        return best, apart
    # Near 0 the root would part those that an expert wins by little from those that it loses by little.
    looks, winner = np.sqrt(NEAR + behind), scores.argmax(axis=0)
    of_kind = [np.flatnonzero(best == kind) for kind in range(best.max() + 1)]
    halves = [half for mine in of_kind for half in parts_foretold(looks, winner, mine)]
    if len(halves) > best.max() + 1:
        middles = np.stack([looks[half].mean(axis=0) for half in halves])
        found = KMeans(len(halves), init=middles, n_init=1).fit_predict(looks)  # pyright: ignore[reportArgumentType]
        best = np.unique(found, return_inverse=True)[1]
    return best, apart


def parts_foretold(
    looks: Float[np.ndarray, "image player"],
    winner: Int[np.ndarray, " image"],
    mine: Int[np.ndarray, " some"],
) -> list[Int[np.ndarray, " part"]]:
    """The images `mine` of a kind, split; parts that one expert won most of stay together unless all that it won is of several kinds."""
    parts = [mine[part] for part in parts_of(looks[mine], winner[mine])]
    mains = [int(np.bincount(winner[part]).argmax()) for part in parts]
    told: list[Int[np.ndarray, " part"]] = []
    for main in dict.fromkeys(mains):
        own = [part for part, its in zip(parts, mains) if its == main]
        told += own if len(own) == 1 or are_several(looks[winner == main]) else [np.concatenate(own)]
    return told if len(told) > 1 else [mine]


def are_several(looks: Float[np.ndarray, "image player"]) -> bool:
    """Whether two normal distributions foretell these images better than one: each fifth of them, fitted to the rest, twice.

    A few odd images among many of one kind are foretold better by two as well, but are no kind."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import RepeatedKFold, cross_val_score

    if len(looks) < 2 * LEAST_HALF:
        return False
    main, fifths = _in_short(looks), RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
    one, two = (
        GaussianMixture(count, reg_covar=WIDE_RIDGE, max_iter=500, random_state=0) for count in (1, 2)
    )
    two.fit(main)
    assert two.weights_ is not None
    if two.weights_.min() < ODD:
        return False
    gain = cross_val_score(two, main, cv=fifths).mean() - cross_val_score(one, main, cv=fifths).mean()
    return bool(gain > FORETOLD)


def parts_of(
    looks: Float[np.ndarray, "image player"], winner: Int[np.ndarray, " image"]
) -> list[Int[np.ndarray, " part"]]:
    """The images of a kind, split; where all of them are one, those that the main winner won, split, if these are several."""
    every = np.arange(len(looks))
    of_main = np.flatnonzero(winner == np.bincount(winner).argmax())
    parts = _split(looks, every)
    if len(parts) > 1 or len(of_main) == len(looks):
        return parts
    parts = _split(looks, of_main)
    return parts if len(parts) > 1 else [every]


def _split(
    looks: Float[np.ndarray, "image player"], mine: Int[np.ndarray, " some"]
) -> list[Int[np.ndarray, " part"]]:
    """The images `mine` in two, and these again, as long as two normal distributions describe them clearly better than one and lie apart."""
    from sklearn.mixture import GaussianMixture

    if len(np.unique(looks[mine], axis=0)) < 2 * LEAST_HALF:
        return [mine]
    main = _in_short(looks[mine])
    one, two = (
        GaussianMixture(count, reg_covar=RIDGE, max_iter=500, random_state=0).fit(main) for count in (1, 2)
    )
    half: Bool[np.ndarray, " image"] = two.predict(main) == 0
    assert two.means_ is not None
    assert two.covariances_ is not None
    between = two.means_[0] - two.means_[1]
    parted = np.sqrt(between @ np.linalg.solve(two.covariances_.mean(axis=0), between))
    smaller = min(half.sum(), (~half).sum())
    is_one = one.bic(main) - two.bic(main) < STRONG or parted < PARTED
    if is_one or smaller < max(LEAST_HALF, LEAST_PART * len(mine)):
        return [mine]
    return _split(looks, mine[half]) + _split(looks, mine[~half])


def _in_short(looks: Float[np.ndarray, "image player"]) -> Float[np.ndarray, "image component"]:
    """The looks in their principal components."""
    from sklearn.decomposition import PCA

    return PCA(min(COMPONENTS, looks.shape[1]), random_state=0).fit_transform(looks)


def _ahead(scores: Float[np.ndarray, "player image"]) -> float:
    """By how much the best score of an image is above the mean of the others, median over images; 0 for one player."""
    best, others = scores.max(axis=0), max(len(scores) - 1, 1)
    return float(np.median(best - (scores.sum(axis=0) - best) / others)) if len(scores) > 1 else 0.0
