"""Links, labels and files that somebody else has made are shown as they are. Nothing is fetched, run or linked for them."""

import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from icm.runs.run import Run
from pages.ui.html import WORD_JOINER, plain
from tests.app.frames import at_rest, settled
from tests.app.laboratory import started

PROJECT = Path(__file__).parents[2]

HOSTILE = (
    "a -> b <- c <-> d -- e >= f <= g ~= h",  # which a page would turn into arrows and other signs
    "![x](http://evil.test/p.png)",
    "[x](http://evil.test/)",
    "[![x](http://evil.test/p.png)](http://evil.test/)",
    "![x][y]\n\n[y]: http://evil.test/p.png",
    "\\![x](http://evil.test/p.png)",
    "<img src=http://evil.test/p.png onerror=alert(1)>",
    "<a href='http://evil.test/'>x</a>",
    "<script src='http://evil.test/x.js'></script>",
    "&lt;img src=http://evil.test/p.png&gt;",
    "http://evil.test/a",
    "HTTPS://evil.test/a",
    "see http://evil.test, or (www.evil.test)",
    "www.evil.test",
    "WWW.evil.test/a?b=c",
    "somebody@evil.test",
    "mailto:somebody@evil.test",
    "xmpp:somebody@evil.test/x",
    "<http://evil.test/a>",
    "ftp://evil.test/a",
    "javascript:alert(1)",
    ":red[x] :red-background[x] :blue-badge[x]",
    ":material/home: :streamlit: :smile: :+1:",
    ":small[x] :kbd[x]",
    "$\\href{http://evil.test/}{x}$ and $$x$$",
    "\\(x\\) \\[x\\]",
    "**b** __b__ *i* _i_ ~~s~~ ==m== ^x^",
    "`code` ``code`` ```code",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "| a | b |\n|---|---|\n| c | d |",
    "---",
    "***",
    "[^1]\n\n[^1]: note",
    "- [ ] task",
    "::directive[x]{src=http://evil.test/p.png}",
    "    four spaces",
    "a\\",
    "\u202eright to left\u0007\ud800",
)

# The elements in which pages show text, as lines of Python.
ELEMENTS = (
    "st.markdown(text)",
    "st.markdown(f'**{text}** after')",
    "st.caption(text)",
    "st.title(text, anchor=False)",
    "st.header(text, anchor=False, width='content')",
    "st.error(text, icon=':material/error:')",
    "st.warning(f'There is no run {text} here', icon=':material/link_off:')",
    "st.info(text)",
    "st.progress(0.5, text=text)",
    "st.button(text, key=f'b{number}')",
    "st.metric(text, 1, border=True)",
    "st.toggle(text, key=f't{number}')",
)
SCRIPT = """
import json, sys
import streamlit as st
for number, text in enumerate(json.loads(open(sys.argv[1]).read())):
    with st.container(key=f"case-{{number}}"):
        {element}
"""
FOREIGN = """[...document.querySelectorAll("a[href], img[src], [style*=url], iframe, .katex, table, code, li, h5")]
    .map(element => element.href ?? element.src ?? element.className).filter(what => !what.startsWith(location.origin))"""


def as_shown(text: str) -> str:
    """The text as a person reads it on a page: one line, without what cannot be printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def test_whatever_the_text_every_element_shows_it_as_it_is_and_fetches_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    """Forty-one texts, each in twelve elements."""
    (tmp_path / "texts.json").write_text(json.dumps([plain(text) for text in HOSTILE]))
    (tmp_path / "script.py").write_text(SCRIPT.format(element="\n        ".join(ELEMENTS)))
    context = chromium.new_context()
    page = context.new_page()
    elsewhere: list[str] = []
    page.on(
        "request", lambda request: elsewhere.append(request.url) if "localhost" not in request.url else None
    )
    with started(tmp_path, str(tmp_path / "script.py"), str(tmp_path / "texts.json")) as found:
        page.goto(found.address)
        page.wait_for_function(  # each kind of element comes as soon as its script is there
            """([texts, count]) => texts.every((text, number) => {
                const place = document.querySelector(`.st-key-case-${number}`);
                return place && place.innerText.replaceAll("\u2060", "").split(text).length > count;
            })""",
            arg=[[as_shown(text) for text in HOSTILE], len(ELEMENTS)],
        )
        shown = page.evaluate(
            "count => [...Array(count).keys()].map(n => document.querySelector(`.st-key-case-${n}`).innerText)",
            len(HOSTILE),
        )
        assert page.evaluate(FOREIGN) == []
        context.close()
    for text, seen in zip(HOSTILE, shown):
        found = seen.replace(WORD_JOINER, "").count(as_shown(text))
        assert found == len(ELEMENTS), (text, found, seen)
    assert not elsewhere


# What the pages are opened with: several hostile texts, none of which hides the one after it.
LINK = (
    "![x](http://evil.test/p.png) [x](http://evil.test/) <img src=http://evil.test/p.png> http://evil.test/a www.evil.test "
    "a@evil.test :red[x] :material/home: $\\href{http://evil.test/}{x}$ **b** `c`"
)
LABELS = (
    "![x](http://evil.test/p.png)",
    "<img src=//evil.test/p.png>",
    "www.evil.test a@evil.test :red[x] `c`",
)


@pytest.fixture
def labelled(trained: Run) -> Run:
    """A run with a hostile mechanism, preset and status message, and others with hostile labels."""
    for number, label in enumerate(LABELS):
        other = Run(Path(shutil.copytree(trained.folder, trained.folder.with_name(f"run-{number}"))))
        other.rename(label)
    config = json.loads((trained.folder / "config.json").read_text())
    config["mechanisms"][1] = f"{LABELS[0]}=6"
    config["preset"] = LABELS[1]
    for run_id in ("a-run", "run-0"):
        folder = trained.folder.with_name(run_id)
        (folder / "config.json").write_text(json.dumps(config))
    trained.write_status("failed", 3, 6, f"{LABELS[0]} {LABELS[2]}")
    return trained


def test_no_page_makes_anything_of_a_hostile_link_or_label(page: Page, server: str, labelled: Run) -> None:
    """The page's fixture fails on any request elsewhere and on any error in the console."""
    for path in ("monitor?run", "train?like", "train?preset", "draw?run", "compare?run", "versus?left"):
        page.goto(f"{server}/{path}={quote(LINK)}")
        warning = page.get_by_test_id("stAlert").filter(has_text=re.compile("evil")).first
        expect(warning).to_be_visible()
        said = warning.inner_text().replace(WORD_JOINER, "")
        assert LINK in said or repr(LINK) in said, path
        settled(page)
        assert foreign(page) == [], path


def test_hostile_labels_mechanisms_and_messages_are_shown_as_they_are(
    page: Page, server: str, labelled: Run
) -> None:
    ready = {
        "": "Draw yours",
        "train?run=a-run": "Your runs",
        "monitor?run=a-run&numbers=true&lines=true&panels=true": "Everyone's answers",
        "monitor?run=run-0": "One-to-one",
        "compare?run=run-1": "Routing",
        "draw?run=run-2": "Every expert's answer",
        "versus?left=run-0&right=run-1": "Who wins what",
    }
    for link, words in ready.items():
        page.goto(f"{server}/{link}")
        expect(page.get_by_text(words).first).to_be_visible()
        at_rest(page)
        assert foreign(page) == [], link
        boxes = page.get_by_role("combobox")
        if boxes.count():
            boxes.first.click()
            expect(page.get_by_role("option").first).to_be_visible()
            assert foreign(page) == [], link
            page.keyboard.press("Escape")
    page.goto(f"{server}/train?run=run-0")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    assert LABELS[0] in page.get_by_text("This cannot be undone").inner_text().replace(WORD_JOINER, "")
    assert foreign(page) == []


def foreign(page: Page) -> list[str]:
    """Links and pictures on the page that lead elsewhere."""
    return page.evaluate("""[...document.querySelectorAll("a[href], img[src], iframe[src]")]
        .map(element => element.href ?? element.src)
        .filter(address => !/^(data|blob):/.test(address) && !address.startsWith(location.origin))""")


def status_of(server: str, path: str, host: str) -> int:
    try:
        request = urllib.request.Request(f"{server}{path}", headers={"Host": host})
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_request_for_another_host_is_refused(server: str) -> None:
    """This stops a page elsewhere that lets its own name point at this machine."""
    port = server.rpartition(":")[2]
    for path in ("/", "/train", "/_stcore/health", "/_stcore/host-config", "/favicon.png"):
        for host in (f"localhost:{port}", "localhost", f"127.0.0.1:{port}", f"[::1]:{port}"):
            assert status_of(server, path, host) == 200, (path, host)
        for host in (f"evil.test:{port}", "evil.test", "localhost.evil.test", "", "localhost@evil.test"):
            assert status_of(server, path, host) == 400, (path, host)


def test_every_answer_allows_the_app_itself_and_nothing_else(server: str) -> None:
    for path in ("/", "/monitor", "/_stcore/health", "/favicon.png"):
        request = urllib.request.Request(f"{server}{path}", headers={"Accept": "text/html"})
        policy = dict(
            part.strip().split(" ", 1)
            for part in urllib.request.urlopen(request, timeout=10)
            .headers["content-security-policy"]
            .split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["connect-src"] == "'self' data:"
        assert policy["img-src"] == "'self' data: blob:"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'self'"
        scripts = policy["script-src"].split()
        assert scripts[:2] == ["'self'", "blob:"]
        assert all(each.startswith("'sha256-") for each in scripts[2:])


def test_a_script_or_picture_that_got_into_a_page_is_not_run_and_not_fetched(
    chromium: Browser, server: str
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(server)
    expect(page.get_by_role("heading", name="Who undoes what?")).to_be_visible()
    page.evaluate(
        """() => {
            window.refused = []
            document.addEventListener("securitypolicyviolation", event => refused.push(event.effectiveDirective))
            const add = (name, set) => document.body.append(Object.assign(document.createElement(name), set))
            add("script", { textContent: "window.ran = true" })
            add("script", { src: "http://127.0.0.1:9/x.js" })
            add("img", { src: "http://127.0.0.1:9/p.png" })
            add("iframe", { src: "http://127.0.0.1:9/" })
            add("object", { data: "http://127.0.0.1:9/" })
            setTimeout("window.ran = true")
            fetch("http://127.0.0.1:9/").catch(() => {})
        }"""
    )
    page.wait_for_function("() => refused.length === 7")
    refused = page.evaluate("refused.sort()")
    assert refused == [
        "connect-src",
        "frame-src",
        "img-src",
        "object-src",
        "script-src",
        "script-src-elem",
        "script-src-elem",
    ]
    assert page.evaluate("window.ran") is None
    context.close()


def test_pictures_and_charts_can_still_be_saved(page: Page, server: str, trained: Run) -> None:
    page.goto(f"{server}/monitor?run=a-run&large=true")
    expect(page.locator(".st-key-one-expert img")).to_be_visible()
    settled(page)
    with (
        page.expect_download() as picture
    ):  # by key: what is still being painted moves the button away from a mouse
        page.locator(".st-key-save-answers").get_by_role("button").press("Enter")
    assert picture.value.suggested_filename == "answers.png"
    with page.expect_download() as chart:
        page.get_by_role("button", name=re.compile("Download as PNG")).first.press("Enter")
    assert chart.value.suggested_filename.endswith("chart.png")
