"""The film of a run: when it has a picture, what is in one, and that it belongs to the run as it went."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.config import RunConfig
from icm.jobs import trainer
from icm.jobs.trainer import row_due
from icm.runs.film import Film, film_due
from icm.runs.store import RunStore
from tests.short_runs import train

MOST = 150  # pictures, with those of the identity phase and the digits


@pytest.mark.parametrize("last", [1, 60, 200, 250, 700, 2000, 2300, 100_000])
def test_a_film_is_dense_early_and_never_has_more_than_150_pictures(last: int) -> None:
    due = [step for step in range(last + 1) if film_due(step, last)]
    early = [step for step in due if step <= 200]
    assert early == sorted({*range(0, min(last, 200) + 1, 5), *([last] if last <= 200 else [])})
    assert len(due) <= MOST - 13  # twelve of the identity phase at most, and the digits
    assert due[-1] == last
    if last in (700, 2000):
        assert due[41:] == list(range(225, last + 1, 25))


def test_rows_are_dense_early_then_as_the_run_says_and_wherever_networks_are_kept() -> None:
    due = [step for step in range(1, 702) if row_due(step, last=701, every=5)]
    assert due[:50] == list(range(1, 51))
    assert sorted({*range(52, 201, 2), *range(55, 201, 5)}) == [step for step in due if 50 < step <= 200]
    assert [step for step in due if step > 200] == [*range(205, 701, 5), 701]
    late = [step for step in range(201, 702) if row_due(step, last=701, every=333)]
    assert late == [250, 300, 333, 400, 500, 600, 666, 700, 701]


def test_a_picture_has_a_row_for_each_mechanism_and_a_column_for_each_expert(tmp_path: Path) -> None:
    film = Film(tmp_path)
    answers = np.zeros((3, 2, 32, 32), dtype=np.float32)
    answers[2, 1] = 1.0  # the last expert on the last mechanism
    film.save(5, answers)
    picture = np.asarray(Image.open(io.BytesIO(film.picture("000005") or b"")).convert("L"))
    assert picture.shape == (2 * 32, 3 * 32)
    assert picture[40:60, 70:90].min() > 250
    assert picture[:28].max() < 5


def test_a_trained_run_has_its_film_and_a_shorter_future_leaves_no_picture(
    store: RunStore, root: Path, tiny: RunConfig
) -> None:
    config = replace(tiny, source="builtin", training=replace(tiny.training, steps=23))
    run = store.create("filmed", config, {})
    train(run, root)
    assert run.film.steps() == [0, 5, 10, 15, 20, 23]
    assert run.film.copies() == [1, 2, 5, 10, 20]
    digits = Image.open(io.BytesIO(run.film.picture("digits") or b""))
    assert digits.size == (3 * 32, 2 * 32)

    # The newest states are lost, and the run goes on from step 20 to a later end: 23 is no step of its film any more.
    run.extend(30)
    shutil.rmtree(run.folder / "film")
    train(run, root)
    assert run.film.steps() == [25, 30]


def test_a_trainer_that_was_killed_after_its_first_state_has_the_first_picture_in_the_end(
    store: RunStore, root: Path, tiny: RunConfig
) -> None:
    run = store.create(
        "killed", replace(tiny, source="builtin", training=replace(tiny.training, steps=6)), {}
    )
    with run.trainer.locked():
        for _ in trainer.train(run, root):
            if run.states.steps():
                break  # the state of step 0 is there
    for made in (
        *(run.folder / "film").glob("0*"),
        *(run.folder / "snapshots").glob("*"),
        run.folder / "metrics.jsonl",
    ):
        made.unlink(missing_ok=True)
    train(run, root)
    assert run.film.steps() == [0, 5, 6]
    assert run.snapshots.steps()[0] == 0


def test_filming_changes_nothing_that_is_learnt(
    store: RunStore, root: Path, tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_norm = replace(tiny.model, norm="batch", statistics="sample")
    config = replace(tiny, source="builtin", model=batch_norm, training=replace(tiny.training, steps=10))
    filmed = store.create("filmed", config, {})
    train(filmed, root)
    monkeypatch.setattr("icm.jobs.session.film_due", lambda step, last: False)
    bare = store.create("bare", config, {})
    train(bare, root)
    assert (len(filmed.film.steps()), bare.film.steps()) == (3, [])
    assert filmed.snapshots.digest(10) == bare.snapshots.digest(10)
