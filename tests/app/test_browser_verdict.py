"""Monitor judges a run's experts without the truth, in a real browser: at once a place for it, then what the scores say, and beside it,
for who asks, what the truth says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from icm.config import RunConfig
from icm.jobs import launch
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.frames import settled, wait_until


def panel(page: Page) -> Locator:
    return page.locator(".st-key-diagnosis")


@pytest.fixture
def planted(boxed: Run) -> Run:
    """The run in the box with E9 exchanged for a copy of E3, which wins every tie: so E9 wins nothing."""
    last = boxed.snapshots.steps()[-1]
    arrays = boxed.snapshots.read(last)
    for name, values in arrays.items():
        if name.startswith("experts."):
            of_each = np.moveaxis(values, 1 if "running" in name else 0, 0)
            of_each[9] = of_each[3]
    boxed.snapshots.save(last, arrays)
    return boxed


def test_the_run_in_the_box_is_judged_without_the_truth_and_the_truth_agrees(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/monitor?run=boxed")
    expect(panel(page).get_by_text("the number looks right")).to_be_visible()
    chips = panel(page).locator(".icm-door")
    expect(chips).to_have_text([re.compile(rf"^E{each}\s*one kind$") for each in range(10)])
    expect(panel(page).get_by_text("truth says")).to_have_count(0)
    expect(page.locator(".st-key-start-again")).to_have_count(0)

    panel(page).get_by_text("Compare with the truth").click()
    expect(panel(page).get_by_text("The truth says the same.")).to_be_visible()
    card = boxed.card()
    assert card is not None
    owner = card["digits"]["owner"]["right"]
    expect(chips.nth(owner)).to_have_text(re.compile(r"one kind · right$"))
    expect(page).to_have_url(re.compile("truth=true"))


def test_who_idles_is_found_and_a_button_begins_again(page: Page, server: str, planted: Run) -> None:
    page.goto(f"{server}/monitor?run=boxed&truth=true")
    expect(panel(page).get_by_text("E9 idles: it wins 0.0% of 300 images.")).to_be_visible()
    expect(panel(page).locator(".icm-door").nth(9)).to_have_text(re.compile(r"^E9\s*idle"))
    # Ten kinds of images are still there for ten experts, so the number is right and the sharing is not.
    page.get_by_role("button", name="Start again with another seed").click()
    expect(page).to_have_url(re.compile("like=boxed"))
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("101")
    expect(page.get_by_text(re.compile(r"icm train --preset robust .*--seed 101"))).to_be_visible()


def test_a_run_is_judged_while_it_trains(
    page: Page, server: str, store: RunStore, root: Path, tiny: RunConfig
) -> None:
    run = launch.create(
        store, "long", replace(tiny, training=replace(tiny.training, steps=5000)), root, command="a test"
    )
    launch.start(run, root)
    wait_until(page, lambda: len(run.snapshots.steps()) > 1, "there is a snapshot to judge")
    page.goto(f"{server}/monitor?run=long")
    judged = panel(page).get_by_text(re.compile(r"After step [\d,]+, by \d+ images"))
    expect(judged).to_be_visible()
    first = judged.inner_text()
    wait_until(page, lambda: judged.inner_text() != first, "a later snapshot is judged")
    expect(page.locator(".st-key-start-again")).to_have_count(0)  # not before it has ended
    run.trainer.request_stop()
    wait_until(page, lambda: run.state() == "stopped", "it stops")
    settled(page)
