"""The short form of each trial of tests/torture: what hundreds of cases hold in minutes, a few hold in seconds here."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.torture.__main__ import understood
from tests.torture.ground import Ground, ground
from tests.torture.rows import FAILURES_KEPT, Row, Tally
from tests.torture.trials import TRIALS, run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("torture")) as place:
        yield place


def expect_held(row: Row) -> None:
    assert row.cases > 0
    assert row.passed, "\n".join([str(row.marks), *row.failures])


def test_a_trainer_that_is_killed_or_told_to_end_loses_nothing(place: Ground) -> None:
    expect_held(run(place, "crashes", short=True))


def test_a_failing_disk_costs_no_saved_state_and_is_told_in_a_line(place: Ground) -> None:
    expect_held(run(place, "disk", short=True))


def test_damaged_networks_and_rows_are_noticed(place: Ground) -> None:
    expect_held(run(place, "damage", short=True))


def test_a_damaged_small_file_breaks_no_page(place: Ground) -> None:
    expect_held(run(place, "small_files", short=True))


def test_many_at_once_leave_one_trainer_and_no_husk(place: Ground) -> None:
    expect_held(run(place, "races", short=True))


def test_strangers_neither_get_in_nor_send_the_browser_elsewhere(place: Ground, chromium: Browser) -> None:
    expect_held(run(place, "strangers", short=True, browser=chromium))


def test_hostile_pictures_become_a_picture_or_a_sentence(place: Ground) -> None:
    expect_held(run(place, "pictures", short=True))


def test_a_crowd_that_watches_and_draws_sees_no_error(place: Ground, chromium: Browser) -> None:
    expect_held(run(place, "crowd", short=True, browser=chromium))


def test_a_missed_mark_fails_its_trial_and_is_told_in_words() -> None:
    tally = Tally.of("some", "lost", "found")
    tally.cases += 2
    assert tally.row().passed
    for number in range(FAILURES_KEPT + 1):
        tally.miss("lost", f"case {number}")
    row = tally.row()
    assert not row.passed
    assert row.to_json()["marks"] == {"lost": FAILURES_KEPT + 1, "found": 0}
    assert row.failures[0] == "lost: case 0"
    assert len(row.failures) == FAILURES_KEPT


def test_a_trial_without_a_case_has_not_passed() -> None:
    assert not Tally.of("some", "lost").row().passed


def test_named_trials_are_played_alone_and_all_of_them_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert understood(["--json", "races", "disk"]).trial == ["races", "disk"]
    assert understood([]).trial == list(TRIALS)
    with pytest.raises(SystemExit):
        understood(["rot45"])
    assert "unknown trial 'rot45'; known: crashes" in capsys.readouterr().err
