"""Running sums of a run's rows: any span of them is what adding up its rows gives."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icm.runs.history import HistoryError, HistoryWriter, history_of, read_history
from icm.runs.records import RowShape, StepRecord

EXPERTS, MECHANISMS = 2, 3
SHAPE = RowShape(EXPERTS, MECHANISMS)
WITH_CONSCIENCE = replace(SHAPE, conscience=True)


def row(step: int, wins: list[list[int]], score: float | None = 1.0, psnr: float = 10.0) -> StepRecord:
    images = int(np.sum(wins))
    scores = [[score] * MECHANISMS] * EXPERTS
    return StepRecord(step, 0.0, images, wins, scores, psnr, expert_loss=float(step), discriminator_loss=2.0)


ROWS = [
    row(5, [[4, 0, 0], [0, 6, 0]], score=1.0, psnr=10.0),
    row(10, [[1, 0, 0], [9, 0, 0]], score=3.0, psnr=20.0),
    row(15, [[0, 0, 0], [0, 0, 20]], score=5.0, psnr=40.0),
]


def test_a_span_is_the_shortest_run_of_rows_with_enough_images() -> None:
    history = history_of(ROWS, SHAPE)
    # Row 3 alone has 20 images; 21 need row 2 as well, and 31 need all three.
    for images, wins in (
        (20, [[0, 0, 0], [0, 0, 20]]),
        (21, [[1, 0, 0], [9, 0, 20]]),
        (31, [[5, 0, 0], [9, 6, 20]]),
        (1000, [[5, 0, 0], [9, 6, 20]]),
    ):
        recent = history.recent(images)
        assert recent.wins[0].tolist() == wins
        assert recent.images[0] == np.sum(wins)


def test_means_weigh_images_and_losses_weigh_steps() -> None:
    all_rows = history_of(ROWS, SHAPE).all()
    assert all_rows.psnr[0] == pytest.approx((10 * 10 + 20 * 10 + 40 * 20) / 40)
    assert all_rows.losses[0].tolist() == [(5 + 10 + 15) / 3, 2.0]  # five steps each
    # Mechanism 0 had 4 images in row 1 with score 1, 10 in row 2 with score 3.
    assert all_rows.score[0, 0, 0] == pytest.approx((4 * 1 + 10 * 3) / 14)


def test_a_mechanism_without_an_image_has_no_score() -> None:
    first = history_of(ROWS, SHAPE).until(5).all()
    assert np.isnan(first.score[0, :, 2]).all()
    assert not np.isnan(first.score[0, :, :2]).any()


def test_until_looks_at_the_run_as_it_was() -> None:
    history = history_of(ROWS, SHAPE)
    assert [history.until(step).last_step for step in (0, 4, 5, 14, 15, 99)] == [0, 0, 5, 10, 15, 15]
    assert history.until(4).recent().images.tolist() == [0]
    assert history.until(4).one_to_one_count() == 0


def test_one_to_one_counts_mechanisms_with_an_expert_of_their_own() -> None:
    # Expert 0 wins 5 of 14 images of mechanism 0, expert 1 the others and all of mechanisms 1 and 2.
    assert history_of(ROWS, SHAPE).one_to_one_count() == 0
    # After the first row each has one of its own, and mechanism 2 had no image.
    assert history_of(ROWS[:1], SHAPE).one_to_one_count() == 2


def test_one_to_one_counts_from_the_first_step_from_which_it_holds() -> None:
    apart, merged = [[50, 0], [0, 50]], [[50, 50], [0, 0]]
    wins = [merged, apart, merged, *[apart] * 6, merged]  # rows of 100 images, 20 steps each
    scores: list[list[float | None]] = [[0.0, 0.0]] * 2
    history = history_of(
        [StepRecord(20 * n, 0.0, 100, table, scores, 10.0, 1.0, 1.0) for n, table in enumerate(wins, 1)],
        RowShape(2, 2),
    )
    assert history.one_to_one_from(hold=100, images=100) == 80
    assert history.one_to_one_from(hold=101, images=100) is None
    assert history.one_to_one_from(hold=0, images=100) == 40
    # Among the last 200 images those of a merged row are still seen one row later.
    assert history.one_to_one_from(hold=80, images=200) == 100
    assert history_of([], RowShape(2, 2)).one_to_one_from() is None


def biased(step: int, bias: list[float], decided: int) -> StepRecord:
    plain = row(step, [[4, 0, 0], [0, 6, 0]])
    return replace(plain, bias=bias, decided=decided)


def test_a_conscience_is_told_as_the_bias_at_the_end_and_the_share_that_it_decided(tmp_path: Path) -> None:
    rows = [biased(5, [0.5, -0.5], 4), biased(10, [2.0, -1.0], 1), biased(15, [0.0, 0.0], 0)]
    writer = HistoryWriter(tmp_path / "history.f8", WITH_CONSCIENCE, rows[:1])
    for each in rows[1:]:
        writer.append(each)
    history = read_history(tmp_path / "history.f8", WITH_CONSCIENCE)
    spans = history.spans(np.array([1, 2, 3]), images=20)
    assert spans.bias.tolist() == [[0.5, -0.5], [2.0, -1.0], [0.0, 0.0]]
    assert spans.decided.tolist() == [4 / 10, 5 / 20, 1 / 20]
    assert spans.wins[-1].tolist() == [[8, 0, 0], [0, 12, 0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"bias": [1.0]}, "its bias is not 2 numbers"),
        ({"bias": [1.0, float("nan")]}, "its bias is not 2 numbers"),
        ({"bias": "ab"}, "its bias is not 2 numbers"),
        ({"decided": 11}, "its bias decided more images than there were"),
        ({"decided": 0.5}, "its decided is no count"),
    ],
)
def test_a_row_of_a_conscience_that_cannot_be_so_is_told(change: dict, said: str | None) -> None:
    written = {**biased(5, [0.5, -0.5], 4).to_json(), **change}
    if said is None:
        assert StepRecord.from_json(written, WITH_CONSCIENCE).to_json() == written
        said = "it is no row"  # to a run without a conscience
        with pytest.raises(ValueError, match=said):
            StepRecord.from_json(written, SHAPE)
        return
    with pytest.raises(ValueError, match=said):
        StepRecord.from_json(written, WITH_CONSCIENCE)


def test_an_open_roster_is_told_as_who_answered(tmp_path: Path) -> None:
    """Expert 1 begins to play with row 2: a span that begins before has no score of it."""
    shape = replace(SHAPE, conscience=True, roster=2)
    rows = [
        replace(biased(5, [0.5, 0.0], 0), score=[[1.0] * 3, [None] * 3], plays=[0]),
        replace(biased(10, [0.5, -0.5], 1), score=[[2.0] * 3, [4.0] * 3], plays=[0, 1]),
    ]
    assert StepRecord.from_json(rows[0].to_json(), shape) == rows[0]
    writer = HistoryWriter(tmp_path / "history.f8", shape, rows[:1])
    writer.append(rows[1])
    history = read_history(tmp_path / "history.f8", shape)
    assert (history.until(5).plays(), history.plays()) == ([0], [0, 1])
    spans = history.spans(np.array([1, 2, 2]), images=20)
    assert spans.answered.tolist() == [[10, 0], [20, 10], [20, 10]]
    assert np.isnan(spans.score[:, 1]).all()
    assert spans.score[1, 0, :2].tolist() == [1.5, 1.5]
    assert spans.bias.tolist()[-1] == [0.5, -0.5]
    newest = history.recent(10)
    assert newest.score[0, :, :2].tolist() == [[2.0, 2.0], [4.0, 4.0]]
    assert history_of(rows[:1], shape).sums.tolist() == history.sums[:1].tolist()
    for plays in ([], [1, 0], [0, 2], [0, 0], "01", [True], [0.0]):
        with pytest.raises(ValueError, match="its plays"):
            StepRecord.from_json({**rows[1].to_json(), "plays": plays}, shape)
    with pytest.raises(ValueError, match="it is no row"):
        StepRecord.from_json(rows[1].to_json(), WITH_CONSCIENCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The history.f8 of a run whose rows were written one by one."""
    path = tmp_path / "history.f8"
    writer = HistoryWriter(path, SHAPE, rows=[])
    for each in ROWS:
        writer.append(each)
    return path


def test_what_is_written_row_by_row_is_what_is_read(path: Path) -> None:
    expected = history_of(ROWS, SHAPE)
    assert np.array_equal(read_history(path, SHAPE).sums, expected.sums)


def test_a_row_cut_off_by_a_crash_is_left_out(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])
    assert read_history(path, SHAPE).rows == 2


def test_a_resume_drops_later_rows_and_leaves_a_page_that_still_has_them_mapped(path: Path) -> None:
    mapped = read_history(path, SHAPE)

    again = HistoryWriter(path, SHAPE, rows=ROWS[:2])
    assert read_history(path, SHAPE).last_step == 10
    again.append(ROWS[2])
    assert np.array_equal(read_history(path, SHAPE).sums, mapped.sums)
    assert mapped.last_step == 15


def test_a_file_that_a_shorter_one_replaces_is_read_as_one_of_the_two(path: Path) -> None:
    over = threading.Event()

    def resumes() -> None:
        while not over.is_set():
            for rows in (ROWS, ROWS[:1]):
                HistoryWriter(path, SHAPE, rows)

    trainer = threading.Thread(target=resumes)
    trainer.start()
    try:
        seen = {read_history(path, SHAPE).rows for _ in range(5000)}
    finally:
        over.set()
        trainer.join()
    assert seen == {1, 3}


def test_without_a_file_there_are_no_rows(tmp_path: Path) -> None:
    history = read_history(tmp_path / "history.f8", SHAPE)
    assert (history.rows, history.last_step, history.one_to_one_count()) == (0, 0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e300])
def test_counts_that_no_run_can_have_are_told_as_damage(path: Path, value: float) -> None:
    sums = np.frombuffer(path.read_bytes(), "<f8").copy()
    sums[-sums.size // 3 :] = value  # the last row of three
    path.write_bytes(sums.tobytes())
    with pytest.raises(HistoryError, match=r"history\.f8 of this run is damaged"):
        read_history(path, SHAPE)
