"""The numbers of the picture that leads Monitor: which points it has, what is in a column, who stands beside which row."""

import numpy as np
import pytest

from icm.ownership import owners, win_share
from icm.runs.history import IMAGES_IN_VIEW, History, history_of
from icm.runs.records import RowShape, StepRecord
from icm.show.timeline import COLUMNS, WHOLE, order, timeline

EXPERTS, MECHANISMS = 3, 2
SHAPE = RowShape(EXPERTS, MECHANISMS)


def run_of(rows: dict[int, list[list[int]]]) -> History:
    """A history with these wins (expert, mechanism) in the rows of these steps."""
    nothing: list[list[float | None]] = [[None] * MECHANISMS] * EXPERTS
    return history_of(
        [
            StepRecord(
                step, 0.0, int(np.sum(wins)), wins, nothing, 10.0, expert_loss=1.0, discriminator_loss=1.0
            )
            for step, wins in rows.items()
        ],
        SHAPE,
    )


def every_step(steps: int) -> History:
    return run_of({step: [[1, 0], [0, 1], [0, 0]] for step in range(1, steps + 1)})


def test_a_column_has_each_experts_share_of_each_mechanism_over_the_newest_images() -> None:
    old = [[0, 0], [0, 0], [200, 200]]
    new = [[IMAGES_IN_VIEW // 4, 0], [IMAGES_IN_VIEW // 4, 0], [0, IMAGES_IN_VIEW // 2]]
    found = timeline(run_of({1: old, 2: new}), last=4)
    assert found.step.tolist() == [1, 2]
    assert found.share.tolist() == [
        [[0, 0, WHOLE], [0, 0, WHOLE]],
        [[WHOLE // 2, WHOLE // 2, 0], [0, 0, WHOLE]],
    ]


@pytest.mark.parametrize("images", [64, 101, 4096])
def test_more_than_half_in_the_picture_is_more_than_half(images: int) -> None:
    """The picture says who owns a mechanism by the same rule as all else."""
    more, half = images // 2 + 1, images // 2
    wins = [[more, half], [images - more, images - half], [0, 0]]
    for share, owner in zip(timeline(run_of({1: wins}), last=1).share[0], owners(win_share(np.array(wins)))):
        assert [place for place, each in enumerate(share) if 2 * int(each) > WHOLE] == (
            [] if owner is None else [owner]
        )


def test_points_are_dense_early_and_a_live_run_grows_into_them() -> None:
    whole = timeline(every_step(2000), last=2000).step
    assert len(whole) <= COLUMNS + 1
    assert (
        np.diff(whole[whole <= 10]).max() == 1
    )  # (i / 240)^2 * 2000: a column is narrower than a step up to step 14
    assert np.diff(whole).max() == 17  # 2000 * (1 - (239 / 240)^2) = 16.6
    for so_far in (1, 10, 777, 1999):
        here = timeline(every_step(so_far), last=2000).step
        assert here[-1] == so_far
        assert here[:-1].tolist() == whole[whole < so_far].tolist()


def test_a_mechanism_without_an_image_leaves_its_column_empty() -> None:
    assert timeline(run_of({1: [[3, 0], [0, 0], [0, 0]]}), last=4).share.tolist() == [
        [[WHOLE, 0, 0], [0, 0, 0]]
    ]


def test_before_the_first_row_there_is_no_point_and_experts_stand_in_their_order() -> None:
    found = timeline(run_of({}), last=4)
    assert (len(found.step), found.order) == (0, [0, 1, 2])


@pytest.mark.parametrize(
    ("share", "stands"),
    [
        ([[0, 1.0], [1.0, 0], [0, 0]], [1, 0, 2]),
        ([[0.6, 0.9], [0.4, 0.1], [0, 0]], [1, 0, 2]),  # expert 0 wins most of both; the clearer pair decides
        ([[0, 0], [0, 0], [0, 1.0]], [0, 2, 1]),
    ],
)
def test_an_expert_stands_beside_the_mechanism_it_wins_most_of(
    share: list[list[float]], stands: list[int]
) -> None:
    assert order(np.array(share, dtype=float)) == stands


def test_with_fewer_experts_than_mechanisms_each_stands_once() -> None:
    assert order(np.array([[0.2, 0.1, 0.9], [0.8, 0.9, 0.1]])) == [1, 0]
