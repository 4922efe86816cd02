"""How much of what is wrong with experts the diagnosis found, over all runs and over those that its rule was not made with."""

from typing import Any

from icm.show import diagnosed, figures, results
from tests.test_results import everything, row


def test_faults_that_were_found_are_counted_over_all_runs() -> None:
    found = row(13).found(everything())
    assert [row(13).ours(each) for each in found[-3:]] == [
        "idle 30 of 30, with two kinds 0 of 10; named wrongly: 5",
        "with two kinds 5 of 15; named wrongly: 5",
        "with two kinds 5 of 15; named wrongly: 5",
    ]
    none = {"diagnosed": {kind: [0, 0, 0] for kind in diagnosed.KINDS}}
    assert diagnosed.in_words([none]) == "nothing is at fault; named wrongly: none"
    assert results.all_faults_found(found).splitlines()[:5] == [
        "| in 35 runs | found | so, of those named |",
        "|---|---|---|",
        "| idle | 60 of 60 | 60 of 60 |",
        "| with two kinds | 10 of 80 | 10 of 45 |",
        "| pairs that share one | 0 of 0 | 0 of 0 |",
    ]
    every = [run for each in found for run in each.runs]
    assert results.all_faults_found(found).endswith(
        "The rule was made with none of these runs in sight; it finds 70 of 140 faults and names 35 wrongly."
    )
    seen = [run | {"run": "six-robust-s104"} for run in every[-1:]]
    assert diagnosed.held_out(every[:-1] + seen) == (
        "The rule was made with 1 of these runs in sight; in the other 34 it finds 69 of 137 faults and names 34 wrongly."
    )
    assert diagnosed.held_out(seen) == "The rule was made with all of these runs in sight."
    drawn: Any = figures.figure(13, found)
    assert [trace.x[0] for trace in drawn.data if trace.xaxis == "x"] == [2] * 7
    assert [trace.x[0] for trace in drawn.data if trace.xaxis == "x2"] == [1] * 7
    assert diagnosed.columns(found[-1].runs[0])["overloaded missed"] == 2
