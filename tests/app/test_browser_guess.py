"""Guess who in a real browser: a bet by touch and by keyboard, the cards turn over, the count is right and kept."""

import re

from playwright.sync_api import Browser, Page, expect

from icm.runs.run import Run
from tests.app.frames import settled, wait_until
from tests.app.laboratory import tab

CARDS = ".cards button"


def owner_said(page: Page) -> str:
    """The badge of the expert that the sentence at the end says it is."""
    said = page.get_by_role("status").filter(has_text="The mechanism was")
    expect(said).to_be_visible()
    found = re.search(r"and (E\d) is its owner", said.inner_text())
    assert found is not None
    return found[1]


def check_end(page: Page, bet: str, rounds: int) -> None:
    """All is open, what is said fits the bet, and the count has one more."""
    owner = owner_said(page)
    expect(page.locator(f"{CARDS}.open")).to_have_count(10)
    expect(page.locator(f"{CARDS}.wins")).to_have_count(1)
    expect(page.locator(".slot canvas")).to_be_visible()
    scores = [float(each.replace("−", "-")) for each in page.locator(".cards em").all_inner_texts()]
    won = int(page.locator(f"{CARDS}.wins .back b").inner_text()[1:])
    assert scores[won] == max(scores)
    said = page.get_by_role("status").filter(has_text="The mechanism was").inner_text()
    assert ("You were right" in said) == (bet == owner), said
    assert ("fooled" in said) == (f"E{won}" != owner), said
    expect(page.locator(".tally")).to_have_text(
        re.compile(rf"You \d of {rounds} · the discriminator \d of {rounds}")
    )


def test_a_game_by_touch(chromium: Browser, server: str, boxed: Run) -> None:
    with tab(chromium, phone=True) as page:
        page.goto(f"{server}/guess?run=boxed")
        cards = page.locator(CARDS)
        expect(cards).to_have_count(10)
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for rounds in (1, 2):
            expect(page.get_by_role("status").filter(has_text="Bet on an expert")).to_be_visible()
            card = cards.nth(3)
            bet = card.locator("b").first.inner_text()
            card.tap()
            check_end(page, bet, rounds)
            page.get_by_role("button", name="Next digit").tap()
            expect(page.locator(f"{CARDS}.open")).to_have_count(0)


def test_a_game_by_keyboard_is_kept_while_another_page_is_looked_at(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/guess?run=boxed")
    expect(page.locator(CARDS)).to_have_count(10)
    settled(page)
    page.locator(CARDS).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    focused = page.locator(f"{CARDS}:focus")
    bet = focused.locator("b").first.inner_text()
    assert bet == "E6"  # two to the right, a row of five down, one to the left
    page.keyboard.press("Enter")
    check_end(page, bet, 1)
    tally = page.locator(".tally").inner_text()
    expect(page.get_by_role("button", name="Next digit")).to_be_focused()

    # Somebody looks at another page and comes back: the riddle is open, the count as it was.
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    page.get_by_role("link", name="Guess who").click()
    expect(page.locator(f"{CARDS}.open")).to_have_count(10)
    expect(page.locator(".tally")).to_have_text(tally)

    page.get_by_role("button", name="Next digit").focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{CARDS}.open")).to_have_count(0)
    expect(page.locator(CARDS).first).to_be_focused()


def test_who_plays_without_help_sees_where_experts_look_and_not_what_they_undo(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/guess?run=boxed")
    expect(page.locator(".cards small").first).to_have_text(re.compile("undoes"))
    page.get_by_text("Say what each expert undoes").click()
    expect(page.locator(".cards small").first).to_have_text("")
    expect(page.locator(f"{CARDS} .front img")).to_have_count(10)
    expect(page.locator(CARDS).first).to_have_attribute("aria-label", "Bet on E0")


def test_a_digit_that_was_given_on_draw_can_be_guessed_with(page: Page, server: str, boxed: Run) -> None:
    page.goto(f"{server}/draw?run=boxed")
    expect(page.locator(".icm-bars li")).to_have_count(10)
    settled(page)
    page.get_by_role("link", name="Guess who").click()
    expect(page.locator(CARDS)).to_have_count(10)
    changed = page.locator(".after canvas")
    before = changed.evaluate("canvas => canvas.toDataURL()")
    page.locator(CARDS).first.click()
    expect(page.locator(f"{CARDS}.open")).to_have_count(10)
    settled(page)
    page.get_by_text("Use my drawing").click()
    expect(page.locator(f"{CARDS}.open")).to_have_count(0)  # a bet on another digit says nothing of this one
    wait_until(
        page, lambda: changed.evaluate("canvas => canvas.toDataURL()") != before, "another digit is changed"
    )
