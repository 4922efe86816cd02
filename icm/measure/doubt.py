"""How sure the competition is of a winner, from its scores alone, and how right it is to be so.

A winner's confidence is its share in the softmax of all experts' scores: as if exactly one of the answers were a real digit. Whether a
winner is right, which only an evaluation knows, is whether it owns the mechanism that made the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

SURE = 0.99  # confidence from which an answer is called sure
BINS = 15  # of a reliability curve, as Guo et al. (2017, arXiv 1706.04599) take them


def confidence(scores: Float[np.ndarray, "expert *image"]) -> Float[np.ndarray, "*image"]:
    """The winner's, for each image; `scores` are logits, -inf for who does not play."""
    return 1 / np.exp(scores - scores.max(axis=0)).sum(axis=0)


@dataclass(frozen=True)
class Reliability:
    """How often winners are right, by how sure they are. A bin without an image has nan."""

    confidence: Float[np.ndarray, " bin"]  # mean
    right: Float[np.ndarray, " bin"]  # share of the images
    images: Float[np.ndarray, " bin"]  # share of all
    sure: float  # share of the images whose winner is sure
    sure_and_right: float  # share of those; nan when there are none

    def in_sum(self) -> dict[str, float | None]:
        """The figures that a card keeps."""
        known = not np.isnan(self.sure_and_right)
        return {
            "expected_error": round(self.expected_error, 4),
            "sure": round(self.sure, 4),
            "sure_and_right": round(self.sure_and_right, 4) if known else None,
        }

    @property
    def expected_error(self) -> float:
        """Expected calibration error: how far confidence is from being right, mean over the images."""
        there = self.images > 0
        return float((self.images * np.abs(self.confidence - self.right))[there].sum())


def reliability(sure: Float[np.ndarray, " image"], right: Bool[np.ndarray, " image"]) -> Reliability:
    """The reliability curve of winners of this confidence, of whom these were right."""
    which = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(which, minlength=BINS)
    with np.errstate(invalid="ignore"):
        of_bins = [np.bincount(which, weights=each, minlength=BINS) / count for each in (sure, right)]
        certain = right[sure >= SURE]
        return Reliability(
            confidence=of_bins[0],
            right=of_bins[1],
            images=count / len(sure),
            sure=len(certain) / len(sure),
            sure_and_right=float(certain.mean()) if len(certain) else float("nan"),
        )


def doubt(scores: Float[np.ndarray, "expert image"], owner: Sequence[int | None]) -> Reliability:
    """The reliability of the winners of an evaluation: as many images of each mechanism, one mechanism's after the other's."""
    expected = np.repeat([-1 if each is None else each for each in owner], scores.shape[1] // len(owner))
    return reliability(confidence(scores), scores.argmax(axis=0) == expected)
