"""Strangers at the door: hostile run ids, links, labels, websocket payloads, random queries, foreign hosts.

Nothing is read or written outside of the store, the browser asks nobody but the app, no page shows an exception, and the
server's log has none with a page or icm in its traceback. (Streamlit logs exceptions of its own for malformed websocket messages
and for some values that no front end sends, and goes on.) The parts are in `links` and `sockets`; run ids are here."""

from pathlib import Path

from playwright.sync_api import Browser

from icm.errors import ActionableError
from tests.torture import ground as on
from tests.torture import links, sockets
from tests.torture.ground import Ground
from tests.torture.rows import Row, Tally
from tests.torture.served import served

MARKS = ("run ids: an escape", "run ids: a traceback", "exceptions of ours in the server's log")
ESCAPE, TRACEBACK, LOGGED = MARKS

RUN_IDS = (
    *(
        "",
        ".",
        "..",
        "../x",
        "../../x",
        "/",
        "/etc",
        "/tmp/x",
        "a/b",
        "a/../..",
        "./a",
        "a/.",
        "a\\b",
        "..\\x",
        "C:\\x",
    ),
    *(
        "a\0b",
        "\0",
        "a\nb",
        "a\n",
        "\n",
        "a\tb",
        " a",
        "a ",
        "a b",
        "A",
        "Ä",
        "ä",
        "a\u202eb",
        "٣",
        "ａ",
        "a\u0301",
    ),
    *(
        "-rf",
        "--help",
        "_a",
        ".hidden",
        ".lock",
        ".new-a",
        ".gone-a",
        ".durations.json",
        "a.b",
        "a.",
        "a:b",
        "a*",
    ),
    *(
        "$(id)",
        "`id`",
        "a;id",
        "a|b",
        "~",
        "~root",
        "%2e%2e",
        "%00",
        "a" * 62,
        "a" * 5000,
        "a" * 300_000,
        "<b>",
    ),
    *("link-out", "link-file", "link-loop", "link-up", "link-run"),
)


def trial(
    place: Ground, browser: Browser | None, links_tried: int, labels: int, payloads: int, queries: int
) -> Row:
    """`links_tried` links with each of `labels` labels, `payloads` on the websocket, `queries` at random."""
    tally = Tally.of("strangers", *MARKS, *links.MARKS, *sockets.MARKS)
    _run_ids(tally, place.within("ids"))
    links.some_runs(place)
    with served(place) as server:
        sockets.foreign(tally, server)
        sockets.payloads(tally, server, payloads)
        forged = server.raised()
        sockets.queries(tally, server, queries)
        assert browser
        links.trial(tally, place, server, browser, links_tried, labels)
        # What no front end sends may raise in Streamlit's own files. All else may raise nothing below a page or icm.
        wrong = [each for each in forged if each.in_ours]
        wrong += [each for each in server.raised()[len(forged) :] if each.through_ours]
        for each in wrong:
            tally.miss(LOGGED, each.error)
        tally.figures["exceptions of Streamlit's own on forged messages"] = len(forged)
    return tally.row()


def _run_ids(tally: Tally, place: Ground) -> None:
    """Each is refused, or names a folder of the store; outside nothing changes."""
    outside = place.folder / "outside"
    inner = on.unbroken(place, on.little(steps=2)).folder
    inner.rename(outside)
    root = place.store.root
    targets = {
        "out": outside,
        "file": outside / "config.json",
        "loop": root / "link-loop",
        "up": root,
        "run": outside,
    }
    for name, target in targets.items():
        (root / f"link-{name}").symlink_to(target)
    before = _seen(place.folder, root)
    for run_id in RUN_IDS:
        tally.cases += 1
        for act in (place.store.open, lambda each: place.store.create(each, on.little(), {})):
            try:
                folder = act(run_id).folder
                if folder.parent.resolve() != root or folder.resolve() != root / run_id:
                    tally.miss(ESCAPE, f"{run_id[:40]!r} is {folder}")
            except ActionableError:
                continue
            except Exception as error:  # any other is what is counted
                tally.miss(TRACEBACK, f"{run_id[:40]!r}: {type(error).__name__}: {error}"[:150])
    if listed := [run.id for run in place.store.runs() if run.id.startswith("link")]:
        tally.miss(ESCAPE, f"listed: {', '.join(listed)}")
    if _seen(place.folder, root) != before:
        tally.miss(ESCAPE, "something outside of the store has changed")


def _seen(folder: Path, root: Path) -> dict[str, tuple[float, int]]:
    """Every file under `folder` outside of `root`, with time and size."""
    found = (path for path in folder.rglob("*") if root not in path.parents and path != root)
    return {str(path): (path.lstat().st_mtime, path.lstat().st_size) for path in found}
