"""Compare in a real browser: what is offered, a person's own pictures, and that nobody reads an old verdict under a new choice."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from icm.images.digits import Source
from icm.runs.run import Run
from pages.ui.others import OWN, offered
from tests.app.frames import settled
from tests.app.opened import box, show

OPACITY = "() => getComputedStyle(document.querySelector('.st-key-answered')).opacity"


def drawn(left: int) -> bytes:
    """PNG: a dark angle on white paper."""
    sheet = np.full((80, 90), 240, np.uint8)
    sheet[15:65, left : left + 8] = 20
    sheet[57:65, left : left + 30] = 20
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return file.getvalue()


def given() -> list[FilePayload]:
    """Three pictures, and a zip of two more and a text."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../four.png", drawn(40))
        archive.writestr("five.png", drawn(50))
        archive.writestr("notes.txt", "hello")
    files: list[FilePayload] = [
        {"name": f"{left}.png", "mimeType": "image/png", "buffer": drawn(left)} for left in (10, 20, 30)
    ]
    return [*files, {"name": "more.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}]


@pytest.mark.parametrize("source", ["mnist", "builtin"])
def test_digits_are_never_compared_with_themselves(
    source: Source, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icm.images.digits.sets.state", lambda name, root: "here")
    names = offered(source, root)
    assert source not in names
    assert {"mnist", "builtin", "alphabets", OWN} - {source} <= set(names)


def test_a_link_to_the_digits_themselves_shows_what_is_offered(trained: Run, root: Path) -> None:
    app = show("compare.py", run="a-run", set="Built-in digits")
    assert not app.exception
    assert "Built-in digits" not in box(app, "Compared with").options
    assert box(app, "Compared with").value == "alphabets"


def test_own_pictures_are_compared_and_kept_while_another_set_is_looked_at(page: Page, server: str) -> None:
    page.goto(f"{server}/compare?set=Your+own+images")
    expect(page.get_by_text("Give a picture, several, or a zip of them")).to_be_visible()
    page.locator("input[type=file]").set_input_files(given())
    verdict = page.get_by_test_id("stAlert").filter(has_text="The experts")
    expect(verdict).to_contain_text("On your 5 images")
    expect(page.get_by_text("1 of 6 files cannot be used: “notes.txt” is no picture")).to_be_visible()
    expect(page.get_by_role("heading", name="Your 5 images")).to_be_visible()
    settled(page)
    assert page.locator(".st-key-answers img").count() == (4 + 5) * 12  # input, ten answers, original

    sets = page.get_by_role("combobox", name="Compared with")
    sets.click()
    # The run in the box learned from MNIST, for which the built-in digits stand here.
    assert page.get_by_role("option").all_inner_texts() == [
        "Unseen alphabets, drawn with fonts",
        "Your own images",
    ]
    page.get_by_role("option", name="Unseen alphabets").click()
    expect(verdict).to_contain_text("On Unseen alphabets")
    settled(page)
    sets.click()
    page.get_by_role("option", name="Your own images").click()
    expect(verdict).to_contain_text("On your 5 images")
    expect(page.get_by_text("These are the images that you gave before")).to_be_visible()

    broken: FilePayload = {"name": "cut.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04cut"}
    page.locator("input[type=file]").set_input_files(broken)
    expect(page.get_by_text("“cut.zip” is damaged: the zip is cut short or changed")).to_be_visible()
    expect(verdict).to_have_count(0)


def test_the_old_verdict_is_dimmed_until_the_new_one_is_there(page: Page, server: str) -> None:
    page.goto(f"{server}/compare")
    expect(page.locator(".st-key-answers img").first).to_be_visible()
    settled(page)
    assert page.evaluate(OPACITY) == "1"
    page.get_by_text("as they are", exact=True).click()
    page.wait_for_function(f"{OPACITY} < 0.3")  # while the experts are asked, which takes seconds
    page.wait_for_function(f"{OPACITY} == 1")
    expect(page.get_by_test_id("stSpinner")).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 390])
def test_pictures_and_their_labels_are_large_enough_to_be_seen(page: Page, server: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{server}/compare")
    expect(page.locator(".st-key-answers img").first).to_be_visible()
    settled(page)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.st-key-answers img')].map(each => each.getBoundingClientRect().width)"
    )
    assert min(sizes) >= 56
    letters = page.evaluate(
        "[...document.querySelectorAll('.st-key-answers th')].map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(letters) >= 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_how_right_the_discriminator_is_by_how_sure_it_is_is_drawn_for_who_asks(
    page: Page, server: str, boxed: Run
) -> None:
    page.goto(f"{server}/compare?run=boxed&set=Unseen alphabets")
    expect(page.get_by_text("Is it right when it is sure?")).to_be_visible()
    expect(
        page.get_by_text(re.compile(r"Of the digits it is sure of \d+\.\d% of the winners"))
    ).to_be_visible()
    page.get_by_text("How right, by how sure").click()
    expect(page.locator(".st-key-sureness canvas").first).to_be_visible()
    expect(page).to_have_url(re.compile("sure=true"))
