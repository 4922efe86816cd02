"""Every page in every state a run can be in, without an exception, saying what it should."""

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icm.config import RosterConfig, RunConfig
from icm.jobs import trainer
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.opened import (
    PAGES,
    STATES,
    box,
    change_config,
    html_on,
    put_beside,
    show,
    with_a_drawing,
    words,
)
from tests.short_runs import train


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", STATES)
def test_a_page_tells_the_state_by_its_word(trained: Run, state: str, page: str) -> None:
    held, make = STATES[state]
    put_beside(trained)
    make(trained)
    if held:
        with trained.trainer.locked():
            app = show(page)
    else:
        app = show(page)
    assert not app.exception
    assert f" {state}]" in words(app)  # the badge


@pytest.mark.parametrize("page", PAGES)
def test_a_stalled_run_is_called_stalled(trained: Run, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icm.runs.status.STALLED_AFTER", -1.0)
    put_beside(trained)
    trained.write_status("competing", 3, 6)
    with trained.trainer.locked():
        app = show(page)
    assert not app.exception
    assert " stalled]" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_run_a_page_says_what_to_do(
    store: RunStore, root: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.ui.picker.shipped", lambda: None)
    app = show(page)
    assert not app.exception
    text = words(app)
    assert any(
        said in text
        for said in ("nobody tells them", "No run yet", "no run to watch yet", "Two runs are needed")
    )
    assert any("rain" in button.label for button in app.button)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("damaged", ["config.json", "status.json"])
def test_an_unreadable_run_folder_breaks_no_page(trained: Run, page: str, damaged: str) -> None:
    put_beside(trained)
    (trained.folder / damaged).write_text("{")
    app = show(page)
    assert not app.exception
    if page != "home.py":
        assert f"{damaged} cannot be read" in words(app)


def test_monitor_shows_what_was_counted(trained: Run) -> None:
    app = show("monitor.py", numbers="true")
    table = app.dataframe[0].value
    assert table[["E0", "E1", "E2"]].to_numpy().sum() == 6 * 8  # six steps of eight images
    assert list(table["mechanism"]) == ["right=6", "left=6", "contrast"]


def test_closed_tables_and_panels_cost_nothing(trained: Run) -> None:
    assert not show("monitor.py").dataframe
    assert len(show("monitor.py").get("echarts_chart")) == 1
    lines = len(show("monitor.py", lines="true").get("echarts_chart"))
    assert lines > 1
    assert len(show("monitor.py", lines="true", panels="true").get("echarts_chart")) == lines + 3


def test_monitor_tells_what_the_run_is_computed_with(trained: Run) -> None:
    dtype = {"on": "bfloat16", "off": "float32"}[os.environ["ICM_BFLOAT16"]]  # which the suite forces
    assert trained.environment()["threads"] == 1
    assert trained.environment()["engine"]["dtype"] == dtype
    text = words(show("monitor.py"))
    assert f"Computed on cpu, 1 thread, each expert by itself, {dtype}, the same bits each time" in text


def test_a_crash_shows_the_end_of_the_log(trained: Run) -> None:
    trained.write_status("failed", 3, 6, "the disk is full")
    trained.log.write_text("first\nlast words\n")
    text = words(show("monitor.py"))
    assert "the disk is full" in text
    assert "last words" in text


def test_two_runs_are_compared_and_what_differs_is_listed(trained: Run, store: RunStore, root: Path) -> None:
    other = store.create("b-run", replace(trained.config(), seed=5), {})
    with other.trainer.locked():
        list(trainer.train(other, root))
    app = show("versus.py")
    assert not app.exception
    (table,) = (each.value for each in app.dataframe)
    assert table.to_numpy().tolist() == [["seed", "5", "0"]]  # the newest on the left


def test_the_run_that_ships_with_the_project_is_offered_wherever_the_store_is(trained: Run) -> None:
    assert [name.split("   ")[0] for name in box(show("monitor.py"), "Run").options] == [
        "a-run",
        "shipped with the project",
    ]
    app = show("versus.py")
    assert not app.exception
    assert box(app, "Left").value == "a-run"
    assert box(app, "Right").value == "pretrained"


def test_one_run_is_not_enough_to_compare(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.ui.picker.shipped", lambda: None)
    app = show("versus.py")
    assert not app.exception
    assert "Two runs are needed" in words(app)


@pytest.mark.parametrize(
    ("link", "steps"),
    [("25", 25), ("x", 60)],  # what else a link may say: test_decisions.py
)
def test_a_link_shows_the_run_as_it_was_after_its_step_or_as_it_is_now(
    trained: Run, root: Path, link: str, steps: int
) -> None:
    trained.extend(60)
    with trained.trainer.locked():
        list(trainer.train(trained, root))
    app = show("monitor.py", numbers="true", step=link)
    assert not app.exception
    table = app.dataframe[0].value
    assert table[["E0", "E1", "E2"]].to_numpy().sum() == steps * 8


def test_a_link_to_a_run_that_is_not_there_shows_the_newest_and_says_so(trained: Run) -> None:
    app = show("monitor.py", run="gone")
    assert not app.exception
    assert "no run 'gone'" in words(app)
    assert box(app, "Run").value == "a-run"


@pytest.mark.parametrize("page", ["draw.py", "compare.py", "round.py"])
@pytest.mark.parametrize("state", STATES)
def test_draw_compare_and_round_ask_a_run_in_every_state(trained: Run, state: str, page: str) -> None:
    held, make = STATES[state]
    make(trained)
    with trained.trainer.locked() if held else contextlib.nullcontext():
        app = with_a_drawing(page, run="a-run")
    assert not app.exception
    assert not app.error
    assert box(app, "Run").value == "a-run"


@pytest.mark.parametrize("page", ["draw.py", "compare.py", "round.py"])
@pytest.mark.parametrize("damaged", ["config.json", "status.json", "snapshots/step_000006.safetensors"])
def test_a_damaged_run_breaks_neither_draw_nor_compare_nor_round(
    trained: Run, page: str, damaged: str
) -> None:
    (trained.folder / damaged).write_text("{")
    app = with_a_drawing(page, run="a-run")
    assert not app.exception
    if damaged != "status.json":  # which none of them reads
        assert "cannot be read" in words(app)


def test_a_damaged_snapshot_is_told_in_place_of_its_pictures(trained: Run) -> None:
    (trained.folder / "snapshots/step_000006.safetensors").write_text("{")
    app = show("monitor.py", numbers="true")
    assert not app.exception
    assert "step_000006.safetensors cannot be read" in words(app)


def test_a_drawing_is_changed_and_every_expert_answers(trained: Run) -> None:
    app = with_a_drawing("draw.py", run="a-run")
    assert not app.exception
    shown = html_on(app)
    assert shown.count("<figure") == 5  # the path
    assert shown.count("<em>") == 3  # a score of each of the three experts
    assert "Changed: right" in shown
    assert "dB to the original" in shown


def test_an_empty_pad_claims_nothing(trained: Run) -> None:
    app = show("draw.py", run="a-run")
    assert "Nothing is claimed yet" in words(app)
    assert "<figure" not in html_on(app)


def test_compare_says_both_answers_in_words(trained: Run) -> None:
    text = words(show("compare.py", run="a-run"))
    assert "The experts" in text
    assert "The discriminator" in text
    assert "Unseen alphabets, drawn with fonts" in text


def test_why_a_stopped_run_could_not_go_on_is_told(trained: Run) -> None:
    trained.write_status("stopped", 3, 6, "could not go on: it began on cuda, which is not here")
    for page in ("train.py", "monitor.py"):
        assert "Could not go on: it began on cuda, which is not here." in words(show(page, run="a-run"))


def test_a_crashed_run_without_a_state_is_not_said_to_go_on(trained: Run) -> None:
    trained.write_status("competing", 3, 6)
    assert "Resume goes on from the last saved state" in words(show("monitor.py"))
    shutil.rmtree(trained.folder / "state")
    assert "Resume goes on" not in words(show("monitor.py"))


@pytest.mark.parametrize("damaged", ["config.json", "environment.json", "history.f8"])
def test_what_cannot_be_read_of_a_run_is_told(trained: Run, damaged: str) -> None:
    (trained.folder / damaged).unlink()
    (trained.folder / damaged).mkdir()
    app = show("monitor.py", run="a-run")
    assert not app.exception
    assert f"{damaged} cannot be read" in words(app)


@pytest.mark.parametrize("label", ["the same", "setting"])
def test_two_runs_of_one_name_are_told_apart_side_by_side(trained: Run, label: str) -> None:
    put_beside(trained)
    copy = Run(trained.folder.with_name("copy"))
    change_config(copy, seed=5)
    for run in (trained, copy):
        run.rename(label)
    app = show("versus.py")
    assert not app.exception
    (table,) = (each.value for each in app.dataframe)
    assert table.to_numpy().tolist() == [["seed", "0", "5"]]
    assert [f"{label} · {run}" for run in ("a-run", "copy")] == list(table.columns)[1:]
    assert len(set(box(app, "Left").options)) == 3  # with the run that ships


def test_where_nobody_owns_a_mechanism_compare_says_so(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icm.ownership.MAJORITY", 1.0)  # nobody wins more than all
    app = show("compare.py", run="a-run")
    assert not app.exception
    assert "No expert owns a mechanism yet" in words(app)
    assert "nan" not in words(app)
    assert not any("nan" in str(metric.value) for metric in app.metric)


def test_monitor_says_how_many_images_have_lost_their_rows(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "were lost" not in words(show("monitor.py"))
    change_config(trained, training={**vars(trained.config().training), "batch": 10})  # rows tell of eight
    assert "rows of 12 images were lost" in words(show("monitor.py"))  # six steps, two each


def test_what_is_counted_while_learning_is_said_to_be(trained: Run) -> None:
    put_beside(trained)
    for page in ("monitor.py", "versus.py"):
        captions = "\n".join(caption.value for caption in show(page).caption)
        assert "Wins and PSNR are counted while the networks learn" in captions
        assert "in evaluation mode" in captions


@pytest.mark.parametrize(
    ("until", "said"),
    [(6, "It ends after step 6; what is left then leaks away."), (1, "It ended after step 1.")],
)
def test_monitor_says_whom_a_conscience_helps_and_until_when(
    store: RunStore, root: Path, tiny: RunConfig, until: int, said: str
) -> None:
    conscience = replace(tiny.conscience, rule="conscience", rate=20.0, until=until)
    config = replace(tiny, source="builtin", conscience=conscience, training=replace(tiny.training, steps=6))
    run = store.create("fair", config, {})
    train(run, root)
    bias = run.rows.read()[-1]["bias"]
    helped, held_back = int(np.argmax(bias)), int(np.argmin(bias))

    app = show("monitor.py", run="fair")
    assert not app.exception
    (sentence,) = [each.value for each in app.caption if said in each.value]
    assert f"helps E{helped} ({max(bias):+.1f})" in sentence
    assert f"holds back E{held_back} ({min(bias):+.1f})" in sentence
    assert sentence.startswith("**Conscience.** ")


def test_a_run_without_a_conscience_shows_none(trained: Run) -> None:
    seen = words(show("monitor.py", run="a-run"))
    assert "onscience" not in seen
    assert "Who plays" not in seen


def test_pages_show_only_who_plays(store: RunStore, root: Path, tiny: RunConfig) -> None:
    config = replace(
        tiny,
        source="builtin",
        model=replace(tiny.model, experts=5),
        conscience=replace(tiny.conscience, rule="conscience", until=20),
        roster=RosterConfig("open", start=2, every=4, grace=4, idle=0.0, twins=100.0),
        training=replace(tiny.training, steps=10),
    )
    run = store.create("open", config, {})
    train(run, root)
    assert [row["plays"] for row in run.rows.read()][::3] == [[0, 1], [0, 1], [0, 1, 2], [0, 1, 2, 3]]

    app = show("monitor.py", run="open")
    assert not app.exception
    assert "4 experts of at most 5 play: E0, E1, E2, E3. 2 began." in "\n".join(
        each.value for each in app.caption
    )
    assert app.selectbox(key="expert").options == ["E0", "E1", "E2", "E3"]

    # The networks that were kept before are those of step 0, when neither E2 nor E3 had begun to play.
    app = show("monitor.py", run="open", step="6")
    assert not app.exception
    assert app.selectbox(key="expert").options == ["E0", "E1"]
    at_first = [each.value for each in show("monitor.py", run="open", step="0").caption]
    assert "2 experts of at most 5 play: E0, E1. 2 began." in "\n".join(at_first)
