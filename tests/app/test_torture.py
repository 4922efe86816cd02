"""The short form of each trial of tests/torture: a few cases in seconds, where all full forms together take hours."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.torture.__main__ import understood
from tests.torture.forks import PROJECT
from tests.torture.ground import Ground, ground
from tests.torture.rows import FAILURES_KEPT, Row, Tally
from tests.torture.seen import Seen
from tests.torture.served import Raised, raised_in
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


def traceback_through(*paths: str) -> str:
    frames = "".join(f'  File "{PROJECT}/{path}", line 7, in some\n    some()\n' for path in paths)
    return f"Traceback (most recent call last):\n{frames}ValueError: {paths[-1]}\n"


def test_a_traceback_is_ours_wherever_a_page_or_icm_stands_in_it() -> None:
    inside = ".venv/lib/python3.11/site-packages/streamlit/state.py"
    ours = [("pages/draw.py", inside), ("icm/store.py",), (inside, "app.py")]
    theirs = [(inside,), ("app.py", inside)]  # app.py hands every request on
    log = "started\n" + "".join(traceback_through(*paths) for paths in ours + theirs)
    found = raised_in(log)
    assert [each.through_ours for each in found] == [True] * len(ours) + [False] * len(theirs)
    assert [each.in_ours for each in found] == [False, True, True, False, False]
    assert found[0] == Raised(f"ValueError: {inside}", in_ours=False, through_ours=True)


def test_a_wait_lasts_from_the_request_to_the_end_of_the_run_that_answers_it() -> None:
    seen = Seen()

    def ask(fragment: str, now: float) -> None:
        seen.sent(BackMsg(rerun_script=ClientState(fragment_id=fragment)), now)

    def answer(*fragments: str, begun: float, ended: float, status: str = "FINISHED_SUCCESSFULLY") -> None:
        begin, end = ForwardMsg(), ForwardMsg(script_finished=status)  # pyright: ignore[reportArgumentType]
        begin.new_session.name = "app"
        for message in (begin, end):
            message.metadata.run.fragment_ids.extend(fragments)
        seen.received(begin, begun)
        seen.received(end, ended)

    ask("pad", 1.0)
    ask("other", 2.0)
    answer("pad", begun=3.0, ended=4.0)
    assert (seen.ticks, seen.waits) == ([1.0], [3.0])  # the other one is still in the queue
    ask("other", 6.0)
    answer("other", begun=5.0, ended=7.0)
    assert seen.waits == [3.0, 5.0]  # asked for while it ran: the next run answers
    ask("", 8.0)
    answer(begun=9.0, ended=10.0, status="FINISHED_EARLY_FOR_RERUN")
    answer(begun=10.0, ended=12.0)
    assert seen.waits == [3.0, 5.0, 6.0, 4.0]  # a run of the page runs its fragments too
    assert seen.ticks[-1] == 3.0  # one tick, from the first run on
    ask("gone", 13.0)
    ask("pad", 14.0)
    answer("pad", begun=15.0, ended=16.0)
    answer(begun=20.0, ended=21.0)
    assert seen.waits == [3.0, 5.0, 6.0, 4.0, 2.0]  # what the server dropped is not waited for


def test_named_trials_are_played_alone_and_all_of_them_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert understood(["--json", "races", "disk"]).trial == ["races", "disk"]
    assert understood([]).trial == list(TRIALS)
    with pytest.raises(SystemExit):
        understood(["rot45"])
    assert "unknown trial 'rot45'; known: crashes" in capsys.readouterr().err
