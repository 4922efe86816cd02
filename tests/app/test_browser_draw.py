"""Draw and Compare in a real browser: mouse, touch, keys, upload, camera, the chain, and who claims what.

The browser and its server are in conftest.py; the networks are those that ship with the project."""

import base64
import io
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.app.frames import settled, wait_until
from tests.app.laboratory import tab

SEVEN = ((0.3, 0.28), (0.5, 0.25), (0.66, 0.28), (0.62, 0.42), (0.53, 0.6), (0.44, 0.78))  # shares of the pad
# How far the page and everything on it is scrolled, added up.
SCROLLED = "[...document.querySelectorAll('*')].map(e => e.scrollTop).reduce((a, b) => a + b) + scrollY"
# The widget asks for the camera a second time, a second after the first, once it knows its width: a photo between is lost.
CAMERA_RUNS = """() => {
  const video = document.querySelector('video'), stream = video?.videoWidth > 0 ? video.srcObject.id : null;
  if (stream !== window.stream) [window.stream, window.since] = [stream, performance.now()];
  return stream !== null && performance.now() - window.since > 2000;
}"""


def pad_of(page: Page) -> Locator:
    pad = page.get_by_role("application", name=re.compile("Drawing pad"))
    expect(pad).to_be_visible()
    pad.scroll_into_view_if_needed()
    return pad


def places(pad: Locator, points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    box = pad.bounding_box()
    assert box is not None
    return [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]


def draw(page: Page, points: tuple[tuple[float, float], ...]) -> None:
    first, *others = places(pad_of(page), points)
    page.mouse.move(*first)
    page.mouse.down()
    for each in others:
        page.mouse.move(*each, steps=6)
    page.mouse.up()


def touch(page: Page, points: tuple[tuple[float, float], ...]) -> None:
    where = places(pad_of(page), points)
    devtools = page.context.new_cdp_session(page)

    def tell(kind: str, *at: tuple[float, float]) -> None:
        told = {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in at]}
        devtools.send("Input.dispatchTouchEvent", told)

    tell("touchStart", where[0])
    for begin, end in pairwise(where):
        for part in np.linspace(0.2, 1, 5):
            tell("touchMove", tuple(np.array(begin) + part * (np.array(end) - np.array(begin))))
    tell("touchEnd")


def expect_claim(page: Page, words: str = "undoes") -> None:
    """Waits for these words over the restored image, which say who claims the drawing; the first may be about half a stroke."""
    stop = page.locator(".icm-path").first.locator("figcaption", has_text="undoes")
    expect(stop).to_have_text(re.compile(words))


def shown(page: Page, words: str) -> np.ndarray:
    """The picture of the path under these words, in [0, 1]."""
    picture = page.locator(".icm-path").first.get_by_alt_text(words)
    address = picture.get_attribute("src")
    assert address is not None

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))) / 255


def test_a_digit_is_claimed_before_anybody_draws_and_the_first_stroke_takes_its_place(
    page: Page, server: str
) -> None:
    page.goto(f"{server}/draw")
    expect_claim(page, r"^E\d, undoes right$")
    expect(page.locator(".icm-bars li > img")).to_have_count(10)
    expect(page.get_by_text("We centred it like MNIST")).to_be_visible()
    settled(page)
    example = shown(page, "You gave")
    assert example[:, 40:].max() > 0.5
    draw(page, ((0.1, 0.6), (0.1, 0.9)))
    wait_until(page, lambda: shown(page, "You gave")[:, 40:].max() == 0, "the stroke alone is given")
    settled(page)

    # Undo brings the example back; without any ink nothing is claimed.
    page.get_by_role("button", name="Undo", exact=True).click()
    wait_until(page, lambda: bool((shown(page, "You gave") == example).all()), "the example is back")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("Nothing is claimed yet")).to_be_visible()


def test_one_tap_changes_the_mechanism_and_the_link_keeps_it(page: Page, server: str) -> None:
    page.goto(f"{server}/draw")
    expect_claim(page, r"undoes right$")
    tile = page.get_by_role("button", name="Change it by up-left")
    black = "canvas => canvas.getContext('2d').getImageData(0, 0, 32, 32).data.every((value, at) => at % 4 === 3 || !value)"
    wait_until(page, lambda: not tile.locator("canvas").evaluate(black), "the tile shows the digit, changed")
    tile.click()
    expect_claim(page, r"undoes up-left$")
    expect(tile).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Then also noise").click()
    expect(page.locator(".icm-path").first.get_by_text("up-left, noise")).to_be_visible()
    page.reload()
    expect(page.locator(".icm-path").first.get_by_text("up-left, noise")).to_be_visible()
    page.get_by_role("button", name="Change it by noise").click()
    expect(page.get_by_text("Changed: noise")).to_be_visible()
    page.get_by_role("button", name="Change it by noise").click()
    expect(page.get_by_text("original unknown")).to_be_visible()


def test_more_mechanisms_come_and_go_again(page: Page, server: str) -> None:
    page.goto(f"{server}/draw")
    expect_claim(page)
    tiles = page.get_by_role("button", name=re.compile("^Change it by "))
    expect(tiles).to_have_count(10)
    for count in (20, 10):
        settled(page)
        page.get_by_text("More", exact=True).click()
        expect(tiles).to_have_count(count)
    tiles.last.click()
    expect_claim(page, r"undoes noise$")


def test_the_link_keeps_a_strength_and_under_its_slider_is_the_owners_curve(page: Page, server: str) -> None:
    page.goto(f"{server}/draw?mechanisms=right:3,rot45:2,noise:99")
    expect(page.locator(".icm-path").first.get_by_text("Changed: right, noise")).to_be_visible()
    settled(page)
    strength = page.get_by_role("slider", name=re.compile("right, pixels"))
    expect(strength).to_have_value("3")
    before = shown(page, "Changed: right, noise")
    strength.press("ArrowRight")
    strength.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"mechanisms=right%3A5%2Cnoise$"))
    wait_until(page, lambda: bool((shown(page, "Changed: right, noise") != before).any()), "the digit moved")
    settled(page)
    page.get_by_text("How far from what it was trained on?").first.click()
    expect(
        page.get_by_text(re.compile(r"E\d owns right\. .*trained on, 4; the dashed one is yours, 5"))
    ).to_be_visible()
    page.reload()
    expect(strength).to_have_value("5")
    page.get_by_role("button", name="Change it by right").click()
    page.get_by_role("button", name="Then also up", exact=True).click()
    expect(page).to_have_url(re.compile(r"mechanisms=right%3A5%2Cup$"))


def test_what_the_page_shows_late_does_not_undo_a_tap(page: Page, server: str) -> None:
    tab: WebSocketRoute | None = None
    late: list[str | bytes] = []
    holding = False

    def through(route: WebSocketRoute) -> None:
        nonlocal tab
        tab = route
        server = route.connect_to_server()
        server.on_message(lambda message: late.append(message) if holding else route.send(message))

    page.route_web_socket(re.compile("_stcore/stream"), through)
    page.goto(f"{server}/draw?mechanisms=right:5,noise")
    expect_claim(page)
    settled(page)
    assert tab is not None
    holding = True
    page.get_by_role("button", name="Put a digit on the pad").click()
    wait_until(
        page, lambda: "script_finished" in kinds(late), "the script ran, and the page does not know yet"
    )
    page.get_by_role("button", name="Change it by right").click()
    for _ in range(kinds(late).index("script_finished") + 1):
        tab.send(late.pop(0))
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Then also up", exact=True).click()
    while late:
        tab.send(late.pop(0))
    holding = False
    expect(page).to_have_url(re.compile(r"mechanisms=right%3A5%2Cup$"))


def kinds(messages: Sequence[str | bytes]) -> list[str | None]:
    """What each message of the server is."""
    return [
        ForwardMsg.FromString(each).WhichOneof("type") if isinstance(each, bytes) else None
        for each in messages
    ]


def test_pad_and_winner_are_on_one_screen_of_a_phone(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}/draw")
    expect_claim(page)
    settled(page)
    winner = page.locator(".icm-path").first.locator("figure", has_text="undoes").locator("img")
    for seen in (page.get_by_role("application", name=re.compile("Drawing pad")), winner):
        box = seen.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
    badge = page.locator(".icm-path .icm-door").first.bounding_box()
    assert badge is not None
    assert badge["height"] < 1.5 * 0.7 * 16 * 1.2, "the badge stands on one line"
    settings, answers = (page.locator(each).bounding_box() for each in (".st-key-settings", ".icm-bars"))
    assert settings is not None
    assert answers is not None
    assert settings["y"] > answers["y"] + answers["height"]


def test_a_shift_that_was_drawn_is_claimed_only_if_the_canonical_stage_is_off(
    page: Page, server: str
) -> None:
    page.goto(f"{server}/draw?stage=Exactly+as+drawn&mechanisms=")
    # A nought as large as MNIST's, in the middle but four of the networks' pixels too low.
    angles = np.linspace(0, 2 * np.pi, 25)
    draw(page, tuple((0.5 + 0.18 * np.sin(each), 0.5 + 4 / 32 - 0.27 * np.cos(each)) for each in angles))
    expect_claim(page, r"^E\d, undoes down$")
    expect(page.get_by_text("We left it as you drew it")).to_be_visible()
    expect(page.get_by_text("original unknown")).to_be_visible()


def test_keys_alone_draw(page: Page, server: str) -> None:
    page.goto(f"{server}/draw")
    pad_of(page).focus()
    keys = ["Shift+ArrowUp"] * 2 + ["Space"] + ["Shift+ArrowDown"] * 4 + ["Space"]
    for key in keys:
        page.keyboard.press(key)
    expect_claim(page)

    def is_a_line() -> bool:
        """From top to bottom; before that it is the digit that the page begins with."""
        seen = shown(page, "The networks see")
        return bool(seen[:, 14:18].sum() > 0.9 * seen.sum())

    wait_until(page, is_a_line, "the line is seen")


def test_a_stroke_with_a_finger_draws_and_does_not_scroll_the_page(chromium: Browser, server: str) -> None:
    with tab(chromium, phone=True, is_mobile=True, device_scale_factor=3) as page:
        page.goto(f"{server}/draw")
        expect_claim(page)
        settled(page)
        example = shown(page, "You gave")
        pad_of(page)
        before = page.evaluate(SCROLLED)
        touch(page, SEVEN)
        wait_until(page, lambda: bool((shown(page, "You gave") != example).any()), "the stroke is given")
        assert page.evaluate(SCROLLED) == before
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def photo(kind: str) -> bytes:
    """A dark 7 on light paper, off the centre."""
    sheet = Image.new("L", (300, 240), 235)
    pixels = np.asarray(sheet).copy()
    pixels[60:75, 60:140] = 30
    for row in range(75, 190):
        middle = 130 - (row - 75) // 2
        pixels[row, middle - 8 : middle + 8] = 30
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_an_uploaded_photo_is_claimed_and_what_is_no_picture_gets_one_sentence(
    page: Page, server: str, tmp_path: Path
) -> None:
    page.goto(f"{server}/draw?input=Upload")
    chooser = page.locator("input[type=file]")
    (tmp_path / "seven.jpg").write_bytes(photo("JPEG"))
    chooser.set_input_files(tmp_path / "seven.jpg")
    expect_claim(page)
    seen = shown(page, "The networks see")
    assert seen[0].max() < 0.1  # the corner is dark: ink is bright and the paper was inverted

    (tmp_path / "none.png").write_text("no picture at all")
    chooser.set_input_files(tmp_path / "none.png")
    expect(page.get_by_text(re.compile("PNG, JPEG or WEBP")).last).to_be_visible()
    expect(page.get_by_text("Nothing is claimed yet")).to_be_visible()


def test_a_dot_is_too_little_ink(page: Page, server: str) -> None:
    page.goto(f"{server}/draw")
    expect_claim(page)
    settled(page)
    draw(page, ((0.5, 0.5), (0.5, 0.5)))
    expect(page.get_by_text("too little ink; draw a digit")).to_be_visible()
    expect(page.get_by_text("Nothing is claimed yet")).to_have_count(0)
    draw(page, SEVEN)
    expect_claim(page)


def test_ruled_paper_is_doubted_and_used_and_a_crop_takes_the_lines_away(
    page: Page, server: str, tmp_path: Path
) -> None:
    sheet = np.asarray(Image.open(io.BytesIO(photo("PNG")))).copy()
    sheet[[20, 21, 22, 214, 215, 216]] = 120
    Image.fromarray(sheet).save(tmp_path / "ruled.png")
    page.goto(f"{server}/draw?input=Upload")
    page.locator("input[type=file]").set_input_files(tmp_path / "ruled.png")
    expect(page.get_by_text("This looks like ruled paper")).to_be_visible()
    expect_claim(page)
    before = shown(page, "The networks see")
    page.get_by_text("Crop", exact=True).click()
    top = page.get_by_role("slider", name=re.compile("Top to bottom"))
    for key in ["ArrowRight"] * 11:
        top.first.press(key)
    for key in ["ArrowLeft"] * 12:
        top.last.press(key)
    expect(page.get_by_text("This looks like ruled paper")).to_have_count(0)
    expect(page.locator(".icm-part i")).to_be_visible()
    wait_until(page, lambda: bool((shown(page, "The networks see") != before).any()), "the crop is used")


def test_a_camera_picture_is_taken(chromium: Browser, server: str) -> None:
    """The browser's fake camera shows a test pattern: it is given to the experts, whatever they make of it."""
    with tab(chromium, permissions=["camera"]) as page:
        page.goto(f"{server}/draw?input=Camera")
        page.wait_for_function(CAMERA_RUNS)
        page.get_by_role("button", name="Take Photo").click()
        answer = page.get_by_text(re.compile(r"E\d, undoes|There is no ink in this picture"))
        expect(answer.first).to_be_visible()


def test_again_undoes_a_second_mechanism_and_the_chain_ends(page: Page, server: str) -> None:
    page.goto(f"{server}/draw")
    draw(page, SEVEN)
    expect_claim(page)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    page.get_by_role("button", name="Then also contrast").click()
    expect(page.locator(".icm-path").first.get_by_text("right, contrast")).to_be_visible()
    rounds = page.locator(".icm-path").nth(1).locator("figure")
    again = page.get_by_role("button", name="Again")
    for _ in range(4):
        expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
        if again.is_disabled():
            break
        before = rounds.count()
        again.click()
        expect(rounds).not_to_have_count(before)
    chain = page.locator(".icm-path").nth(1)
    expect(chain).to_be_visible()
    expect(page.get_by_text("The chain ends here")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_compare_puts_digits_and_unseen_letters_side_by_side(page: Page, server: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{server}/compare")
    pictures = page.locator(".st-key-answers img")
    expect(pictures.first).to_be_visible()
    assert pictures.count() == 2 * 4 * 12  # four images of each set: input, ten answers, original
    for words in ("The experts", "The discriminator", "Unseen alphabets, drawn with fonts"):
        expect(page.get_by_text(words).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
