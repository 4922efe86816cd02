"""Every page in every state a run can be in, without an exception, saying what it should."""

import base64
import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from icm import run as running
from icm.config import SECTIONS, field_sentences
from icm.store import Phase, Run, RunStore, Status, StoreError
from pages.ui import runs
from pages.ui.told import WORD_JOINER

PROJECT = Path(__file__).parents[1]
PAGES = ("home.py", "train.py", "monitor.py", "versus.py")


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
    """A sound copy, for the page that wants two runs; older, so that the other pages are about `run`."""
    copy = Run(shutil.copytree(run.folder, run.folder.with_name("copy")))
    copy.write_environment({**copy.environment(), "created": 1.0})


def words(app: AppTest) -> str:
    """All that is written on the page, as a person reads it."""
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.error, app.info, app.warning, app.code)
    return unescaped("\n".join(str(element.value) for kind in kinds for element in kind))


def unescaped(text: str) -> str:
    """What `plain` was made of."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace(WORD_JOINER, "")


def as_new(run: Run) -> None:
    (run.folder / "metrics.jsonl").unlink()
    run.write_status("preparing", 0, 6)


def as_made(run: Run) -> None:
    as_new(run)
    run.write_status("created", 0, 6, "created")


STATES: dict[str, tuple[bool, Callable[[Run], None]]] = {
    # word on the page: is the lock held, what else makes it so
    "starting": (False, as_made),
    "preparing": (True, as_new),
    "running": (True, lambda run: run.write_status("competing", 3, 6, steps_per_second=2.0)),
    "stopped": (False, lambda run: run.write_status("stopped", 3, 6)),
    "finished": (False, lambda run: None),
    "crashed": (False, lambda run: run.write_status("competing", 3, 6)),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", STATES)
def test_a_page_tells_the_state_by_its_word(trained: Run, state: str, page: str) -> None:
    held, make = STATES[state]
    put_beside(trained)
    make(trained)
    if held:
        with trained.locked():
            app = show(page)
    else:
        app = show(page)
    assert not app.exception
    assert f" {state}]" in words(app)  # the badge


@pytest.mark.parametrize("page", PAGES)
def test_a_stalled_run_is_called_stalled(trained: Run, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icm.store.STALLED_AFTER", -1.0)
    put_beside(trained)
    trained.write_status("competing", 3, 6)
    with trained.locked():
        app = show(page)
    assert not app.exception
    assert " stalled]" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_run_a_page_says_what_to_do(store: RunStore, root: Path, page: str) -> None:
    app = show(page)
    assert not app.exception
    text = words(app)
    assert any(said in text for said in ("No run yet", "no run to watch yet", "Two runs are needed"))
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
    assert len(show("monitor.py", panels="true").get("echarts_chart")) == 3 + len(
        show("monitor.py").get("echarts_chart")
    )


def test_monitor_tells_what_the_run_is_computed_with(trained: Run) -> None:
    dtype = {"on": "bfloat16", "off": "float32"}[os.environ["ICM_BFLOAT16"]]  # which the suite forces
    assert trained.environment()["threads"] == 1
    assert trained.environment()["engine"]["dtype"] == dtype
    text = words(show("monitor.py"))
    assert f"Computed on cpu, 1 thread, one expert after the other, {dtype}, the same bits each time" in text


def test_a_crash_shows_the_end_of_the_log(trained: Run) -> None:
    trained.write_status("failed", 3, 6, "the disk is full")
    trained.log.write_text("first\nlast words\n")
    text = words(show("monitor.py"))
    assert "the disk is full" in text
    assert "last words" in text


def box(app: AppTest, label: str) -> Any:
    return next(each for each in (*app.selectbox, *app.number_input, *app.toggle) if each.label == label)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def test_the_train_page_offers_mnist_only_where_it_is(store: RunStore, root: Path) -> None:
    app = show("train.py")
    assert box(app, "Digits").options == ["Built-in digits, 5,000"]
    assert "python -m icm data mnist" in words(app)


def command_on(app: AppTest) -> str:
    return next(code.value for code in app.code if "icm train" in code.value)


def test_the_command_follows_the_form(store: RunStore, root: Path) -> None:
    app = show("train.py")
    press(app, "Choose tiny")
    box(app, "Seed").set_value(3).run()
    box(app, "Steps").set_value(99).run()
    box(app, "Learning rate").set_value(0.002).run()
    assert not app.exception
    assert command_on(app) == (
        "python -m icm train --preset tiny --seed 3 --source builtin --device cpu "
        "--training.steps 99 --training.learning-rate 0.002"
    )


def test_every_field_of_a_run_has_a_widget_with_its_sentence(store: RunStore, root: Path) -> None:
    app = show("train.py")
    helps = {each.help for each in (*app.selectbox, *app.number_input, *app.toggle)}
    for section in SECTIONS.values():
        assert set(field_sentences(section).values()) <= helps


def test_a_mechanism_is_switched_on_and_experts_that_are_too_few_are_told(
    store: RunStore, root: Path
) -> None:
    app = show("train.py")
    assert "4 experts for" not in words(app)
    box(app, "◐ contrast").set_value(True).run()
    assert not app.exception
    assert "--mechanisms right left down up contrast" in command_on(app)
    assert "4 experts for 5 mechanisms: some must serve several" in words(app)
    box(app, "Experts").set_value(7).run()
    assert "7 experts for 5 mechanisms: at least 2 should end up idle" in words(app)


def test_a_value_that_cannot_be_run_is_told_and_nothing_starts(store: RunStore, root: Path) -> None:
    app = show("train.py")
    box(app, "Filters").set_value(18).run()
    assert "18 is not a multiple of 4" in words(app)
    assert next(button for button in app.button if button.label == "Start training").disabled


def test_a_preset_says_how_long_it_takes_here(store: RunStore, root: Path) -> None:
    text = words(show("train.py"))
    assert "at most 66 s on this machine" in text
    assert "at most 18 min on this machine" in text


def test_a_new_run_starts_from_another_ones_settings(trained: Run) -> None:
    app = show("train.py", like="a-run")
    assert not app.exception
    assert "those of run a-run" in words(app)
    assert "--training.steps 6" in command_on(app)


def test_a_run_is_named_and_deleted_from_the_train_page(trained: Run) -> None:
    app = show("train.py")
    next(each for each in app.text_input if each.label == "Label").set_value("my first").run()
    press(app, "Save")
    assert trained.label == "my first"
    press(app, "Delete it")
    assert not app.exception
    assert not trained.folder.exists()


def test_the_run_in_the_box_can_be_looked_at_and_not_changed(trained: Run) -> None:
    shutil.copytree(trained.folder, trained.folder.with_name("pretrained"))
    labels = {button.label for button in show("train.py", run="pretrained").button}
    assert {"Open in Monitor", "New run like this"} <= labels
    assert not labels & {"Resume to there", "Save", "Delete it"}


@pytest.mark.parametrize(
    ("phase", "steps_per_second", "seconds"),
    [
        ("identity", 0.5, 1.0),  # no rows yet
        ("competing", 0.0, 1.0),  # not known yet
        ("competing", 50.0, 1.0),  # five steps a row: ten rows a second
        ("competing", 2.4, 2.0),
        ("competing", 0.1, 3.0),
    ],
)
def test_a_page_looks_as_often_as_rows_come_within_bounds(
    trained: Run, phase: Phase, steps_per_second: float, seconds: float
) -> None:
    config = trained.config()
    rows_of_five = replace(config, recording=replace(config.recording, every=5))
    status = Status(phase, 3, 6, "", 0.0, steps_per_second)
    assert runs.tick(runs.Glance(trained, rows_of_five, status, "running")) == seconds


def test_two_runs_are_compared_and_what_differs_is_listed(trained: Run, store: RunStore, root: Path) -> None:
    other = store.create("b-run", replace(trained.config(), seed=5), {})
    with other.locked():
        list(running.train(other, root))
    app = show("versus.py")
    assert not app.exception
    (table,) = (each.value for each in app.dataframe)
    assert table.to_numpy().tolist() == [["seed", "5", "0"]]  # the newest on the left


def test_one_run_is_not_enough_to_compare(trained: Run) -> None:
    app = show("versus.py")
    assert not app.exception
    assert "Two runs are needed" in words(app)


def test_the_time_slider_shows_the_run_as_it_was(trained: Run, root: Path) -> None:
    trained.extend(60)
    with trained.locked():
        list(running.train(trained, root))
    app = show("monitor.py", numbers="true")
    slider = next(each for each in app.select_slider if each.label.startswith("Time"))
    assert slider.options == ["0", "6", "25", "50", "60", "newest"]
    slider.set_value("25").run()
    assert not app.exception
    table = app.dataframe[0].value
    assert table[["E0", "E1", "E2"]].to_numpy().sum() == 25 * 8


def test_a_link_to_a_run_that_is_not_there_shows_the_newest_and_says_so(trained: Run) -> None:
    app = show("monitor.py", run="gone")
    assert not app.exception
    assert "no run 'gone'" in words(app)
    assert box(app, "Run").value == "a-run"


@pytest.mark.parametrize("page", ["draw.py", "compare.py"])
@pytest.mark.parametrize("state", STATES)
def test_draw_and_compare_ask_a_run_in_every_state(trained: Run, state: str, page: str) -> None:
    held, make = STATES[state]
    make(trained)
    with trained.locked() if held else contextlib.nullcontext():
        app = show(page, run="a-run")
    assert not app.exception
    assert box(app, "Run").value == "a-run"


@pytest.mark.parametrize("page", ["draw.py", "compare.py"])
@pytest.mark.parametrize("damaged", ["config.json", "status.json", "snapshots/step_000006.safetensors"])
def test_a_damaged_run_breaks_neither_draw_nor_compare(trained: Run, page: str, damaged: str) -> None:
    (trained.folder / damaged).write_text("{")
    app = with_a_drawing(page, run="a-run")
    assert not app.exception
    if damaged != "status.json":  # which neither page reads
        assert "cannot be read" in words(app)


@pytest.mark.parametrize("page", ["home.py", "monitor.py"])
def test_a_damaged_snapshot_is_told_in_place_of_its_pictures(trained: Run, page: str) -> None:
    (trained.folder / "snapshots/step_000006.safetensors").write_text("{")
    app = show(page, numbers="true")
    assert not app.exception
    assert "step_000006.safetensors cannot be read" in words(app)


def with_a_drawing(page: str, **link: str) -> AppTest:
    """The page with an upright stroke on the pad, as the browser would send it."""
    sheet = np.zeros((160, 160), np.uint8)
    sheet[30:130, 72:86] = 255
    app = unopened(page, **link)
    app.session_state["pad"] = {"pixels": base64.b64encode(sheet.tobytes()).decode()}
    return app.run()


def html_on(app: AppTest) -> str:
    return "".join(str(getattr(each, "value", "")) for each in app.get("html"))


def test_a_drawing_is_changed_and_every_expert_answers(trained: Run) -> None:
    app = with_a_drawing("draw.py", run="a-run")
    assert not app.exception
    shown = html_on(app)
    assert shown.count("<figure") == 5 + 3  # the path, and an answer of each of the three experts
    assert "Changed: right" in shown
    assert "dB to the original" in shown


def test_an_empty_pad_claims_nothing(trained: Run) -> None:
    app = show("draw.py", run="a-run")
    assert "Nothing is claimed yet" in words(app)
    assert "<figure" not in html_on(app)


def test_compare_says_both_answers_in_words(trained: Run) -> None:
    text = words(show("compare.py", run="a-run"))
    assert "The experts" in text
    assert "The referee" in text
    assert "Unseen alphabets, drawn with fonts" in text


def test_a_new_run_takes_the_digits_and_the_device_of_the_one_it_is_like(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icm.launch.devices", lambda: {"cpu": "cpu · 2 cores", "cuda": "cuda · a card"})
    monkeypatch.setattr("icm.data.has_mnist", lambda root: True)
    change_config(trained, device="cpu")
    app = show("train.py", like="a-run")
    assert not app.exception
    assert (box(app, "Digits").value, box(app, "Device").value) == ("Built-in digits, 5,000", "cpu")
    assert "--source builtin --device cpu" in command_on(app)
    assert box(show("train.py", preset="quick"), "Device").value == "cuda"  # a preset says auto


@pytest.mark.parametrize("changed", [{"seed": 2**31}, {"training": {"steps": 2_000_000}}])
def test_a_run_that_the_form_cannot_show_is_told(trained: Run, changed: dict[str, Any]) -> None:
    config = trained.config()
    sections = {
        name: {**vars(getattr(config, name)), **value} if isinstance(value, dict) else value
        for name, value in changed.items()
    }
    change_config(trained, **sections)
    app = show("train.py", like="a-run")
    assert not app.exception
    assert "is too large for this form; use the command line" in words(app)


def test_a_run_whose_status_is_damaged_is_resumed_from_the_page(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[str] = []
    monkeypatch.setattr("icm.launch.start", lambda run, root: resumed.append(run.id))
    (trained.folder / "status.json").write_text("{")
    app = show("train.py", run="a-run")
    assert "resume the run, which writes it anew" in words(app)
    press(app, "Resume")
    assert resumed == ["a-run"]


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
def test_play_ends_with_a_run_that_cannot_be_read(trained: Run, damaged: str) -> None:
    (trained.folder / damaged).unlink()
    (trained.folder / damaged).mkdir()
    app = unopened("monitor.py", run="a-run")
    app.session_state["playing"] = True  # of the run that was shown before
    app.run()
    assert not app.exception
    assert app.session_state["playing"] is False
    assert f"{damaged} cannot be read" in words(app)


def test_presets_of_which_one_was_never_timed_are_timed(
    store: RunStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icm.launch.start_timing", lambda store, root: TimingThatFailed())
    for kept in ({}, {"tiny": 5.0, "quick": "soon", "paper": 1080.0}):
        store.write_durations(kept)  # pyright: ignore[reportArgumentType]
        text = words(show("train.py"))
        assert "could not be timed on this machine" in text
        assert "being timed" not in text


def test_what_the_other_run_had_and_is_not_here_is_told(trained: Run) -> None:
    change_config(trained, source="mnist", device="mps")
    text = words(show("train.py", like="a-run"))
    assert "Run a-run learned from MNIST, which is not here" in text
    assert "Run a-run was trained on mps, which is not here; a new run would be trained on cpu" in text


def change_config(run: Run, **changed: object) -> None:
    path = run.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


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
    assert len(set(box(app, "Left").options)) == 2


def test_where_nobody_owns_a_mechanism_compare_says_so(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icm.ownership.MAJORITY", 1.0)  # nobody wins more than all
    app = show("compare.py", run="a-run")
    assert not app.exception
    assert "No expert owns a mechanism yet" in words(app)
    assert "nan" not in words(app)
    assert not any("nan" in str(metric.value) for metric in app.metric)


def test_play_ends_with_a_run_that_has_no_other_snapshot(trained: Run) -> None:
    (trained.folder / "snapshots/step_000000.safetensors").unlink()
    app = unopened("monitor.py", run="a-run")
    app.session_state["playing"] = True  # of the run that was shown before
    app.run()
    assert not app.exception
    assert app.session_state["playing"] is False
    assert "Finished: 6 steps" in "".join(str(each.proto) for each in app.get("progress"))


@dataclass
class TimingThatFailed:
    running: bool = False
    failed: bool = True

    def last_words(self) -> str:
        return "no room on the disk"


def test_a_timing_that_failed_is_told_and_can_be_tried_again(
    store: RunStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[RunStore] = []
    monkeypatch.setattr(
        "icm.launch.start_timing", lambda store, root: begun.append(store) or TimingThatFailed()
    )
    (store.root / ".durations.json").unlink()
    app = show("train.py")
    assert not app.exception
    assert "could not be timed on this machine" in words(app)
    assert "no room on the disk" in words(app)
    assert "being timed" not in words(app)
    assert len(begun) == 1
    press(app, "Time them again")
    assert len(begun) == 2


REFUSED = "disk full: make room and try again"


def refuse(*arguments: object, **named: object) -> None:
    raise StoreError(REFUSED)


@pytest.mark.parametrize(
    ("label", "state"),
    [
        ("Save", "finished"),
        ("Resume to there", "finished"),
        ("Stop", "running"),
        ("Start training", "finished"),
    ],
)
def test_a_full_disk_is_told_where_the_button_is(
    trained: Run, monkeypatch: pytest.MonkeyPatch, label: str, state: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    held, make = STATES[state]
    make(trained)
    with trained.locked() if held else contextlib.nullcontext():
        app = show("train.py", run="a-run")
        typed = next(each for each in app.text_input if each.label == "Label")
        typed.set_value("typed").run()
        monkeypatch.setattr("icm.files.os.fsync", full)
        opened = os.open
        monkeypatch.setattr(
            "icm.store.os.open",
            lambda path, *rest: full() if str(path).endswith("STOP") else opened(path, *rest),
        )
        press(app, label)
    assert not app.exception
    assert "cannot be written (No space left on device); free some space" in words(app)


@pytest.mark.parametrize(
    ("what", "label", "state"),
    [
        ("icm.store.Run.rename", "Save", "finished"),
        ("icm.store.Run.extend", "Resume to there", "finished"),
        ("icm.store.Run.delete", "Delete it", "finished"),
        ("icm.store.Run.request_stop", "Stop", "running"),
        ("icm.launch.start", "Resume", "stopped"),
        ("icm.launch.start", "Start training", "finished"),
        ("icm.store.RunStore.create", "Start training", "finished"),
    ],
)
def test_an_action_that_is_refused_is_told_and_nothing_typed_is_lost(
    trained: Run, monkeypatch: pytest.MonkeyPatch, what: str, label: str, state: str
) -> None:
    held, make = STATES[state]
    make(trained)
    monkeypatch.setattr(what, refuse)
    with trained.locked() if held else contextlib.nullcontext():
        app = show("train.py", run="a-run")
        typed = next(each for each in app.text_input if each.label == "Label")
        typed.set_value("typed").run()
        box(app, "Seed").set_value(7).run()
        press(app, label)
        if label != "Start training":
            app.run()  # the page ticks: what was told stays
        assert not app.exception
        assert REFUSED in words(app)
        assert box(app, "Seed").value == 7
        assert next(each for each in app.text_input if each.label == "Label").value == "typed"


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
