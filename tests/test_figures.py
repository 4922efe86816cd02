"""Figures take rows and return figures: what is drawn is what was counted."""

import numpy as np

from icm import figures
from icm.history import History, history_of
from icm.records import StepRecord


def history(count: int) -> History:
    """Expert 0 wins all ten images of even rows, expert 1 of odd ones; each row is five steps."""
    rows = [
        StepRecord(
            step=5 * (index + 1),
            seconds=float(index),
            images=10,
            wins=[[10, 0], [0, 0]] if index % 2 == 0 else [[0, 0], [0, 10]],
            score=[[2.0, None], [-1.0, None]] if index % 2 == 0 else [[None, 4.0], [None, 3.0]],
            psnr=float(index),
            expert_loss=1.0,
            discriminator_loss=2.0,
        )
        for index in range(count)
    ]
    return history_of(rows, experts=2, mechanisms=2)


def race(seen: History, marked: int | None = None):
    return figures.race(seen.stretches(figures.drawn_points(seen), images=20), marked)["series"]


def test_the_race_counts_the_newest_images_only() -> None:
    series = race(history(4))
    assert [line["name"] for line in series] == ["E0", "E1"]
    # First row alone: all to expert 0. From then on any two rows are one of each.
    assert series[0]["data"] == [[5, 100.0], [10, 50.0], [15, 50.0], [20, 50.0]]
    assert series[1]["data"] == [[5, 0.0], [10, 50.0], [15, 50.0], [20, 50.0]]


def test_long_runs_are_thinned_and_drawn_points_stay_where_they_are() -> None:
    before, after = race(history(1001))[0]["data"], race(history(1101))[0]["data"]
    assert len(after) <= figures.POINTS + 1
    assert after[: len(before) - 1] == before[:-1]  # the last one is the newest row, whatever its place
    assert [data[-1][0] for data in (before, after)] == [5 * 1001, 5 * 1101]


def test_scores_leave_a_gap_where_a_mechanism_had_no_image() -> None:
    seen = history(3)
    lines = figures.scores(seen.stretches(figures.drawn_points(seen), images=10), mechanism=0)["series"]
    assert lines[0]["data"] == [[5, 2.0], [10, None], [15, 2.0]]
    assert lines[1]["data"] == [[5, -1.0], [10, None], [15, -1.0]]


def test_the_step_that_the_page_is_about_is_marked() -> None:
    assert "markLine" not in race(history(4))[0]
    assert race(history(4), marked=10)[0]["markLine"]["data"] == [{"xAxis": 10}]


def test_the_winners_answer_is_framed_in_its_colour() -> None:
    inputs, originals = np.zeros((2, 4, 5)), np.ones((2, 4, 5))
    picture = figures.answer_table(inputs, np.full((3, 2, 4, 5), 0.5), np.array([2, 0]), originals)
    gap = 2 * figures.FRAME
    assert picture.shape == (3 * (2 * (4 + gap) + gap), 3 * (5 * (5 + gap) + gap), 3)
    # Row 0, winner 2: the pixel left of its answer, in the fourth column.
    frame = picture[3 * gap, 3 * (gap + 3 * (5 + gap)) - 1]
    assert frame.tolist() == [0xBD, 0x1F, 0x01]
    assert picture[3 * gap, 3 * gap - 1].tolist() == [128, 128, 128]  # no frame around an input


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
