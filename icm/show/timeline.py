"""Who undoes what, over time: the numbers behind the picture in which each mechanism is a row and each expert a colour.

Time runs as its square root, because all that matters happens early. The picture's columns depend on the length of the run
alone, so that a run that is being trained grows into them. Numpy only. Axes: point, mechanism, expert."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from icm.ownership import MAJORITY, win_share
from icm.runs.history import IMAGES_IN_VIEW, History

COLUMNS = 240  # at most; on most screens a column is then two to four pixels wide
WHOLE = 254  # the share of an expert that wins all images of a mechanism; even, so that half of them is no more than half


@dataclass(frozen=True)
class Timeline:
    """Shares of wins at some steps, each over the newest images before it, and the order in which experts stand beside the rows."""

    step: Int[np.ndarray, " point"]
    share: UInt8[np.ndarray, "point mechanism expert"]  # of `WHOLE`; all 0 where no image had the mechanism
    order: list[
        int
    ]  # of who ever played: expert i has the most to do with mechanism i; then those that are left


def timeline(history: History, last: int) -> Timeline:
    """The timeline of a run that is to have `last` steps. Empty, with the experts in their own order, before the first row."""
    grid = np.ceil(np.linspace(0, 1, COLUMNS + 1)[1:] ** 2 * last).astype(int)
    points = np.unique(history.points(grid[grid <= history.last_step]))
    points = np.unique(np.append(points[points > 0], history.rows)) if history.rows else points
    spans = history.spans(points, IMAGES_IN_VIEW)
    images = np.maximum(spans.wins.sum(axis=1, keepdims=True), 1)
    part = spans.wins / images
    parts = np.round(WHOLE * part)
    parts = np.where(part > MAJORITY, np.maximum(parts, WHOLE // 2 + 1), np.minimum(parts, WHOLE // 2))
    share = parts.astype(np.uint8).transpose(0, 2, 1)
    played = history.played()
    found = [each for each in order(win_share(history.recent().wins[0])) if each in played]
    return Timeline(step=spans.step, share=share, order=found)


def order(share: Float[np.ndarray, "expert mechanism"]) -> list[int]:
    """The experts, so that as far as can be each stands where the mechanism stands that it wins most of: the clearest pairs first.

    With fewer experts than mechanisms some stand at another place than their mechanism."""
    experts, mechanisms = share.shape
    place: dict[int, int] = {}  # of each mechanism's expert
    for pair in np.argsort(-share, axis=None, kind="stable").tolist():
        expert, mechanism = divmod(pair, mechanisms)
        if mechanism not in place and expert not in place.values() and share[expert, mechanism] > 0:
            place[mechanism] = expert
    left = iter(each for each in range(experts) if each not in place.values())
    found = [place[each] if each in place else next(left, None) for each in range(mechanisms)]
    return [each for each in found if each is not None] + list(left)
