"""Everybody can use the pages: what axe-core finds on each of them in a real browser, light and turned dark, and a run without a
mouse."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.frames import open_in, settled, undisturbed
from tests.app.laboratory import tab

# What each page has once it is complete.
PAGES = {
    "": "canvas.time[data-step]",
    "train": ".st-key-mechanisms img",
    "monitor?run=boxed&lines=true&numbers=true&large=true": ".st-key-answers img",
    "draw?run=boxed": "canvas[aria-label^=Drawing]",
    "learn?run=boxed&screen=2": ".icm-bars li",
    "learn?run=boxed&screen=4": ".icm-everyone img",
    "guess?run=boxed": ".cards button",
    "compare?run=boxed": ".st-key-answers img",
    "round?run=boxed&station=3": ".icm-bars li",
    "versus?left=boxed&right=a-run": "canvas.time[data-step]",
    "results": ".js-plotly-plot",
}


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds on the page at rest: while a script runs again, what it has not come to yet is pale."""
    return undisturbed(page, lambda: Axe().run(page).response["violations"])


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(
    desk: BrowserContext, server: str, trained: Run, boxed: Run, path: str
) -> None:
    with tab(desk) as page:
        turn = open_in("light", page, f"{server}/{path}")
        expect(page.locator(PAGES[path]).first).to_be_visible()
        found = {"light": violations(page)}
        turn("dark")
        expect(page.locator(PAGES[path]).first).to_be_visible()
        found["dark"] = violations(page)
    serious = [
        f"{theme}, {each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for theme, violated in found.items()
        for each in violated
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert not serious, "\n".join(serious)


def test_a_run_is_started_and_watched_to_its_end_without_a_mouse(
    page: Page, server: str, store: RunStore
) -> None:
    def tab_to(what: str) -> None:
        """Presses Tab until that has the focus, told by its name or its words."""
        for _ in range(60):
            page.keyboard.press("Tab")
            said = page.evaluate(
                "(() => { const on = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;"
                " return !/BUTTON|CANVAS|INPUT/.test(on.tagName) ? '' : (on.getAttribute('aria-label') ?? '') + ' ' + on.innerText })()"
            )
            if re.search(what, said):
                return
        raise AssertionError(f"Tab never comes to {what}")

    page.goto(server)
    expect(page.get_by_role("button", name="Train your own")).to_be_visible()
    settled(page)
    tab_to("Train your own")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    settled(page)
    tab_to("Choose tiny")
    page.keyboard.press("Enter")
    expect(page.get_by_text("--preset tiny")).to_be_visible()
    settled(page)
    tab_to("Start training")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Monitor")).to_be_visible()
    expect(page.get_by_text("step 60 of 60")).to_be_visible()
    tab_to("Step of the run")
    page.keyboard.press("Home")
    expect(page.get_by_role("slider", name="Step of the run")).to_have_attribute("data-step", "0")
    (run,) = store.runs()
    assert run.state() == "finished"
