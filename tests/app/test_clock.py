"""The clock of a page that looks at a run again and again."""

import os
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from icm.config import RunConfig
from icm.files import PROJECT
from icm.jobs import launch
from icm.runs.store import RunStore
from pages.ui.clock import JUDGED, LONGEST, breath
from tests.app.frames import listen
from tests.app.laboratory import tab
from tests.app.test_browser import wait_until

HIDE = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})"
SHOW = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"


def test_a_busy_server_is_asked_less_often_and_one_slow_look_changes_nothing() -> None:
    assert breath([]) == breath([5.0] * (JUDGED - 1)) == 0  # a page that was just opened is not slowed
    quick = [0.02] * JUDGED
    assert breath(quick) == breath([9.0, *quick[1:]]) == 0
    busy = [breath([took] * JUDGED) for took in (0.02, 0.1, 0.2, 0.5, 5.0)]
    assert busy == sorted(busy)
    assert busy[2] > 1
    assert busy[-1] == LONGEST


# A clock by itself, whose looks `asked` counts.
ALONE = """async source => {
  const { default: clock } = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})))
  window.asked = []
  const setStateValue = (_, look) => asked.push(look)
  window.arrived = look => void clock({data: {after: 2, look}, parentElement: document.body, setStateValue})  // a function that it returned would be called
}"""


def test_a_question_that_was_lost_with_its_connection_is_asked_again(chromium: Browser) -> None:
    with tab(chromium) as page:
        page.clock.install(time=0)
        page.clock.pause_at(1000)  # seconds go by only where the test lets them
        page.evaluate(ALONE, (PROJECT / "pages" / "ui" / "clock.js").read_text())
        page.evaluate("arrived(1)")
        asked = []
        for seconds in (1.9, 0.2, 14, 2, 14):
            page.clock.fast_forward(round(1000 * seconds))
            asked.append(page.evaluate("asked.length"))
        assert asked == [0, 1, 1, 2, 2]
        page.evaluate("arrived(2)")  # the answer has come after all
        page.clock.fast_forward(1900)
        assert page.evaluate("asked") == [1, 1]
        page.clock.fast_forward(200)
        assert page.evaluate("asked") == [1, 1, 2]


def asked_and_answered(page: Page) -> list[str]:
    """Grows with each look that the page asks for and with each that is answered."""
    said: list[str] = []

    def sent(message: BackMsg, _: float) -> None:
        if message.WhichOneof("type") == "rerun_script":
            said.append("asked")

    def received(message: ForwardMsg, _: float) -> None:
        if message.WhichOneof("type") == "script_finished":
            said.append("answered")

    listen(page, received, sent)
    return said


def test_a_page_asks_again_once_it_is_answered_and_while_somebody_sees_it(
    page: Page, server: str, store: RunStore, root: Path, tiny: RunConfig
) -> None:
    config = replace(tiny, training=replace(tiny.training, steps=100_000))
    run = launch.create(store, "long", config, root, command="a test")
    launch.start(run, root)
    said = asked_and_answered(page)
    page.goto(f"{server}/monitor?run=long")
    expect(page.get_by_text(re.compile(r"step [\d,]+ of")).first).to_be_visible()
    wait_until(page, lambda: said[-4:] == ["asked", "answered"] * 2, "the page looks again and again")

    # A server that answers nobody is asked once, however long it takes.
    port = server.rpartition(":")[2]
    (found,) = subprocess.check_output(["pgrep", "-f", f"server.port {port}$"], text=True).split()
    os.kill(int(found), signal.SIGSTOP)
    try:
        wait_until(page, lambda: said[-1] == "asked", "the page asks")
        asked = said.count("asked")
        page.wait_for_timeout(4000)
        assert said.count("asked") == asked
    finally:
        os.kill(int(found), signal.SIGCONT)
    wait_until(page, lambda: said.count("asked") > asked, "the page goes on")

    # A page that nobody sees asks for nothing.
    page.evaluate(HIDE)
    wait_until(page, lambda: said[-1] == "answered", "the last answer has come")
    page.wait_for_timeout(500)  # one that was on its way when the page was hidden
    asked = said.count("asked")
    page.wait_for_timeout(5000)
    assert said.count("asked") == asked
    page.evaluate(SHOW)
    wait_until(page, lambda: said.count("asked") > asked, "somebody sees it again")
