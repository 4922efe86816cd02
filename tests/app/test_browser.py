"""The app in a real browser, with a real server and a real trainer: launch, watch, travel through time.

The browser and its server are in conftest.py."""

import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from icm.config import RunConfig
from icm.files import PROJECT
from icm.jobs import launch
from icm.runs.run import SHIPPED, Run
from icm.runs.store import RunStore
from tests.app.frames import frames_of, script_runs, settled, wait_until
from tests.app.laboratory import tab


def steps_done(page: Page) -> int:
    """The step that the bar on the page tells."""
    text = page.get_by_text(re.compile(r"step [\d,]+ of")).first.inner_text()
    return int(re.search(r"step ([\d,]+) of", text)[1].replace(",", ""))  # pyright: ignore[reportOptionalSubscript]


def images_won(page: Page) -> int:
    """The number under the table of wins: images won since the start."""
    text = page.get_by_text(re.compile(r"images won since the start, [\d,]+")).inner_text()
    return int(re.search(r"start, ([\d,]+)", text)[1].replace(",", ""))  # pyright: ignore[reportOptionalSubscript]


def wait_for_more(page: Page, than: int) -> int:
    """Waits until more images are won; returns how many."""
    wait_until(page, lambda: images_won(page) > than, f"more than {than} images are won")
    return images_won(page)


def start_tiny(page: Page, server: str, store: RunStore, steps: int) -> Run:
    """Starts a run from the form; Monitor opens by itself."""
    page.goto(f"{server}/train")
    page.get_by_role("button", name="Choose tiny").click()
    expect(page.get_by_text("--preset tiny")).to_be_visible()
    field = page.get_by_role("spinbutton", name="Steps", exact=True).first
    field.fill(str(steps))
    field.press("Enter")
    expect(page.get_by_text(f"--training.steps {steps}")).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name="Monitor")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/monitor\?run=tiny-s0-"))
    (run,) = store.runs()
    return run


def test_launch_watch_reload_stop_resume(page: Page, server: str, store: RunStore) -> None:
    run = start_tiny(page, server, store, steps=100_000)

    # The counts move from one look of the page to the next.
    looks = script_runs(page)
    page.get_by_text("The numbers").click()
    first = wait_for_more(page, than=0)
    before = len(looks)
    wait_for_more(page, than=first)
    assert len(looks) <= before + 4

    # A reload and a second tab see the same run.
    before = steps_done(page)
    page.reload()
    assert steps_done(page) >= before
    second = page.context.new_page()
    second.goto(page.url)
    expect(second.get_by_role("combobox", name="Run")).to_have_value(re.compile(run.id))
    assert steps_done(second) >= before
    second.close()

    # Stop on Train: the trainer has saved and said so within five seconds of hearing it.
    page.goto(f"{server}/train?run={run.id}")
    page.get_by_role("button", name="Stop").click()
    wait_until(
        page,
        lambda: run.trainer.stop_requested() or run.state() == "stopped",
        "the page asks the trainer to stop",
    )
    asked = time.time()
    expect(page.get_by_text("Stopped at step")).to_be_visible()
    wait_until(page, lambda: run.state() == "stopped", "the trainer has let go of it")
    assert run.status().heartbeat - asked < 5  # its last word
    stopped_at = run.status().step

    # Resume goes on from there, and no row is missing or there twice.
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", name="Monitor")).to_be_visible()
    wait_until(page, lambda: run.status().step > stopped_at + 20, "the resumed run goes on")
    rows = [row["step"] for row in run.rows.read()]
    assert rows == list(range(1, len(rows) + 1))


def test_a_run_that_is_watched_to_its_end_is_finished_and_on_home(
    page: Page, server: str, store: RunStore
) -> None:
    run = start_tiny(page, server, store, steps=90)
    expect(page.get_by_text("step 90 of 90")).to_be_visible()
    wait_until(page, lambda: run.state() == "finished", "the trainer has let go of it")
    assert [row["step"] for row in run.rows.read()] == list(range(1, 91))

    page.goto(server)
    expect(page.get_by_text("Your newest run")).to_be_visible()
    expect(page.get_by_text("Finished: 90 steps")).to_be_visible()
    # The picture on top is that of the run in the box all the same.
    last = str(Run(PROJECT / "checkpoints" / SHIPPED).config().training.steps)
    expect(page.get_by_role("slider", name="Step of the run")).to_have_attribute("aria-valuemax", last)


def answers_shown(page: Page, step: int) -> str | None:
    """The picture of everyone's answers after that step, which is inlined in its address."""
    picture = page.locator(f".st-key-answers img[alt$=' {step}']")
    expect(picture).to_be_visible()
    return picture.get_attribute("src")


def test_time_travel_a_cell_of_the_heat_map_and_a_link_that_shows_the_same(
    page: Page, server: str, finished: Run, chromium: Browser
) -> None:
    page.goto(f"{server}/monitor?run=finished&large=true")
    last = answers_shown(page, step=60)
    playhead = page.get_by_role("slider", name="Step of the run")
    playhead.focus()
    for _ in range(30):  # points of the axis, of which there is one a step
        page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("step=30"))
    expect(page.get_by_text("after step 25.")).to_be_visible()
    then = answers_shown(page, step=25)
    assert then != last

    # The middle of the heat map: expert 1 on the second mechanism, 3 x 3 cells.
    chart = page.locator(".st-key-table canvas").last  # the topmost of its layers
    box = chart.bounding_box()
    assert box is not None
    chart.click(position={"x": 0.6 * box["width"], "y": 0.45 * box["height"]})
    expect(page.get_by_text("E1 on left=6 after step 25")).to_be_visible()
    expect(page).to_have_url(re.compile("mechanism=left"))

    # The link in another browser: the same run, step, mechanism and expert.
    context = chromium.new_context()
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_text("E1 on left=6 after step 25")).to_be_visible()
    assert answers_shown(other, step=25) == then
    context.close()


def trainer_of(run: Run) -> int:
    """The process id of the run's trainer, found by its command line."""
    found = subprocess.run(
        ["pgrep", "-f", f"icm resume {run.id} --store {run.folder.parent} "],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout.split()[0])


def test_a_killed_trainer_is_called_crashed_and_a_halted_one_stalled(
    page: Page, server: str, store: RunStore, root: Path, tiny: RunConfig
) -> None:
    config = replace(tiny, training=replace(tiny.training, steps=100_000))
    run = launch.create(store, "long", config, root, command="a test")
    launch.start(run, root)
    page.goto(f"{server}/monitor?run=long")
    badge = page.locator("[data-testid=stMarkdownBadge], .stMarkdownBadge").first
    expect(badge).to_contain_text("running")

    os.kill(trainer_of(run), signal.SIGSTOP)
    expect(badge).to_contain_text("stalled")  # ten seconds without a heartbeat, and a tick
    os.kill(trainer_of(run), signal.SIGCONT)
    expect(badge).to_contain_text("running")

    os.kill(trainer_of(run), signal.SIGKILL)
    expect(badge).to_contain_text("crashed")
    page.reload()
    expect(badge).to_contain_text("crashed")
    expect(page.get_by_text("Resume goes on from the last saved state")).to_be_visible()


# Where a chart is on its page, however far that is scrolled.
PLACE_UNDER_THE_DIAGNOSIS = """chart => {
  const [here, above] = [chart, document.querySelector('.st-key-diagnosis')].map(each => each.getBoundingClientRect())
  const page = document.querySelector('.stMainBlockContainer').getBoundingClientRect()
  return [here.x - page.x, here.y - above.bottom, above.y - page.y, here.width, here.height]
}"""


def at_rest(page: Page, chart: Locator) -> bytes:
    """A picture of the chart, once two in a row are the same."""
    pictures = [chart.screenshot(), chart.screenshot()]

    def same() -> bool:
        pictures.append(chart.screenshot())
        return pictures[-1] == pictures[-2]

    wait_until(page, same, "the chart stands still")
    return pictures[-1]


def test_a_tick_neither_flickers_nor_runs_the_whole_page_and_a_paused_page_keeps_its_zoom(
    page: Page, server: str, store: RunStore, root: Path, tiny: RunConfig
) -> None:
    config = replace(tiny, training=replace(tiny.training, steps=100_000))
    run = launch.create(store, "long", config, root, command="a test")
    launch.start(run, root)
    wait_until(page, lambda: run.status().step > 20, "there is a line to be drawn")
    runs = script_runs(page)
    page.goto(f"{server}/monitor?run=long&lines=true")
    expect(page.locator(".st-key-one-expert img")).to_be_visible()
    assert runs[0] == "the page"
    race = page.locator(".st-key-race canvas").first  # by name: charts further down may be drawn before it
    race.scroll_into_view_if_needed()
    begun = len(runs)
    wait_until(page, lambda: len(runs) > begun + 2, "the page ticks")

    # Ticks: parts of the page run, the chart stays the element that it was, and no painted frame lacks its ink.
    race.evaluate("chart => { chart.marked = true }")
    before = len(runs)
    frames = frames_of(page, race, until=lambda: len(runs) >= before + 6)
    assert set(runs[before:]) == {"a fragment"}
    assert race.evaluate("chart => chart.marked === true && chart.isConnected")
    assert len(frames) >= 4, "nothing moved"
    assert any((frame != frames[0]).any() for frame in frames)
    ink = [(np.abs(frame - np.median(frame)) > 20).sum() for frame in frames]
    assert min(ink) > 0.8 * max(ink), ink

    # Paused: the chart is still the same element in the same place, but for the diagnosis above it, which a pause makes anew, from
    # more images. Zoomed, it is the same picture later, while the run goes on.
    place = race.evaluate(PLACE_UNDER_THE_DIAGNOSIS)
    page.get_by_text("Live", exact=True).click()
    expect(page.get_by_test_id("stCheckbox").filter(has_text="Live").locator("input")).not_to_be_checked()
    settled(page)
    assert race.evaluate("chart => chart.marked === true && chart.isConnected")
    assert race.evaluate(PLACE_UNDER_THE_DIAGNOSIS) == place
    race.scroll_into_view_if_needed()
    whole = at_rest(page, race)
    box = race.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 47, box["y"] + 24)  # the zoom tool
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 160, steps=5)
    page.mouse.up()
    page.mouse.move(0, 0)
    zoomed, at = at_rest(page, race), run.status().heartbeat
    assert zoomed != whole
    wait_until(page, lambda: run.status().heartbeat > at + 4, "the run goes on")
    assert race.screenshot() == zoomed


@pytest.mark.parametrize(
    ("path", "heading"),
    [("", "Who undoes what?"), ("train", "Train"), ("monitor", "Monitor"), ("versus", "Side by side")],
)
def test_a_deep_link_works_on_a_fresh_server(
    chromium: Browser, fresh_server: str, path: str, heading: str
) -> None:
    with tab(chromium) as page:
        page.goto(f"{fresh_server}/{path}")
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        expect(page.get_by_text("Traceback")).to_have_count(0)
        headers = page.request.get(fresh_server).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_phone_sees_every_page_without_scrolling_sideways(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("", "train", "monitor", "versus"):
        page.goto(f"{server}/{path}")
        expect(page.get_by_role("heading").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_tab_leaves_nothing_stored_for_the_next(desk: BrowserContext, server: str) -> None:
    for _ in range(2):
        with tab(desk) as page:
            page.goto(f"{server}/favicon.png")
            assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
            page.evaluate("localStorage.left = document.cookie = 'left=behind'")
