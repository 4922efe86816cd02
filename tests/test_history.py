"""Running sums of a run's rows: any span of them is what adding up its rows gives."""

from pathlib import Path

import numpy as np
import pytest

from icm.runs.history import HistoryError, HistoryWriter, history_of, read_history
from icm.runs.records import StepRecord

EXPERTS, MECHANISMS = 2, 3


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
    history = history_of(ROWS, EXPERTS, MECHANISMS)
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
    all_rows = history_of(ROWS, EXPERTS, MECHANISMS).all()
    assert all_rows.psnr[0] == pytest.approx((10 * 10 + 20 * 10 + 40 * 20) / 40)
    assert all_rows.losses[0].tolist() == [(5 + 10 + 15) / 3, 2.0]  # five steps each
    # Mechanism 0 had 4 images in row 1 with score 1, 10 in row 2 with score 3.
    assert all_rows.score[0, 0, 0] == pytest.approx((4 * 1 + 10 * 3) / 14)


def test_a_mechanism_without_an_image_has_no_score() -> None:
    first = history_of(ROWS, EXPERTS, MECHANISMS).until(5).all()
    assert np.isnan(first.score[0, :, 2]).all()
    assert not np.isnan(first.score[0, :, :2]).any()


def test_until_looks_at_the_run_as_it_was() -> None:
    history = history_of(ROWS, EXPERTS, MECHANISMS)
    assert [history.until(step).last_step for step in (0, 4, 5, 14, 15, 99)] == [0, 0, 5, 10, 15, 15]
    assert history.until(4).recent().images.tolist() == [0]
    assert history.until(4).one_to_one_count() == 0


def test_one_to_one_counts_mechanisms_with_an_expert_of_their_own() -> None:
    # Expert 0 wins 5 of 14 images of mechanism 0, expert 1 the others and all of mechanisms 1 and 2.
    assert history_of(ROWS, EXPERTS, MECHANISMS).one_to_one_count() == 0
    # After the first row each has one of its own, and mechanism 2 had no image.
    assert history_of(ROWS[:1], EXPERTS, MECHANISMS).one_to_one_count() == 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The history.f8 of a run whose rows were written one by one."""
    path = tmp_path / "history.f8"
    writer = HistoryWriter(path, EXPERTS, MECHANISMS, rows=[])
    for each in ROWS:
        writer.append(each)
    return path


def test_what_is_written_row_by_row_is_what_is_read(path: Path) -> None:
    expected = history_of(ROWS, EXPERTS, MECHANISMS)
    assert np.array_equal(read_history(path, EXPERTS, MECHANISMS).sums, expected.sums)


def test_a_row_cut_off_by_a_crash_is_left_out(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])
    assert read_history(path, EXPERTS, MECHANISMS).rows == 2


def test_a_resume_drops_later_rows_and_leaves_a_page_that_still_has_them_mapped(path: Path) -> None:
    mapped = read_history(path, EXPERTS, MECHANISMS)

    again = HistoryWriter(path, EXPERTS, MECHANISMS, rows=ROWS[:2])
    assert read_history(path, EXPERTS, MECHANISMS).last_step == 10
    again.append(ROWS[2])
    assert np.array_equal(read_history(path, EXPERTS, MECHANISMS).sums, mapped.sums)
    assert mapped.last_step == 15


def test_without_a_file_there_are_no_rows(tmp_path: Path) -> None:
    history = read_history(tmp_path / "history.f8", EXPERTS, MECHANISMS)
    assert (history.rows, history.last_step, history.one_to_one_count()) == (0, 0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e300])
def test_counts_that_no_run_can_have_are_told_as_damage(path: Path, value: float) -> None:
    sums = np.frombuffer(path.read_bytes(), "<f8").copy()
    sums[-sums.size // 3 :] = value  # the last row of three
    path.write_bytes(sums.tobytes())
    with pytest.raises(HistoryError, match=r"history\.f8 of this run is damaged"):
        read_history(path, EXPERTS, MECHANISMS)
