"""Round in a real browser: arrow keys walk its path, it plays by itself, and the other rule is played on the same images."""

import json
import shutil

from playwright.sync_api import Page, expect

from icm.runs.run import Run
from pages.ui.stations import NAMES
from tests.app.frames import settled


def at(page: Page, station: int) -> None:
    """The page is at the station, in its heading, on its path and in its link."""
    expect(page.get_by_role("heading", name=f"{station} · {NAMES[station - 1]}")).to_be_visible()
    expect(page.locator(".icm-stations [aria-current=step] i")).to_have_text(str(station))
    settled(page)
    for name, enabled in (
        ("Back", station > 1),
        ("Next", station < len(NAMES)),
    ):  # a key does what its button does
        expect(page.get_by_role("button", name=name)).to_be_enabled(enabled=enabled)


def test_arrow_keys_walk_the_path_and_turn_the_images(page: Page, server: str, boxed: Run) -> None:
    page.goto(f"{server}/round?run=boxed")
    at(page, 1)
    for station in (2, 3, 4, 5):
        page.keyboard.press("ArrowRight")
        at(page, station)
    expect(page).to_have_url(f"{server}/round?run=boxed&station=5")
    page.keyboard.press("ArrowLeft")
    at(page, 4)
    pictures = page.locator(".icm-station img").first
    before = pictures.get_attribute("src")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text("Image 2 of")).to_be_visible()
    settled(page)
    assert pictures.get_attribute("src") != before
    page.keyboard.press("ArrowUp")
    expect(page.get_by_text("Image 1 of")).to_be_visible()
    settled(page)
    assert pictures.get_attribute("src") == before


def test_home_leads_to_it(page: Page, server: str, boxed: Run) -> None:
    page.goto(server)
    page.get_by_role("button", name="One round in slow motion").click()
    at(page, 1)


def test_it_plays_from_its_first_station_to_its_last(page: Page, server: str, boxed: Run) -> None:
    page.goto(f"{server}/round?run=boxed&station=3")
    at(page, 3)
    page.get_by_role("button", name="Play").click()
    at(page, 1)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    at(page, 5)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def help_one(run: Run, expert: int) -> Run:
    """A copy of the run, under another name, whose conscience helped this expert so much that it won everything."""
    helped = Run(shutil.copytree(run.folder, run.folder.parent / "helped"))
    rows = [json.loads(line) for line in helped.rows.metrics_file.read_text().splitlines()]
    for row in rows:
        row["bias"][expert] = 1000.0
    helped.rows.metrics_file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    helped.rows.history_file.unlink()
    return helped


def test_the_same_images_are_played_with_the_conscience_or_by_the_score_alone(
    page: Page, server: str, boxed: Run
) -> None:
    """Scores stay, since nothing was learned yet; who won by the conscience wins no longer, and the sentence about it goes."""
    helped = help_one(boxed, 9)
    page.goto(f"{server}/round?run={helped.id}&station=4")
    at(page, 4)
    expect(page.get_by_role("button", name="Inside E9")).to_be_visible()
    expect(page.get_by_text("By its score alone")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    at(page, 3)
    scores = page.locator(".icm-bars em").all_inner_texts()
    expect(page.locator(".icm-bars li.wins")).to_contain_text("E9")
    page.get_by_text("With the conscience").click()
    expect(page.locator(".icm-bars li").first).to_have_class("wins")  # the best score
    settled(page)
    assert page.locator(".icm-bars em").all_inner_texts() == scores
    page.get_by_role("button", name="Next").click()
    at(page, 4)
    expect(page.get_by_role("button", name="Inside E")).to_be_visible()
    expect(page.get_by_role("button", name="Inside E9")).to_have_count(0)
    expect(page.get_by_text("By its score alone")).to_have_count(0)


def test_losers_are_no_fakes_once_they_are_switched_off(page: Page, server: str, boxed: Run) -> None:
    page.goto(f"{server}/round?run=boxed&station=5")
    fakes = page.locator(".icm-station figcaption", has_text=": fake")
    expect(fakes).to_have_count(10)
    settled(page)
    page.get_by_text("Losers teach the discriminator").click()
    expect(fakes).to_have_count(1)


def test_a_door_on_monitor_leads_inside_an_expert_and_escape_leads_out(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/monitor?run=boxed&mechanism=up-left")
    expect(page.locator(".st-key-one-expert img")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Inside E").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("to the left and 3 up of it")).to_be_visible()
    expect(dialog.locator(".icm-everyone figure")).to_have_count(10)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
