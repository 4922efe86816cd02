"""A small file of one run is damaged, and every page that shows a run is opened at it; `icm runs` lists the runs, as a table and as JSON.

No page and no command ends in an exception, and the sound run beside the damaged one can still be chosen. A drawing is on
the pad, so that the damaged run's experts are asked; Train is also opened for a new run like the damaged one."""

import contextlib
import io
import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from streamlit.testing.v1 import AppTest

from icm.cli.main import main
from tests.torture import ground as on
from tests.torture.clients import stroke
from tests.torture.forks import PROJECT
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally
from tests.torture.small_harms import harms

MARKS = ("exception on a page", "exception of `icm runs`", "the sound run is not listed")
PAGE, COMMAND, UNLISTED = MARKS
PAGES: dict[str, tuple[dict[str, str], ...]] = {  # each with the links that open it
    "home.py": ({},),
    "train.py": ({"run": "damaged"}, {"like": "damaged"}),
    "monitor.py": ({"run": "damaged", "numbers": "true"},),
    "draw.py": ({"run": "damaged"},),
    "compare.py": ({"run": "damaged"},),
    "round.py": ({"run": "damaged"},),
    "versus.py": ({"left": "damaged", "right": "sound"},),
}
SHORT = ("config.json: a list",)  # tests/app/test_bad_runs.py opens the pages at many more

Missed = list[tuple[str, str]]  # mark, words


def trial(place: Ground, names: tuple[str, ...] | None, workers: int) -> Row:
    """Every harm, or the named ones, on seven pages. With one worker in this process, else in `workers` others."""
    tally = Tally.of("small_files", *MARKS)
    sound = on.unbroken(place, on.little()).folder
    chosen = list(names or harms())
    folders = [place.folder / f"case-{number}" for number in range(len(chosen))]
    if workers == 1:
        found = [judge(name, folder, sound, place.root) for name, folder in zip(chosen, folders)]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            many = len(chosen)
            found = list(pool.map(judge, chosen, folders, [sound] * many, [place.root] * many))
    for missed in found:
        tally.cases += len(PAGES) + 1
        for mark, words in missed:
            tally.miss(mark, words)
    tally.figures["damaged files"] = len(chosen)
    return tally.row()


def judge(name: str, folder: Path, sound: Path, root: Path) -> Missed:
    """The marks that were missed with this harm, on a store of two runs."""
    store = folder / "runs"
    own_root = folder / "data"
    own_root.mkdir(parents=True)
    (own_root / "builtin").symlink_to(root / "builtin")
    for run_id in ("sound", "damaged"):
        shutil.copytree(sound, store / run_id)
    # The damaged run is the newer one, which pages show when the link names none.
    on.made_long_ago(store / "sound")
    durations = {"tiny": 5.0, "quick": 66.0, "robust": 600.0, "paper": 1080.0}
    missed: Missed = []
    # Not printed: exceptions, which are counted below, and Streamlit's repeated warning that there is no browser.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    silent = contextlib.redirect_stdout(io.StringIO())
    with silent, _environment(ICM_STORE=str(store), ICM_DATA_ROOT=str(own_root)):
        on.time_presets(store, durations)
        harms()[name](store / "damaged", own_root)
        for words, states_in in LISTINGS:
            missed += _listed(name, words, states_in)
        for page, links in PAGES.items():
            for link in links:
                missed += _shown(name, page, link)
    shutil.rmtree(folder)
    return missed


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _states_in_table(out: str) -> dict[str, str]:
    rows = [line.split() for line in out.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _states_in_json(out: str) -> dict[str, str]:
    return {row["run"]: row["state"] for row in json.loads(out)}


LISTINGS = ((["runs"], _states_in_table), (["runs", "--json"], _states_in_json))


def _listed(name: str, words: list[str], states_in: Callable[[str], dict[str, str]]) -> Missed:
    """`icm runs`, in this process."""
    name, out = f"{name}, `icm {' '.join(words)}`", io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = main(words)
        states = states_in(out.getvalue()) if code == 0 else {}
    except Exception as error:  # any exception is counted
        return [(COMMAND, f"{name}: {type(error).__name__}: {error}"[:200])]
    return [] if states.get("sound") == "finished" else [(UNLISTED, f"{name}: exit code {code}")]


def _shown(name: str, page: str, link: dict[str, str]) -> Missed:
    """A page as this link opens it, after something was drawn."""
    name = f"{name}, {page} at {link}"
    try:
        app = AppTest.from_file(str(PROJECT / "pages" / "main.py"), default_timeout=120)
        app.query_params.update(link)
        app.session_state["pad"] = stroke(left=72, top=30)
        app.switch_page(page).run()
    except Exception as error:  # as above
        return [(PAGE, f"{name}: {type(error).__name__}: {error}"[:200])]
    if app.exception:
        return [(PAGE, f"{name}: {app.exception[0].proto.type}")]
    return [] if page == "home.py" or "sound" in _choices(app) else [(UNLISTED, name)]


def _choices(app: AppTest) -> str:
    """All that can be chosen or is listed on the page."""
    boxes = [option for box in app.selectbox for option in box.options]
    tables = [str(table.value.to_string()) for table in app.dataframe]
    return "\n".join(boxes + tables)
