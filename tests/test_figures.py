"""Figures take rows and return figures: what is drawn is what was counted."""

import numpy as np

from icm import figures
from icm.records import StepRecord


def rows(count: int) -> list[StepRecord]:
    """Expert 0 wins all ten images of even rows, expert 1 of odd ones."""
    return [
        StepRecord(
            step=5 * (index + 1),
            seconds=float(index),
            images=10,
            wins=[[10, 0], [0, 0]] if index % 2 == 0 else [[0, 0], [0, 10]],
            score=[[None, None], [None, None]],
            psnr=float(index),
            expert_loss=1.0,
            discriminator_loss=2.0,
        )
        for index in range(count)
    ]


def test_the_race_counts_the_newest_images_only() -> None:
    series = figures.race(rows(4), window=20)["series"]
    assert [line["name"] for line in series] == ["E0", "E1"]
    # First row alone: all to expert 0. From then on any two rows are one of each.
    assert series[0]["data"] == [[5, 100.0], [10, 50.0], [15, 50.0], [20, 50.0]]
    assert series[1]["data"] == [[5, 0.0], [10, 50.0], [15, 50.0], [20, 50.0]]


def test_long_runs_are_thinned_and_finished_points_stay_where_they_are() -> None:
    long, longer = figures.race(rows(1000), window=20), figures.race(rows(1100), window=20)
    before, after = long["series"][0]["data"], longer["series"][0]["data"]
    assert len(after) <= figures.POINTS
    assert after[: len(before)] == before


def test_the_table_shows_shares_of_each_mechanism() -> None:
    option = figures.wins_table(np.array([[3, 0], [1, 8]]), ["right", "left"])
    cells = {tuple(cell["value"][:2]): cell["value"][2] for cell in option["series"][0]["data"]}
    assert cells == {(0, 0): 0.75, (1, 0): 0.25, (0, 1): 0.0, (1, 1): 1.0}  # (expert, mechanism): share


def test_totals_are_counts_by_expert() -> None:
    bars = figures.totals(np.array([[3, 0], [1, 8]]))["series"][0]["data"]
    assert [bar["value"] for bar in bars] == [3, 9]


def test_a_mosaic_puts_each_image_in_its_place() -> None:
    images = np.arange(6).reshape(2, 3, 1, 1) / 10
    picture = figures.mosaic(images, scale=1, gap=1)
    assert picture.shape == (3, 5)
    assert picture[::2, ::2].tolist() == [[0, 26, 51], [76, 102, 128]]  # 255 times 0, 0.1, …, 0.5
    assert figures.mosaic(images, scale=3, gap=1).shape == (9, 15)
