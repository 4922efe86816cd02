"""Pages opened as a link opens them, without a browser, and what is written on them."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from html import unescape
from typing import Any

import numpy as np
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from icm.files import PROJECT
from icm.runs.run import Run
from pages.ui.html import WORD_JOINER

# What of our own HTML is no text on the page: styles, what a word means before somebody points to it, tags.
UNREAD = re.compile("<style>.*?</style>|<span role='tooltip'>.*?</span>|<.*?>", re.DOTALL)
PAGES = ("home.py", "train.py", "monitor.py", "versus.py")

# Each `AppTest` looks for components in the description of every installed package, which takes longer than many a page; once
# is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def show(page: str, **link: str) -> AppTest:
    """The page as a link with these parameters opens it."""
    return unopened(page, **link).run()


def unopened(page: str, **link: str) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "pages" / "main.py"), default_timeout=60)
    if page != "home.py":
        app.switch_page(page)
    app.query_params.update(link)
    return app


def put_beside(run: Run) -> None:
    """Puts a sound copy beside `run`, for the page that wants two runs. It is older, so that the other pages are about `run`."""
    copy = Run(shutil.copytree(run.folder, run.folder.with_name("copy")))
    copy.write_environment({**copy.environment(), "created": 1.0})


def words(app: AppTest) -> str:
    """All that is written on the page, as a person reads it."""
    kinds = (app.markdown, app.caption, app.title, app.header, app.error, app.info, app.warning, app.code)
    ours = [unescape(UNREAD.sub("", each.proto.body)) for each in app.get("html")]
    return unescaped("\n".join([str(element.value) for kind in kinds for element in kind] + ours))


def unescaped(text: str) -> str:
    """The text before `plain` escaped it."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace(WORD_JOINER, "")


def as_new(run: Run) -> None:
    (run.folder / "metrics.jsonl").unlink()
    run.write_status("preparing", 0, 6)


def as_made(run: Run) -> None:
    as_new(run)
    run.write_status("created", 0, 6, "created")


STATES: dict[str, tuple[bool, Callable[[Run], None]]] = {
    # word on the page: (whether the lock is held, what else makes the run look so)
    "starting": (False, as_made),
    "preparing": (True, as_new),
    "running": (True, lambda run: run.write_status("competing", 3, 6, steps_per_second=2.0)),
    "stopped": (False, lambda run: run.write_status("stopped", 3, 6)),
    "finished": (False, lambda run: None),
    "crashed": (False, lambda run: run.write_status("competing", 3, 6)),
}


def box(app: AppTest, label: str) -> Any:
    return next(each for each in (*app.selectbox, *app.number_input, *app.toggle) if each.label == label)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def with_a_drawing(page: str, **link: str) -> AppTest:
    """The page with an upright stroke on the pad, as the browser would send it."""
    sheet = np.zeros((160, 160), np.uint8)
    sheet[30:130, 72:86] = 255
    app = unopened(page, **link)
    app.session_state["pad"] = {"pixels": base64.b64encode(sheet.tobytes()).decode()}
    return app.run()


def html_on(app: AppTest) -> str:
    return "".join(str(getattr(each, "value", "")) for each in app.get("html"))


def change_config(run: Run, **changed: object) -> None:
    """Changes these fields of its config.json, as a person with an editor would."""
    path = run.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
