"""A run goes on from its newest usable state and from nothing else; nothing starts over what is there."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from icm import files
from icm.config import RunConfig
from icm.files import FileError
from icm.jobs import launch, trainer
from icm.jobs.devices import devices
from icm.jobs.session import Diverged
from icm.method.engine import DeviceError
from icm.method.state import TrainState
from icm.method.training import StepOutput
from icm.runs.errors import StoreError
from icm.runs.run import Run
from icm.runs.store import RunStore
from icm.shapes import Images
from tests.short_runs import content, train

# Nothing starts over what is there


@pytest.mark.parametrize("left", ["metrics.jsonl", "snapshots"])
def test_a_run_whose_states_are_gone_is_refused_and_keeps_what_it_has(
    stopped: Run, root: Path, left: str
) -> None:
    shutil.rmtree(stopped.folder / "state")
    if left == "snapshots":
        stopped.rows.metrics_file.unlink()
    else:
        shutil.rmtree(stopped.folder / "snapshots")
    rows, steps = stopped.rows.lines(), stopped.snapshots.steps()
    with pytest.raises(StoreError, match=r"no state to go on from.*train another run like it"):
        train(stopped, root)
    assert (stopped.rows.lines(), stopped.snapshots.steps()) == (rows, steps)


def test_a_run_whose_states_are_all_damaged_is_refused_and_nobody_is_told_to_delete_them(
    stopped: Run, root: Path
) -> None:
    for path in (stopped.folder / "state").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    rows = stopped.rows.lines()
    with pytest.raises(StoreError, match=r"no state that can be used: .*step 6.*step 4") as refusal:
        train(stopped, root)
    assert "delete" not in str(refusal.value)
    assert stopped.rows.lines() == rows


def test_a_run_that_cannot_go_on_stays_what_it_was(run: Run, root: Path) -> None:
    """A refused resume is no crash: a finished run stays finished, a stopped one stands where it stopped and says why."""
    train(run, root, stop_at=6)
    shutil.move(run.folder / "state", run.folder.parent / "kept")
    with pytest.raises(StoreError, match="no state to go on from"):
        train(run, root)
    status = run.status()
    assert (run.state(), status.phase, status.step, status.of) == ("stopped", "stopped", 6, 12)
    assert status.message.startswith("could not go on: run one has rows or snapshots but no state")

    shutil.rmtree(run.folder / "state")
    shutil.move(run.folder.parent / "kept", run.folder / "state")
    train(run, root)
    before = run.status()
    shutil.rmtree(run.folder / "state")
    with pytest.raises(StoreError, match="no state to go on from"):
        train(run, root)
    assert (run.state(), run.status().step) == ("finished", before.step)
    with pytest.raises(StoreError, match="no state to go on from"):
        run.extend(99)
    assert (run.state(), run.config().training.steps) == ("finished", 12)


def test_a_damaged_status_says_that_a_resume_mends_it(stopped: Run, root: Path) -> None:
    (stopped.folder / "status.json").write_text("[]")
    with pytest.raises(FileError, match="resume the run, which writes it anew") as damage:
        stopped.status()
    assert "delete" not in str(damage.value)
    train(stopped, root)
    assert stopped.state() == "finished"


def test_a_run_trained_with_another_torch_so_far_is_told_so(stopped: Run, root: Path) -> None:
    stopped.write_environment({**stopped.environment(), "packages": {"torch": "1.0"}})
    states = stopped.states.folder
    states.rename(states.with_name("elsewhere"))
    with pytest.raises(StoreError, match="no state to go on from"):
        train(stopped, root)
    states.rmdir()
    states.with_name("elsewhere").rename(states)
    (notice,) = train(stopped, root, stop_at=8)  # the refused resume has not used the notice up
    assert notice.startswith("the run was trained with torch 1.0 so far and goes on with torch ")
    assert train(stopped, root) == []


def test_no_run_takes_the_name_of_the_run_in_the_box(store: RunStore, root: Path, tiny: RunConfig) -> None:
    with pytest.raises(StoreError, match="pretrained is the name of the run that ships"):
        launch.create(store, "pretrained", tiny, root, command="a test")
    assert not (store.root / "pretrained").exists()


def test_the_run_in_the_box_is_never_resumed(store: RunStore, root: Path, short: RunConfig) -> None:
    shipped = store.create("pretrained", short, {})
    before = content(shipped)
    for change in (
        lambda: launch.start(shipped, root),
        lambda: list(trainer.train(shipped, root)),
        lambda: shipped.rename("mine"),
    ):
        with pytest.raises(StoreError, match="ships with the project and stays as it is; train one like it"):
            change()
    assert content(shipped) == before


# States are told apart by their step


def arrays(step: int) -> dict[str, np.ndarray]:
    return {"step": np.array([step])}


def test_a_state_that_was_just_written_stays_though_the_clock_was_set_back(run: Run) -> None:
    later = time.time() + 3600
    for step in (10, 20):
        run.states.save(step, arrays(step))
        os.utime(run.folder / "state" / f"step_{step:06d}.safetensors", (later, later))
    run.states.save(30, arrays(30))
    assert run.states.steps() == [20, 30]


def test_a_millionth_step_comes_after_the_one_before(run: Run) -> None:
    for step in (999_900, 999_950, 1_000_000):
        run.states.save(step, arrays(step))
    assert run.states.steps() == [999_950, 1_000_000]


def test_a_state_that_cannot_be_read_now_is_kept_until_the_next_save(stopped: Run, root: Path) -> None:
    newest = stopped.folder / "state" / "step_000006.safetensors"
    content = newest.read_bytes()
    newest.write_bytes(content[:-1])
    with stopped.trainer.locked():
        events = trainer.train(stopped, root)
        while next(events).phase == "preparing":
            pass
        assert newest.read_bytes() == content[:-1]
        list(events)
    assert stopped.states.steps() == [8, 12]


def test_states_of_a_future_that_was_given_up_go_with_the_next_save(run: Run) -> None:
    for step in (10, 20, 12):  # resumed from 10, because 20 could not be read
        run.states.save(step, arrays(step))
    assert run.states.steps() == [10, 12]


def test_a_state_that_a_killed_trainer_had_no_time_to_remove_goes_with_the_resume(
    run: Run, root: Path
) -> None:
    train(run, root)
    shutil.copy(
        run.folder / "state" / "step_000008.safetensors", run.folder / "state" / "step_000004.safetensors"
    )
    assert run.states.steps() == [4, 8, 12]
    train(run, root)
    assert run.states.steps() == [8, 12]


# Where a run is trained


def test_memory_is_told_where_the_system_knows_no_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert "GB free" in devices()["cpu"]


def test_what_auto_means_is_written_down_when_a_run_is_made(
    store: RunStore, root: Path, short: RunConfig
) -> None:
    run = launch.create(store, "two", replace(short, device="auto", source="auto"), root, "a test")
    assert run.config().device == next(reversed(devices()))
    assert run.config().source == "builtin"


def test_a_run_is_not_resumed_on_another_kind_of_device(run: Run, root: Path) -> None:
    train(run, root, stop_at=2)
    run.write_environment({**run.environment(), "device": "mps"})
    rows = run.rows.lines()
    with pytest.raises(
        DeviceError, match=r"began on mps, which is not available here.*icm train --preset tiny"
    ):
        train(run, root)
    assert run.rows.lines() == rows


# A state that does not fit


def test_a_state_that_is_whole_but_does_not_fit_is_passed_over(stopped: Run, root: Path) -> None:
    state = stopped.states.read(6)
    name = next(name for name in state if name.startswith("experts."))
    for unfit in (
        {each: values for each, values in state.items() if each != name},
        {**state, name: state[name][:1]},
        {**state, name: state[name].astype(np.float64)},
        {each: values for each, values in state.items() if each != "window.wins"},
    ):
        files.write_arrays(stopped.folder / "state" / "step_000006.safetensors", unfit)
        notices = train(stopped, root, stop_at=6)
        assert any("the state of step 6 is passed over" in notice for notice in notices)
        assert stopped.states.steps() == [4, 6]


# Networks that diverge


@pytest.mark.parametrize(("breaks", "said"), [(6, "after step 7 expert_loss"), (8, "after step 8 experts")])
def test_a_run_that_diverges_ends_in_a_sentence_and_keeps_its_sound_states(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, breaks: int, said: str
) -> None:
    """It used to go on to its end, while states of numbers that are none took the place of the sound ones."""
    sound = trainer.train_step

    def breaking(state: TrainState, canonical: Images, transformed: Images) -> StepOutput:
        output = sound(state, canonical, transformed)
        if state.step == breaks:
            with torch.no_grad():
                state.experts.weights[0][:] = torch.nan
        return output

    monkeypatch.setattr(trainer, "train_step", breaking)
    told = rf"diverged: {said}.* is not finite, with training.learning_rate 0.001; .* a smaller one"
    with pytest.raises(Diverged, match=told):
        train(run, root)
    assert (run.status().phase, run.rows.read()[-1]["step"]) == ("failed", breaks)
    monkeypatch.undo()
    train(run, root)
    assert run.state() == "finished"


def test_a_crash_while_experts_learn_to_copy_costs_only_the_steps_since(
    store: RunStore, root: Path, short: RunConfig
) -> None:
    copying = replace(short.identity, steps=7, target_error=1e-9)
    run = store.create("one", replace(short, identity=copying), {})
    with run.trainer.locked():
        for event in trainer.train(run, root):
            if (event.phase, event.step) == ("identity", 6):
                break  # the process is gone: nothing is saved after step 4
    with run.trainer.locked():
        first = next(event.step for event in trainer.train(run, root) if event.phase == "identity")
    assert first == 5
