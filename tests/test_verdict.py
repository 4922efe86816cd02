"""How often a run that is being trained is judged: so that its trainer keeps the machine."""

from concurrent.futures import Future

import pytest

from icm.measure.diagnosis import diagnose
from icm.measure.faults import faults
from pages.ui import verdict
from pages.ui.cached import Judged
from pages.ui.verdict import REST, Begun
from tests.test_diagnosis import KINDS, ONE_EACH, scores


def test_it_rests_until_it_is_judged_and_then_fifty_times_as_long_as_that_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(verdict.time, "monotonic", lambda: now[0])
    found: Future[Judged] = Future()
    begun = Begun(("run", 1.0), 25, 100.0, found)
    now[0] = 10_000.0
    assert begun.rests()  # it is still being judged
    table = scores(ONE_EACH)
    found.set_result(Judged(25, diagnose(table), faults(table, KINDS), seconds=2.0))
    assert not begun.rests()
    now[0] = 100.0 + 2.0 * REST - 0.1
    assert begun.rests()
    now[0] += 0.2
    assert not begun.rests()
