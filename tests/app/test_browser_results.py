"""Results in a real browser: every card, a point that says what it is and leads to its run, and what can be taken away."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from icm.runs.run import Run
from icm.show import results
from icm.show.results import ROWS
from tests.app.frames import at_rest, settled, wait_until
from tests.app.laboratory import DESK, PHONE, Laboratory, tab

POINTS = ".scatterlayer .trace .points path"


def card_of(page: Page, number: int) -> Locator:
    return page.locator(f".st-key-row-{number}")


def opened(page: Page, server: str) -> None:
    page.goto(f"{server}/results")
    expect(card_of(page, 1).locator(POINTS).first).to_be_visible()
    settled(page)


@pytest.fixture(scope="module")
def shown(desk: BrowserContext, laboratory: Laboratory) -> Iterator[Page]:
    """The page, opened once for the tests that need no run: with all its figures it takes as long as two others."""
    with tab(desk) as page:
        opened(page, laboratory.address)
        yield page


def test_every_row_has_a_card_with_the_papers_result_and_ours(shown: Page) -> None:
    known = results.read()
    for row in ROWS:
        card = card_of(shown, row.number)
        expect(card.get_by_role("heading", name=row.title)).to_be_visible()
        found = row.found(known)
        if row.paper:
            expect(card.get_by_text("as recalled")).to_be_visible()
        if found:
            expect(card.locator(".js-plotly-plot")).to_be_visible()
            expect(card.locator("li")).to_have_count(len(found))
            expect(card.get_by_role("table")).to_have_count(1 if row.together else 0)
            at_rest(shown)  # the card above still opens: a click on what moves may miss it
            card.get_by_text("How it was made").click()
            of_study = rf"python -m icm study {found[0].study} --seeds [\d:,]+"
            alone = "" if found[0].name == found[0].study else f" --only {found[0].name}"
            expect(card.get_by_text(re.compile(f"^{of_study}{alone}$")).first).to_be_visible()
        else:
            expect(card.get_by_text("not run yet")).to_be_visible()
            expect(card.get_by_text(row.commands()[0])).to_be_visible()


@pytest.mark.parametrize(
    ("name", "kind"), [("chains", "chains"), ("clothes", "clothes"), ("taught", "supervised")]
)
def test_what_is_measured_beside_the_studies_has_a_card_too(shown: Page, name: str, kind: str) -> None:
    card = shown.locator(f".st-key-row-{name}")
    if any((results.RESULTS / kind).glob("*.json")):
        expect(card.locator(".js-plotly-plot").first).to_be_visible()
        expect(card.get_by_text("Beyond the paper").first).to_be_visible()
        expect(card.locator("li").first).to_be_visible()
        card.get_by_text("How it was made").first.click()
    else:
        expect(card.get_by_text("not measured yet")).to_be_visible()
    expect(card.get_by_text(f"python -m icm {kind}").first).to_be_visible()


def test_every_card_is_on_the_list_above(shown: Page) -> None:
    titles = shown.locator("[class*='st-key-row-'] h3").all_inner_texts()
    links = shown.get_by_role("list").first.get_by_role("link").all_inner_texts()
    assert links == titles


def test_on_a_phone_no_legend_hides_the_name_of_an_axis(shown: Page) -> None:
    figure = card_of(shown, 5).locator(".js-plotly-plot")
    shown.set_viewport_size(PHONE)
    drawn = figure.locator(".main-svg").first
    wait_until(shown, lambda: sides(drawn)[0] < PHONE["width"], "the figure is drawn for a phone")
    name, legend = figure.locator(".xtitle"), figure.locator(".legend")
    assert sides(name)[1] <= sides(legend)[2]
    shown.set_viewport_size(DESK)


# Of every figure the words that stick out of it, and so are cut off. Half a pixel is rounding.
CUT_OFF = """() => [...document.querySelectorAll("[class*='st-key-row-'] .js-plotly-plot")].flatMap((figure) => {
  const { left, right } = figure.getBoundingClientRect()
  return [...figure.querySelectorAll(".main-svg text")].filter((text) => {
    const box = text.getBoundingClientRect()
    return box.width && (box.left < left - 0.5 || box.right > right + 0.5)
  }).map((text) => text.textContent)
})"""


def test_on_a_phone_no_words_of_a_figure_are_cut_off(shown: Page) -> None:
    shown.set_viewport_size(PHONE)
    figures = shown.locator("[class*='st-key-row-'] .main-svg")
    narrow = f"all => all.every(each => each.getBoundingClientRect().right < {PHONE['width']})"
    wait_until(shown, lambda: figures.evaluate_all(narrow), "the figures are drawn for a phone")
    at_rest(shown)
    assert shown.evaluate(CUT_OFF) == []
    shown.set_viewport_size(DESK)


def sides(part: Locator) -> tuple[float, float, float]:
    """Its right side, its lower edge and its upper edge, in pixels."""
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"], box["y"] + box["height"], box["y"]


def press_a_point(page: Page, number: int, place: int) -> None:
    point = card_of(page, number).locator(POINTS).nth(place)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    expect(card_of(page, number).locator(".hoverlayer").get_by_text("seed").first).to_be_visible()
    page.mouse.click(*middle)


def test_a_point_leads_to_its_run_where_that_is_here(page: Page, server: str, boxed: Run) -> None:
    (first,) = [each for each in results.ROWS[0].found(results.read()) if each.name == "paper"]
    here = first.runs[0]["run"]
    shutil.copytree(boxed.folder, boxed.folder.parent / here)
    opened(page, server)
    shares = (
        len(results.ROWS[0].found(results.read())) + 1
    )  # before the points of the seeds, with the paper's own
    press_a_point(page, 1, shares)
    page.get_by_role("button", name=f"Watch {here}").click()
    expect(page).to_have_url(f"{server}/monitor?run={here}")


def test_a_point_whose_run_is_elsewhere_says_so_and_its_figures_can_be_taken_away(
    page: Page, server: str, tmp_path: Path
) -> None:
    opened(page, server)
    found = results.ROWS[0].found(results.read())
    press_a_point(page, 1, len(found) + 1)
    expect(page.get_by_text(f"{found[0].runs[0]['run']} was run elsewhere")).to_be_visible()
    card = card_of(page, 1)
    for name, file in (("CSV", "row-1.csv"), ("HTML", "row-1.html")):
        with page.expect_download() as waiting:
            card.get_by_role("button", name=name).click()
        assert waiting.value.suggested_filename == file
        waiting.value.save_as(tmp_path / file)
    rows = list(csv.DictReader((tmp_path / "row-1.csv").open()))
    assert [row["run"] for row in rows] == [run["run"] for each in found for run in each.runs]
    assert "https://cdn" not in (tmp_path / "row-1.html").read_text()[:5000]


def test_a_figure_can_be_taken_away_as_a_picture(shown: Page, tmp_path: Path) -> None:
    figure = card_of(shown, 1).locator(".js-plotly-plot")
    figure.hover()
    with shown.expect_download() as waiting:
        figure.locator("[data-title='Download plot as a PNG']").click()
    waiting.value.save_as(tmp_path / "row-1.png")
    assert Image.open(tmp_path / "row-1.png").width > 400
