"""Inside in a real browser: a dot that somebody moves and what the expert answers to it, and another expert beside it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from icm.config import mechanism_title
from icm.runs.run import Run
from tests.app.frames import at_rest, settled

# How many ms and how many frames lie between the event and the first frame in which the answer's pixels are others.
WATCH = """given => {
  const answer = given.getRootNode().querySelector(".answer")
  const pixels = () => answer.getContext("2d").getImageData(0, 0, 32, 32).data.join()
  window.took = []
  const moved = (event) => {
    const before = pixels()
    let frames = 0
    const look = () => {
      frames++
      if (pixels() === before) requestAnimationFrame(look)
      else window.took.push([performance.now() - event.timeStamp, frames])
    }
    requestAnimationFrame(look)
  }
  for (const kind of ["pointermove", "keydown"]) given.addEventListener(kind, moved, { capture: true })
}"""
ANSWERED = "moves => window.took.length === moves"
BRIGHTEST = """answer => {
  const grey = answer.getContext("2d").getImageData(0, 0, 32, 32).data.filter((_, at) => at % 4 === 0)
  const at = grey.indexOf(Math.max(...grey))
  return [at % 32, Math.floor(at / 32)]
}"""


def opened(page: Page, server: str, mechanism: str) -> Locator:
    """The dialog of the expert that owns the mechanism, with the answers to the dot in it."""
    page.goto(f"{server}/monitor?run=boxed&mechanism={mechanism}")
    expect(page.locator(".st-key-one-expert img")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Inside E").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile("brightest .* of the dot"))).to_be_visible()
    expect(dialog.get_by_text("Its wins")).to_be_visible()
    settled(page)
    return dialog


def test_an_answer_follows_the_dot_within_100_ms(page: Page, server: str, boxed: Run) -> None:
    given = opened(page, server, "left").locator("canvas.given")
    given.scroll_into_view_if_needed()
    box = given.bounding_box()
    assert box is not None
    given.focus()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    given.evaluate(WATCH)
    one = box["width"] / 32
    for move in range(25):
        page.mouse.move(box["x"] + (move % 9 + 6.5) * one, box["y"] + (move // 2 + 8.5) * one)
        page.wait_for_function(ANSWERED, arg=move + 1)
    for move in range(25, 50):
        page.keyboard.press(("ArrowRight", "ArrowUp")[move % 2])
        page.wait_for_function(ANSWERED, arg=move + 1)
    took = page.evaluate("took")
    assert sorted(frames for _, frames in took)[47] <= 2, took
    assert sorted(ms for ms, _ in took)[47] < 100, took


@pytest.mark.parametrize(("mechanism", "right", "down"), [("right", -4, 0), ("up_left", 4, 4)])
def test_who_undoes_a_shift_moves_the_dot_back(
    page: Page, server: str, boxed: Run, mechanism: str, right: int, down: int
) -> None:
    dialog = opened(page, server, mechanism_title(mechanism))
    dialog.locator("canvas.given").focus()
    for key in ("ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
        said = dialog.locator(".place").inner_text()
        found = re.fullmatch(r"column (\d+), row (\d+)", said)
        assert found
        column, row = (int(each) - 1 for each in found.groups())
        brightest = dialog.locator("canvas.answer").evaluate(BRIGHTEST)
        assert abs(brightest[0] - column - right) <= 1
        assert abs(brightest[1] - row - down) <= 1


def test_the_curve_has_its_mechanism_and_an_expert_beside_it_has_the_same_dot(
    page: Page, server: str, boxed: Run
) -> None:
    dialog = opened(page, server, "right")
    expect(dialog.get_by_text(re.compile("is good · over the strength of right"))).to_be_visible()
    expect(dialog.get_by_text(re.compile("strength that it was trained on, 4.* of these 6"))).to_be_visible()
    dialog.locator("canvas.given").focus()
    page.keyboard.press("Shift+ArrowUp")
    expect(dialog.locator(".place")).to_have_text("column 17, row 13")
    dialog.get_by_role("combobox", name="Beside it").click()
    page.get_by_role("option").last.click()
    expect(dialog.locator("canvas.answer")).to_have_count(2)
    expect(dialog.get_by_text(re.compile("is good"))).to_have_count(2)
    expect(dialog.locator(".place")).to_have_text("column 17, row 13")
    expect(dialog.locator(".icm-fingerprint")).to_have_count(2)


def test_the_winner_on_draw_and_on_round_has_a_door_and_arrow_keys_move_the_dot_alone(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/draw?run=boxed")
    winner = page.locator(".icm-path").first.locator("figcaption", has_text="undoes right")
    expect(winner).to_be_visible()
    settled(page)
    badge = winner.inner_text().partition(",")[0]
    page.get_by_role("button", name=f"Inside {badge}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Its wins")).to_be_visible()

    page.goto(f"{server}/round?run=boxed&station=4")
    page.get_by_role("button", name="Inside E").click()
    expect(dialog.get_by_text("Its wins")).to_be_visible()
    dialog.locator("canvas.given").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(dialog.locator(".place")).to_have_text("column 16, row 16")
    settled(page)
    expect(page).to_have_url(f"{server}/round?run=boxed&station=4")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize(
    "address",
    [
        "monitor?run=boxed",
        "draw?run=boxed",
        "round?run=boxed&station=2",
        "round?run=boxed&station=3",
        "round?run=boxed&station=5",
        "compare?run=boxed",
        "learn?screen=2",
        "learn?screen=4",
    ],
)
def test_every_badge_leads_inside(page: Page, server: str, boxed: Run, address: str) -> None:
    page.goto(f"{server}/{address}")
    badges = page.locator("button[data-inside]")
    expect(badges.nth(9)).to_be_visible()
    open_doors(page)
    badges.nth(3).press("Enter")
    expert = badges.nth(3).get_attribute("data-inside")
    expect(page.get_by_role("dialog").get_by_text(f"Fingerprint of E{expert}")).to_be_visible()


def test_badges_on_homes_picture_and_in_its_round_lead_inside(page: Page, server: str, boxed: Run) -> None:
    page.goto(server)
    open_doors(page)
    press_a_badge(page, page.locator("canvas.ribbons"))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Fingerprint of E{first_owner(boxed)}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    press_a_badge(page, page.locator("canvas.ribbons"))
    expect(dialog.get_by_text(f"Fingerprint of E{first_owner(boxed)}")).to_be_visible()  # once more
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_text("3 · Scores").click()
    badge = page.locator("button[data-inside]").nth(1)
    expect(badge).to_be_visible()
    open_doors(page, 2)
    expert = badge.get_attribute("data-inside")
    badge.click()
    expect(dialog.get_by_text(f"Fingerprint of E{expert}")).to_be_visible()


def test_on_homes_picture_enter_leads_inside_the_owner_of_the_chosen_mechanism(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(server)
    open_doors(page)
    picture = page.locator("canvas.time")
    picture.press("End")  # it plays no longer, and stands at its end
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    picture.press("Enter")  # no mechanism is chosen yet: nothing opens
    picture.press("ArrowDown")
    expect(picture).to_have_attribute("aria-valuetext", re.compile(f": E{first_owner(boxed)} "))
    picture.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Fingerprint of E{first_owner(boxed)}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def open_doors(page: Page, count: int = 1) -> None:
    """Waits until so many listen to the page's badges."""
    expect(page.locator("[data-doors=open]")).to_have_count(count)
    settled(page)


def first_owner(run: Run) -> int:
    """The expert that owns the first mechanism of the run in the box."""
    card = run.card()
    assert card is not None
    return card["digits"]["owner"][run.config().mechanisms[0]]


def press_a_badge(page: Page, canvas: Locator) -> None:
    """Presses the badge at the end of the first mechanism's row, once the canvas stays where it is."""
    at_rest(page)
    canvas.click(position={"x": canvas.evaluate("canvas => canvas.clientWidth") - 18, "y": 20 + 16})


def test_side_by_side_a_badge_leads_inside_the_expert_of_its_own_run(
    page: Page, server: str, boxed: Run, finished: Run
) -> None:
    page.goto(f"{server}/versus?left=finished&right=boxed")
    expect(page.locator("canvas.time[data-step]")).to_have_count(2)
    open_doors(page, 2)
    press_a_badge(page, page.locator("canvas.time").nth(1))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Fingerprint of E{first_owner(boxed)}")).to_be_visible()
    expect(dialog.get_by_text("over the strength of right")).to_be_visible()


def test_side_by_side_keys_alone_open_the_inside_of_an_expert_of_either_run(
    page: Page, server: str, boxed: Run, finished: Run
) -> None:
    page.goto(f"{server}/versus?left=finished&right=boxed")
    open_doors(page, 2)
    settled(page)
    for side, count in (("left", 3), ("right", 10)):
        badges = page.locator(f"button[data-door={side}]")
        expect(badges).to_have_count(count)
        badges.last.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(f"Fingerprint of E{count - 1}")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_a_card_of_guess_who_that_lies_open_leads_inside(page: Page, server: str, boxed: Run) -> None:
    page.goto(f"{server}/guess?run=boxed")
    card = page.locator(".cards button").nth(2)
    card.click()
    expect(page.get_by_role("button", name="Next digit")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    open_doors(page)
    card.click()
    expect(page.get_by_role("dialog").get_by_text("Fingerprint of E2")).to_be_visible()


@pytest.mark.parametrize(
    ("address", "turned", "before", "after"),
    [
        ("round?run=boxed&station=3", "Another image", "Image 1 of", "Image 2 of"),
        ("learn?run=boxed&screen=2", "Another digit", "changed by right", "changed by left"),
    ],
)
def test_arrow_keys_are_not_the_pages_while_an_inside_is_open(
    page: Page, server: str, boxed: Run, address: str, turned: str, before: str, after: str
) -> None:
    page.goto(f"{server}/{address}")
    badge = page.locator("button[data-inside]").first
    expect(badge).to_be_visible()
    open_doors(page)
    badge.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Its wins")).to_be_visible()
    settled(page)
    dialog.get_by_text("Its wins").click()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name=turned)).to_contain_text("↓")
    expect(page.get_by_text(before)).to_be_visible()
    expect(page).to_have_url(f"{server}/{address}")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text(after)).to_be_visible()
