"""Charts and tables of pictures: what is drawn is what was counted."""

from dataclasses import replace

import numpy as np

from icm.runs.history import History, history_of
from icm.runs.records import RowShape, StepRecord
from icm.show import charts
from icm.show.mosaics import GAP, SCALE, picture_table


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
    return history_of(rows, RowShape(2, 2))


def race(seen: History, marked: int | None = None) -> charts.Option:
    return charts.race(seen.spans(charts.drawn_points(seen), images=20), marked)


def points(chart: charts.Option) -> list[list[float | None]]:
    """The chart's table: the step, then a column for each line. Checks that each line reads its own column."""
    assert [line["encode"] for line in chart["series"]] == [
        {"x": 0, "y": column + 1} for column in range(len(chart["series"]))
    ]
    return chart["dataset"]["source"]


def test_the_race_counts_the_newest_images_only() -> None:
    chart = race(history(4))
    assert [line["name"] for line in chart["series"]] == ["E0", "E1"]
    # First row alone: all to expert 0. From then on any two rows are one of each.
    assert points(chart) == [[5, 100.0, 0.0], [10, 50.0, 50.0], [15, 50.0, 50.0], [20, 50.0, 50.0]]


def test_long_runs_are_thinned_and_drawn_points_stay_where_they_are() -> None:
    before, after = points(race(history(1001))), points(race(history(1101)))
    assert len(after) <= charts.POINTS + 1
    assert after[: len(before) - 1] == before[:-1]  # the last one is the newest row, whatever its place
    assert [data[-1][0] for data in (before, after)] == [5 * 1001, 5 * 1101]


def test_scores_leave_a_gap_where_a_mechanism_had_no_image() -> None:
    seen = history(3)
    lines = charts.scores(seen.spans(charts.drawn_points(seen), images=10), mechanism=0)
    assert points(lines) == [[5, 2.0, -1.0], [10, None, None], [15, 2.0, -1.0]]


def test_a_value_that_is_no_number_leaves_a_gap_and_the_axis_ends_at_a_number() -> None:
    values = {"a": np.array([1.0, np.nan, 3.0]), "b": np.array([np.inf, 2.0, -np.inf])}
    chart = charts.named_lines("PSNR, dB", np.array([5, 10, 15]), values)
    assert points(chart) == [[5, 1.0, None], [10, None, 2.0], [15, 3.0, None]]
    (same,) = charts.on_the_same_axes([chart])
    assert same["yAxis"]["max"] == 3.0


def test_the_step_that_the_page_is_about_is_marked() -> None:
    assert "markLine" not in race(history(4))["series"][0]
    assert race(history(4), marked=10)["series"][0]["markLine"]["data"] == [{"xAxis": 10}]


def test_each_image_of_a_table_is_in_its_place_and_the_winner_is_framed() -> None:
    images = np.arange(6).reshape(2, 3, 1, 1).repeat(4, axis=2).repeat(5, axis=3) / 10
    picture = picture_table(images, ["a", "b"], ["x", "y", "z\nz"], {(0, 2): "#bd1f01"})
    height, width = SCALE * 4 + GAP, SCALE * 5 + GAP
    top, left = picture.shape[0] - 2 * height, picture.shape[1] - 3 * width
    corners = picture[top::height, left::width]
    assert corners[..., 0].tolist() == [[0, 26, 51], [76, 102, 128]]  # 255 times 0, 0.1, …, 0.5
    assert (corners[..., 3] == 255).all()
    assert picture[top, left + 2 * width - 1].tolist() == [0xBD, 0x1F, 0x01, 255]
    assert picture[top, left - 1].tolist() == [128, 128, 128, 110]  # an edge, no frame
    assert picture[top, left - 5].tolist()[3] == 0


def test_the_table_shows_shares_of_each_mechanism() -> None:
    option = charts.wins_table(np.array([[3, 0], [1, 8]]), ["right", "left"])
    cells = {tuple(cell["value"][:2]): cell["value"][2] for cell in option["series"][0]["data"]}
    assert cells == {(0, 0): 0.75, (1, 0): 0.25, (0, 1): 0.0, (1, 1): 1.0}  # (expert, mechanism): share


def test_totals_are_counts_by_expert() -> None:
    bars = charts.totals(history(3).all())["series"][0]["data"]
    assert [bar["value"] for bar in bars] == [20, 10]


def test_who_does_not_play_is_not_drawn() -> None:
    """Of three experts the first leaves after the first row, the second stays, the third never plays."""
    wins, score = [[5, 0], [0, 5], [0, 0]], [[1.0, 2.0], [3.0, 4.0], [None, None]]
    both = StepRecord(5, 0.0, 10, wins, score, 10.0, 1.0, 1.0, plays=[0, 1])
    later = replace(
        both, step=10, wins=[[0, 0], [5, 5], [0, 0]], score=[[None] * 2, [3.0, 4.0], [None] * 2], plays=[1]
    )
    seen = history_of([both, later], RowShape(3, 2, roster=2))
    lines = seen.spans(np.array([1, 2]), images=10)
    race, scores, players = charts.race(lines), charts.scores(lines, 0), charts.players(lines)
    assert points(race) == [[5, 50.0, 50.0], [10, None, 100.0]]
    assert (
        [line["name"] for line in race["series"]]
        == [line["name"] for line in scores["series"]]
        == ["E0", "E1"]
    )
    assert points(players) == [[5, 2.0], [10, 1.0]]
    table = charts.wins_table(seen.recent(10).wins[0], ["right", "left"], seen.plays())
    assert table["xAxis"]["data"] == ["E1"]
    assert [cell["value"] for cell in table["series"][0]["data"]] == [[0, 0, 1.0], [0, 1, 1.0]]
    assert charts.totals(seen.all())["yAxis"]["data"] == ["E0", "E1"]
