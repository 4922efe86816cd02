"""What pages decide, without a page: the pace, the next frame, the words and verdicts."""

from dataclasses import replace

import numpy as np
import pytest

from icm.config import PAPER_MECHANISMS, RunConfig
from icm.measure.diagnosis import diagnose
from icm.measure.doubt import reliability
from icm.measure.evaluation import Evaluation
from icm.measure.transfer import in_sum
from icm.presets import PRESETS, preset
from icm.runs.index import IndexedRun
from icm.runs.run import Run
from icm.runs.status import Phase, RunState, Status
from icm.runs.store import RunStore
from pages.ui.decisions import (
    LOOK,
    REST,
    SLOWEST_LOOK,
    bounds_in_words,
    carried_over,
    changed_by_link,
    differences,
    discriminator_verdict,
    experts_verdict,
    frequencies_for,
    lines_of_card,
    next_preset,
    offered,
    pace,
    place_in_link,
    remedy,
    run_like,
    seconds_for_rows,
    step_in_link,
    sure_of,
    timed_in_words,
)
from pages.ui.run_view import RunView, apart, progress, time_left
from tests.test_diagnosis import EACH, KINDS, ONE_EACH, scores


def seen(
    run: Run, state: RunState, phase: Phase = "competing", speed: float = 2.0, step: int = 30, of: int = 60
) -> RunView:
    return RunView(run, run.config(), Status(phase, step, of, "", 0.0, speed), state)


@pytest.mark.parametrize(
    ("state", "live", "seconds"),
    [
        ("running", True, LOOK),
        ("running", False, None),  # the switch is off: the page stands still
        ("stopped", True, REST),  # somebody may resume it elsewhere
        ("crashed", True, REST),
        ("finished", True, None),
    ],
)
def test_monitor_looks_again_while_there_may_be_something_new(
    run: Run, state: RunState, live: bool, seconds: float | None
) -> None:
    assert pace(seen(run, state, speed=100.0), live) == seconds


@pytest.mark.parametrize(
    ("speed", "phase", "seconds"),
    [
        (100.0, "competing", LOOK),
        (12.5, "competing", 2.0),  # five rows of five steps at 12.5 steps a second
        (12.4, "competing", 3.0),  # a look before the fifth row would show too little that is new
        (0.1, "competing", SLOWEST_LOOK),
        (0.0, "competing", LOOK),  # no speed is known yet
        (0.1, "identity", LOOK),
    ],
)
def test_a_page_looks_whenever_five_rows_have_come_within_bounds(
    run: Run, speed: float, phase: Phase, seconds: float
) -> None:
    each = seen(run, "running", phase, speed)
    rows_of_five = replace(each.config, recording=replace(each.config.recording, every=5))
    assert seconds_for_rows(replace(each, config=rows_of_five)) == seconds


@pytest.mark.parametrize(
    ("said", "step"),
    [("25", 25), ("0", 0), ("59", 59), ("60", None), ("999", None), ("-1", None), ("²", None), (None, None)],
)
def test_a_link_names_a_step_that_the_run_has_passed_else_the_newest(
    said: str | None, step: int | None
) -> None:
    assert step_in_link(said, newest=60) == step


def test_the_remedy_is_as_many_experts_as_there_are_kinds_else_another_seed() -> None:
    idle = np.full((1, KINDS * EACH), -60.0)
    too_few, too_many = [[0], [1], [2], [3], [4, 5]], [*ONE_EACH, [2]]
    assert remedy(diagnose(scores(too_few)), 7) == ("Start again with 6 experts", {"experts": "6"})
    assert remedy(diagnose(scores(too_many)), 7) == ("Start again with 6 experts", {"experts": "6"})
    uneven = diagnose(np.concatenate([scores(too_few), idle]))
    assert remedy(uneven, 7) == ("Start again with another seed", {"seed": "8"})


@pytest.mark.parametrize(
    ("link", "seed", "experts"),
    [
        ({"experts": "9"}, 4, 9),
        ({"seed": "5"}, 5, 10),
        ({"seed": "0", "experts": "1"}, 0, 1),
        ({"seed": "2147483648", "experts": "101"}, 4, 10),
        ({"seed": "-1", "experts": "0"}, 4, 10),
        ({"seed": "two", "experts": "²"}, 4, 10),
        ({"seed": "9" * 5000, "experts": "9" * 5000}, 4, 10),
        ({}, 4, 10),
    ],
)
def test_a_link_to_the_form_may_name_seed_and_experts(link: dict[str, str], seed: int, experts: int) -> None:
    base = replace(PRESETS["robust"], seed=4)
    wanted = replace(base, seed=seed, model=replace(base.model, experts=experts))
    assert changed_by_link(base, link) == wanted


def test_fewer_experts_than_an_open_roster_begins_with_all_begin() -> None:
    base = PRESETS["robust"]
    base = replace(base, roster=replace(base.roster, rule="open", start=4))
    changed = changed_by_link(base, {"experts": "3"})
    assert (changed.model.experts, changed.roster.start) == (3, 3)


def test_the_papers_mechanisms_are_offered_with_those_of_the_run_and_the_chosen_ones() -> None:
    known = [*PAPER_MECHANISMS, "rotation", "scale", "blur"]
    assert offered(known, ("right=3", "blur=2"), ["rotation"], more=False) == [
        *PAPER_MECHANISMS,
        "rotation",
        "blur",
    ]
    assert offered(known, ("right",), [], more=False) == [*PAPER_MECHANISMS]
    assert offered(known, (), [], more=True) == known


def test_why_a_preset_has_no_time_is_said() -> None:
    assert "about 66 s" in timed_in_words(66.0, training=True, timing=True)
    assert "could not be timed" in timed_in_words(None, training=True, timing=False)
    assert "not timed while" in timed_in_words(None, training=True, timing=True)
    assert "being timed" in timed_in_words(None, training=False, timing=True)


def test_a_preset_takes_as_long_as_its_newest_finished_run_here(store: RunStore) -> None:
    tiny = preset("tiny")

    def run(name: str, config: RunConfig, state: RunState = "finished") -> IndexedRun:
        made = store.create(name, config, {})
        return IndexedRun(made, 0.0, name, trained=True, config=config, state=state, seconds=125.0)

    same, other = run("same", replace(tiny, seed=7, source="builtin")), run("other", preset("quick"))
    unfinished, gone_bad = run("half", tiny, "stopped"), replace(run("bad", tiny), config=None, state=None)
    from_elsewhere = run("box", tiny)
    from_elsewhere.run.write_card({})
    assert run_like(tiny, [other, unfinished, gone_bad, from_elsewhere]) is None
    assert run_like(tiny, [other, from_elsewhere, same, run("older", tiny)]) == same
    assert "about 2 min on this machine, as same took" in timed_in_words(5.0, False, True, like=same)


def test_what_differs_is_listed_with_both_values(store: RunStore, short: RunConfig) -> None:
    other = replace(short, seed=5, mechanisms=("right", "noise"))
    left = seen(store.create("left", short, {}), "stopped")
    right = seen(store.create("right", other, {}), "stopped")
    assert differences(left, right) == {
        "setting": ["seed", "mechanisms"],
        "left": ["0", "right=6, left=6, contrast"],
        "right": ["5", "right, noise"],
    }
    assert differences(left, left) is None


def test_runs_of_one_name_are_told_apart_by_their_ids() -> None:
    assert apart({"a": "mine", "b": "mine", "c": "other"}) == {"a": "mine · a", "b": "mine · b", "c": "other"}


def measured(psnr_owner: list[float | None], nothing: float, routing: float) -> Evaluation:
    """Two mechanisms; expert 0 owns the first, expert 1 the second, each wins the share `routing`."""
    owner = [expert if quality is not None else None for expert, quality in enumerate(psnr_owner)]
    share = np.array([[routing, 1 - routing], [1 - routing, routing]])
    known = [quality or 0.0 for quality in psnr_owner]
    return Evaluation(
        ["right", "left"], share, owner, known, psnr_owner, [nothing] * 2, np.zeros((len(share), 2))
    )


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (9.0, "carry over"),
        (4.0, "carry over"),  # half of the 8 dB that are gained on the digits
        (3.99, "partly carry over"),
        (2.0, "partly carry over"),  # a quarter
        (1.99, "do not carry over"),
        (-1.0, "do not carry over"),
    ],
)
def test_the_experts_verdict_follows_the_part_of_their_gain_that_is_left(gain: float, verdict: str) -> None:
    assert experts_verdict(8.0, gain) == verdict


@pytest.mark.parametrize(
    ("routing", "verdict"),
    [
        (0.8, "carries over"),
        (0.72, "carries over"),  # nine tenths of 0.8
        (0.71, "partly carries over"),
        (0.4, "partly carries over"),  # half
        (0.39, "does not carry over"),
        (0.0, "does not carry over"),
    ],
)
def test_the_discriminators_verdict_follows_the_part_of_its_routing_that_is_left(
    routing: float, verdict: str
) -> None:
    assert discriminator_verdict(0.8, routing) == verdict


def test_without_enough_on_the_digits_there_is_nothing_to_carry_over() -> None:
    assert experts_verdict(3.0, 3.0) == "carry over"
    assert experts_verdict(2.99, 9.0) == "have little to carry over yet"
    assert discriminator_verdict(0.5, 0.5) == "carries over"
    assert discriminator_verdict(0.49, 0.9) == "has little to carry over yet"


def test_the_verdicts_are_told_with_the_figures_they_follow_from() -> None:
    # 20 and 22 dB on the digits against 12 are 9 dB gained; 16 against 13 are 3 dB, a third.
    here, there = measured([20.0, 22.0], 12.0, 0.9), measured([16.0, 16.0], 13.0, 0.6)
    said = carried_over(here, there, "the digits", "Omniglot")
    assert "**The experts partly carry over.** On Omniglot the owners' answers gain 3.0 dB over doing" in said
    assert "(16.0 dB instead of 13.0); on the digits they gain 9.0 dB" in said
    assert "**The discriminator partly carries over.** It sends 60% of Omniglot to" in said
    assert "of the digits 90%" in said
    worse = carried_over(here, measured([12.0, 12.0], 13.0, 0.6), "the digits", "Omniglot")
    assert "do not carry over.** On Omniglot the owners' answers are 1.0 dB worse than doing nothing" in worse


def test_the_bounds_are_told() -> None:
    assert "at least 50% of the dB" in bounds_in_words("the digits")
    assert "partly from 25%" in bounds_in_words("the digits")
    assert "at least 90% of the share" in bounds_in_words("the digits")


def test_without_owners_there_is_no_verdict_and_with_some_it_says_how_many() -> None:
    there = measured([15.0, 15.0], 12.0, 0.6)
    assert "No expert owns a mechanism yet" in carried_over(
        measured([None, None], 12.0, 0.3), there, "a", "b"
    )
    assert "Only 1 of 2 mechanisms" in carried_over(measured([20.0, None], 12.0, 0.9), there, "a", "b")


def test_what_is_gained_is_held_against_the_mechanisms_that_have_an_owner() -> None:
    # Contrast, which leaves 1 dB, has an owner; a shift, which leaves 10, has none.
    found = replace(measured([15.0, None], 1.0, 0.9), psnr_nothing=[1.0, 10.0])
    assert "they gain 14.0 dB" in carried_over(found, found, "a", "b")
    assert in_sum(found)["psnr_owner"] == 12.5  # where nobody owns, nothing is done
    assert in_sum(found)["psnr_nothing"] == 5.5
    assert in_sum(replace(found, psnr_owner=[None, None]))["psnr_owner"] == 5.5


def test_of_how_many_it_is_sure_and_how_right_it_is_then_is_told() -> None:
    found = reliability(np.array([1.0, 1.0, 1.0, 0.5]), np.array([True, True, False, True]))
    said = sure_of(found, "Omniglot")
    assert said.startswith(
        "Of Omniglot it is sure of 75.0% of the winners (confidence 99% and more), and 66.7% of these own"
    )
    assert said.endswith(
        "the winner's share in a softmax of all experts' scores, is off by 37.5% in the mean."
    )  # by 1/3 of three quarters, and by 1/2 of one
    assert "sure of no winner" in sure_of(reliability(np.array([0.5]), np.array([True])), "Omniglot")


def test_a_card_gives_a_line_for_each_known_set_with_gaps_where_it_says_nothing() -> None:
    rows = [
        {"set": "mnist", "step": 0, "psnr_owner": 10.0},
        {"set": "omniglot", "step": 100, "psnr_owner": 8.0},
        {"set": "mnist", "step": 100, "psnr_owner": 19.0},
        {"set": "of tomorrow", "step": 300, "psnr_owner": 9.0},
    ]
    steps, lines = lines_of_card({"over_steps": rows}, ("mnist", "omniglot"), "psnr_owner")
    assert steps == [0, 100]
    assert lines["mnist"].tolist() == [10.0, 19.0]
    np.testing.assert_array_equal(lines["omniglot"], [np.nan, 8.0])


def test_progress_and_time_left_are_of_the_present_phase(run: Run) -> None:
    running = seen(run, "running")
    assert progress(running) == (0.5, "Competition: step 30 of 60")
    assert time_left(running) == "15 s"  # 30 steps at 2 a second
    assert time_left(seen(run, "stopped", "stopped")) == "–"
    assert progress(seen(run, "stopped", "created", step=0))[1] == "Never started: Resume begins it"


def test_a_mechanism_keeps_its_frequency_in_the_form_and_a_new_one_gets_1() -> None:
    base = replace(preset("tiny"), frequencies=(2.0, 3.0, 5.0))  # right=6, left=6, contrast
    assert frequencies_for(base, ["contrast", "noise", "right=2"]) == (5.0, 1.0, 2.0)
    assert frequencies_for(preset("tiny"), ["contrast", "noise"]) == ()


def test_all_ten_mechanisms_are_recommended_after_a_first_small_run(run: Run) -> None:
    assert next_preset(seen(run, "finished")) == "robust"  # a tiny one
    assert next_preset(seen(run, "running")) is None
    large = seen(run, "finished")
    assert next_preset(replace(large, config=preset("paper"))) is None


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (None, 0),
        ("", 0),
        ("1", 0),
        ("3", 2),
        ("5", 4),
        ("9", 4),
        ("0", 0),
        ("-2", 0),
        ("²", 0),
        ("x", 0),
        ("9" * 5000, 0),
    ],
)
def test_a_link_names_one_of_five_places(said: str | None, place: int) -> None:
    assert place_in_link(said, 5) == place
