"""Home's tour and its five taps, and the four screens of Learn, in a real browser."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from icm.runs.run import Run
from pages.ui import words
from pages.ui.tour import STOPS
from tests.app.frames import settled, wait_until
from tests.app.laboratory import tab


def outlined(page: Page) -> str:
    """The selector of the stop whose place has an outline; empty when none has."""
    found = [
        stop.selector
        for stop in STOPS
        if any(page.locator(stop.selector).evaluate_all("all => all.map(each => each.style.outline !== '')"))
    ]
    assert len(found) <= 1
    return found[0] if found else ""


def test_the_tour_is_offered_once_and_walked_by_keyboard(page: Page, server: str) -> None:
    page.goto(server)
    offer = page.get_by_text("New here?")
    expect(offer).to_be_visible()
    settled(page)
    begin = page.get_by_role("button", name="Tour", exact=True)
    begin.focus()
    page.keyboard.press("Enter")
    expect(offer).to_be_hidden()
    card = page.get_by_role("dialog")
    for number, stop in enumerate(STOPS, start=1):
        expect(card).to_contain_text(f"{number} of {len(STOPS)} · {stop.title}")
        expect(card).to_contain_text(stop.words)
        assert outlined(page) == stop.selector
        page.keyboard.press("Enter")  # Next has the focus
    expect(card).to_be_hidden()
    assert outlined(page) == ""
    expect(begin).to_be_focused()

    # Again, there and back, and out by Escape; a second visit is not offered it.
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("2 of 5")
    page.keyboard.press("ArrowLeft")
    expect(card).to_contain_text("1 of 5")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_visible()
    expect(offer).to_be_hidden()


def test_who_wants_no_tour_is_not_asked_again(page: Page, server: str) -> None:
    page.goto(server)
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_text("New here?")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_visible()
    expect(page.get_by_text("New here?")).to_be_hidden()


def test_five_taps_on_home_play_a_round_of_the_run_in_the_box(chromium: Browser, server: str) -> None:
    with tab(chromium, phone=True) as page:
        page.goto(server)
        taps = page.get_by_role("radiogroup", name="Tap from left to right").get_by_role("radio")
        expect(taps).to_have_count(5)
        for at, shown in enumerate(("A digit", "E0", "", "The push", "E0: fake")):
            taps.nth(at).tap()
            expect(page.locator(".icm-station")).to_contain_text(shown)
            settled(page)
        taps.nth(2).tap()
        expect(page.locator(".icm-station .icm-bars li")).to_have_count(10)
        settled(page)
        late = page.locator(".icm-station .icm-bars em").all_inner_texts()
        page.get_by_role("radiogroup", name="After step").get_by_role("radio", name="0", exact=True).tap()
        expect(page.locator(".icm-station .icm-bars em").first).not_to_have_text(late[0])


def test_the_four_screens_are_turned_by_arrow_keys_and_words_explain_themselves(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/learn?run=boxed")
    for number, shown in enumerate(("up-left", "undoes", "The push", "dB"), start=1):
        expect(page.get_by_role("heading", name=re.compile(rf"^{number} · "))).to_be_visible()
        expect(page.get_by_label(f"Screen {number} of 4")).to_be_visible()
        expect(page.get_by_text(shown).first).to_be_visible()
        settled(page)
        for name, enabled in (("Back", number > 1), ("Next", number < 4)):  # a key does what its button does
            expect(page.get_by_role("button", name=name)).to_be_enabled(enabled=enabled)
        if number == 2:
            judge = page.get_by_role("button", name=re.compile("^discriminator"))
            meaning = page.get_by_text(words.GLOSSARY["discriminator"])
            expect(meaning).to_be_hidden()
            judge.focus()
            expect(meaning).to_be_visible()
            page.locator("h1").click()
            page.evaluate("document.activeElement.blur()")
            expect(meaning).to_be_hidden()
        if number < 4:
            page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("screen=4"))
    expect(page.get_by_text(re.compile(r"chose the owner for \d+% of the letters"))).to_be_visible()


@pytest.mark.parametrize("path", ["", "learn?screen=3", "learn?screen=4"])
def test_on_a_phone_nothing_is_wider_than_the_page(
    chromium: Browser, server: str, boxed: Run, path: str
) -> None:
    with tab(chromium, phone=True) as page:
        page.goto(f"{server}/{path}")
        expect(page.locator(".icm-said").first).to_be_visible()
        settled(page)
        wide = "document.querySelector('[data-testid=stMain]').scrollWidth"
        wait_until(page, lambda: page.evaluate(wide) <= 390, "it is as wide as the phone")
