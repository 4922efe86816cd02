"""The Train page: the form, the presets, and what can be done with a run."""

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from icm.config import SECTIONS, field_sentences
from icm.runs.errors import StoreError
from icm.runs.run import Run
from icm.runs.store import RunStore
from tests.app.opened import STATES, box, change_config, press, show, words


def test_the_train_page_offers_mnist_only_where_it_is(store: RunStore, root: Path) -> None:
    app = show("train.py")
    assert box(app, "Images").options == ["Built-in digits, 4,000"]
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
    assert "7 experts for 5 mechanisms: without a conscience 2 may idle" in words(app)


def test_a_run_that_would_end_with_its_conscience_is_told(store: RunStore, root: Path) -> None:
    app = show("train.py")
    press(app, "Choose robust")
    assert "score alone" not in words(app)
    box(app, "Steps").set_value(350).run()
    assert "until step 350 and the run ends at step 350" in words(app)
    box(app, "Steps").set_value(351).run()
    assert "and the run ends" not in words(app)


def test_a_value_that_cannot_be_run_is_told_and_nothing_starts(store: RunStore, root: Path) -> None:
    app = show("train.py")
    box(app, "Filters").set_value(513).run()
    assert "model.filters is 513; use 1 to 512" in words(app)
    assert next(button for button in app.button if button.label == "Start training").disabled


def test_a_preset_says_how_long_it_takes_here(store: RunStore, root: Path) -> None:
    text = words(show("train.py"))
    assert "about 66 s on this machine" in text
    assert "about 18 min on this machine" in text


def test_a_new_run_starts_from_another_ones_settings(trained: Run) -> None:
    app = show("train.py", like="a-run")
    assert not app.exception
    assert "those of run a-run" in words(app)
    assert "--training.steps 6" in command_on(app)


def test_a_new_run_starts_from_the_settings_of_the_run_in_the_box_wherever_the_store_is(
    store: RunStore,
) -> None:
    app = show("train.py", like="pretrained", experts="11")
    assert "those of run pretrained" in words(app)
    assert "--model.experts 11" in command_on(app)


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


def test_a_new_run_takes_the_digits_and_the_device_of_the_one_it_is_like(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pages.ui.settings.devices_here", lambda: {"cpu": "cpu · 2 cores", "cuda": "cuda · a card"}
    )
    monkeypatch.setattr("pages.ui.settings.sources_here", lambda root: ["mnist", "builtin"])
    change_config(trained, device="cpu")
    app = show("train.py", like="a-run")
    assert not app.exception
    assert (box(app, "Images").value, box(app, "Device").value) == ("Built-in digits, 4,000", "cpu")
    assert "--source builtin --device cpu" in command_on(app)
    assert box(show("train.py", preset="quick"), "Device").value == "cuda"  # a preset says auto
    monkeypatch.setattr("pages.ui.settings.sources_here", lambda root: ["mnist", "builtin", "fashion"])
    change_config(trained, source="fashion")
    app = show("train.py", like="a-run")
    assert box(app, "Images").value == "Fashion-MNIST, 8,000 clothes"
    assert "--source fashion" in command_on(app)


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
    monkeypatch.setattr("icm.jobs.launch.start", lambda run, root: resumed.append(run.id))
    (trained.folder / "status.json").write_text("{")
    app = show("train.py", run="a-run")
    assert "resume the run, which writes it anew" in words(app)
    press(app, "Resume")
    assert resumed == ["a-run"]


def test_presets_of_which_one_was_never_timed_are_timed(
    store: RunStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icm.jobs.pace.start_timing", lambda store, root: TimingThatFailed())
    for kept in ({}, {"tiny": 5.0, "quick": "soon", "paper": 1080.0}):
        store.write_durations(kept)  # pyright: ignore[reportArgumentType]
        text = words(show("train.py"))
        assert "could not be timed on this machine" in text
        assert "being timed" not in text


def test_what_the_other_run_had_and_is_not_here_is_told(trained: Run) -> None:
    change_config(trained, source="fashion")
    assert "Run a-run learned from Fashion-MNIST, which is not here" in words(show("train.py", like="a-run"))
    change_config(trained, source="mnist", device="mps")
    text = words(show("train.py", like="a-run"))
    assert "Run a-run learned from MNIST, which is not here" in text
    assert "Run a-run was trained on mps, which is not here; a new run would be trained on cpu" in text


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
        "icm.jobs.pace.start_timing", lambda store, root: begun.append(store) or TimingThatFailed()
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
    with trained.trainer.locked() if held else contextlib.nullcontext():
        app = show("train.py", run="a-run")
        typed = next(each for each in app.text_input if each.label == "Label")
        typed.set_value("typed").run()
        monkeypatch.setattr("icm.files.os.fsync", full)
        opened = os.open
        monkeypatch.setattr(
            "icm.runs.trainer_slot.os.open",
            lambda path, *rest: full() if str(path).endswith("STOP") else opened(path, *rest),
        )
        press(app, label)
    assert not app.exception
    assert "cannot be written (No space left on device); free some space" in words(app)


@pytest.mark.parametrize(
    ("what", "label", "state"),
    [
        ("icm.runs.run.Run.rename", "Save", "finished"),
        ("icm.runs.run.Run.extend", "Resume to there", "finished"),
        ("icm.runs.run.Run.delete", "Delete it", "finished"),
        ("icm.runs.trainer_slot.TrainerSlot.request_stop", "Stop", "running"),
        ("icm.jobs.launch.start", "Resume", "stopped"),
        ("icm.jobs.launch.start", "Start training", "finished"),
        ("icm.runs.store.RunStore.create", "Start training", "finished"),
    ],
)
def test_an_action_that_is_refused_is_told_and_nothing_typed_is_lost(
    trained: Run, monkeypatch: pytest.MonkeyPatch, what: str, label: str, state: str
) -> None:
    held, make = STATES[state]
    make(trained)
    monkeypatch.setattr(what, refuse)
    with trained.trainer.locked() if held else contextlib.nullcontext():
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
