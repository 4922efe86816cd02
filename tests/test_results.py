"""The rows of the paper's table: which runs each stands on, what is said of them, and a figure with a point for every seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icm.config import PAPER_MECHANISMS, SYMBOLS
from icm.errors import ActionableError
from icm.jobs.studies import studies
from icm.jobs.study import config_hash
from icm.presets import command_line
from icm.show import chained, clothes, figures, measured, results, supervised
from icm.show.results import ROWS, Row
from tests.test_colours import contrast

MECHANISMS = 10
OTHERS = [name for name in SYMBOLS if name not in PAPER_MECHANISMS]


def a_run(study: str, variant: str, seed: int, experts: int) -> dict[str, Any]:
    """Of a study's file: as many mechanisms as there are experts for have one each; of the other mechanisms expert 0 wins 0.9."""
    end = np.zeros((MECHANISMS, experts))
    for mechanism in range(MECHANISMS):
        end[mechanism, mechanism if mechanism < experts else 0] = 1.0 if mechanism < experts else 0.9
    steps = [0, 100, 700]
    curve = {"step": steps, "psnr_owner": [9.0, 15.0, 20.0 + seed / 10], "psnr_nothing": [8.7, 8.7, 8.7]}
    curve["routing_accuracy"] = [0.1, 0.9, 0.99]
    read = {"read_original": [0.99] * 3, "read_transformed": [0.4] * 3, "read_restored": [0.4, 0.8, 0.97]}
    return {
        "variant": variant,
        "run": f"{study}-{variant}-s{seed}",
        "seed": seed,
        "one_to_one": experts >= MECHANISMS,
        "first_step": 140 + seed if experts >= MECHANISMS else None,
        "routing": 0.99,
        "psnr": 21.0,
        "seconds": 700.0,
        "threads": 1,
        "surplus": experts - MECHANISMS,
        "date": "2026-11-27",
        "machine": "two cores",
        "dtype": "float32",
        "won_first": np.full((MECHANISMS, experts), 1 / experts).tolist(),
        "won": end.tolist(),
        "quality": [20.0 if mechanism < experts else 10.0 for mechanism in range(MECHANISMS)],
        "nothing": [9.0] * MECHANISMS,
        "curves": {"mnist": curve | read, "omniglot": curve},
        "diagnosed": {
            "idle": [max(0, experts - MECHANISMS), 0, 0],
            "overloaded": [int(experts < MECHANISMS), 1, 2],
            "duplicates": [0, 0, 0],
        },
    }


def a_study(study: str, variants: dict[str, int], seeds: int = 5) -> dict[str, Any]:
    """What the file of a study holds; `variants` has the number of experts of each."""
    found = {}
    for name, experts in variants.items():
        runs = [a_run(study, name, seed, experts) for seed in range(seeds)]
        hits = sum(run["one_to_one"] for run in runs)
        summary = {
            "runs": seeds,
            "one_to_one": hits,
            "one_to_one_interval": [0.5, 1.0],
            "first_step_median": 142.0 if hits else None,
            "psnr_mean": 21.0,
        }
        found[name] = {"summary": summary, "runs": runs}
    return {"study": study, "variants": found}


def everything() -> dict[str, dict[str, Any]]:
    """Every study that a row stands on."""
    both = {"paper": 10, "robust": 10}
    return {
        "paper": a_study("paper", {"paper": 10}),
        "robust": a_study("robust", {"robust": 10}),
        "quick": a_study("quick", {"mnist": 10}),
        "single": a_study("single", {"filters32": 1, "filters64": 1, "filters128": 1}),
        "larger": a_study("larger", {"filters64": 10, "filters128": 10}, seeds=1),
        "canonicals": a_study("canonicals", both),
        "sixteen": a_study("sixteen", {"paper": 16, "robust": 16}),
        "six": a_study("six", {"paper": 6, "robust": 6}),
        "extended": a_study("extended", dict.fromkeys(OTHERS, 10), seeds=3),
    }


def row(number: int) -> Row:
    return next(each for each in ROWS if each.number == number)


SAID = {
    1: "5 of 5 (95 %: 50 to 100 %); one-to-one from step 142 on (median)",
    4: "who wins most of a mechanism has 10% of its images at the start, 100% at the end",
    5: "at the end 99% of the originals, 40% of the changed and 97% of the restored digits are read right (a few dozen through each mechanism)",
    6: "on letters the owners' answers reach 20.2 dB (doing nothing: 8.7), and 99% go to the owner; on digits 20.2 dB and 99%",
    7: "1 of 10 mechanisms comes back at least 5 dB nearer to the original",
    8: "one-to-one in 1 of 1, 21.0 dB",
    9: "at the end 99% of the originals, 40% of the changed and 97% of the restored digits are read right (a few dozen through each mechanism)",
    10: "6 of 16 experts idle at the end (median); every mechanism has an owner of its own in 5 of 5",
    11: "experts that own two mechanisms or more: 1; mechanisms without an owner: 0 (medians)",
    12: "20.0 dB, doing nothing 9.0; an expert of its own in 3 of 3",
    13: "with two kinds 0 of 10; named wrongly: 5",
}


@pytest.mark.parametrize("number", SAID)
def test_what_a_row_says_is_what_its_runs_have(number: int) -> None:
    found = row(number).found(everything())
    assert row(number).ours(found[0]) == SAID[number]


@pytest.mark.parametrize("number", [each.number for each in ROWS])
def test_a_row_without_runs_has_nothing_to_show_and_names_what_makes_it(number: int) -> None:
    known = everything()
    for study in dict(row(number).parts):
        known.pop(study, None)
    assert row(number).found(known) == []  # what stands beside is none of its own
    assert row(number).commands()[0].startswith("python -m icm study ")


def test_runs_that_lack_what_a_row_shows_are_none_of_its_runs() -> None:
    known = everything()
    for run in known["robust"]["variants"]["robust"]["runs"][:3]:
        del run["curves"]
    assert [len(each.runs) for each in row(5).found(known)] == [5, 2]
    assert [len(each.runs) for each in row(1).found(known)] == [5, 5, 5]
    for run in known["sixteen"]["variants"]["paper"]["runs"][:3]:
        del run["won"]
    assert row(10).ours(row(10).found(known)[0]).endswith("an owner of its own in 2 of 2")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("number", [each.number for each in ROWS])
def test_every_row_has_a_figure_that_can_be_read(number: int, theme: Any) -> None:
    drawn: Any = figures.figure(number, row(number).found(everything()), theme)
    ground = "#ffffff" if theme == "light" else "#171614"
    assert contrast(drawn.layout.xaxis.tickfont.color, ground) > 4.5
    assert len(drawn.data) > 0


@pytest.mark.parametrize("number", [1, 8, 10, 11, 12, 13])
def test_every_seed_is_a_point_that_knows_its_run(number: int) -> None:
    found = row(number).found(everything())
    drawn: Any = figures.figure(number, found)
    known = {name for trace in drawn.data if trace.customdata is not None for name in trace.customdata}
    assert known == {run["run"] for each in found for run in each.runs}


def test_a_run_that_never_got_there_stands_at_never() -> None:
    known = everything()
    known["paper"]["variants"]["paper"]["runs"][0]["first_step"] = None
    drawn: Any = figures.figure(1, row(1).found(known))
    points = next(trace for trace in drawn.data if trace.customdata is not None)
    never = drawn.layout.xaxis2.tickvals[-1]
    assert drawn.layout.xaxis2.ticktext[-1] == "never"
    assert points.x[0] == never
    assert max(points.x[1:]) < never


def test_of_runs_that_were_one_to_one_and_are_not_at_the_end_it_is_said_so() -> None:
    known = everything()
    known["robust"]["variants"]["robust"]["runs"][0]["one_to_one"] = False
    of_robust = row(1).found(known)[1]
    assert row(1).ours(of_robust).endswith("one-to-one from step 142 on (median), and 1 lost it again")


def test_at_the_end_one_expert_for_each_mechanism_is_a_diagonal() -> None:
    known = everything()
    for run in known["robust"]["variants"]["robust"]["runs"]:
        shuffled = np.random.default_rng(run["seed"]).permutation(10)
        run["won"] = np.array(run["won"])[:, shuffled].tolist()
    drawn: Any = figures.figure(4, row(4).found(known))
    np.testing.assert_allclose(drawn.data[1].z, 100 * np.eye(10))


def test_who_owns_another_mechanism_too_is_no_expert_of_its_own() -> None:
    known = everything()
    won = np.eye(10)
    won[9] = won[8]
    known["extended"]["variants"]["rotation"]["runs"][0]["won"] = won.tolist()
    assert row(12).ours(row(12).found(known)[0]).endswith("an expert of its own in 2 of 3")


def test_a_mean_curve_is_that_of_the_steps_which_all_have() -> None:
    known = everything()
    first = known["paper"]["variants"]["paper"]["runs"][0]["curves"]["mnist"]
    for name in first:
        first[name] = first[name][::2]
    drawn: Any = figures.figure(6, row(6).found(known))
    mean = next(trace for trace in drawn.data if trace.name == "paper, digits")
    assert list(mean.x) == [0, 700]
    np.testing.assert_allclose(mean.y, [9.0, 20.2])


def test_the_projects_own_results_can_be_shown() -> None:
    known = results.read()
    assert {"paper", "robust", "quick"} <= known.keys()
    assert row(1).found(known)


def test_the_command_beside_each_of_the_projects_results_trains_the_same_again() -> None:
    for name, variants in ((name, study["variants"]) for name, study in results.read().items()):
        for variant, said in variants.items():
            config = studies()[name][variant]
            assert (said["config_hash"], said["command"]) == (config_hash(config), command_line(config))


@pytest.mark.parametrize(
    "spoilt",
    [
        {},
        {"variants": 3},
        {"variants": {"a": {}}},
        {"variants": {"a": {"summary": {"one_to_one_interval": [1]}, "runs": []}}},
    ],
)
def test_a_file_that_holds_no_results_is_told_with_its_name(tmp_path: Path, spoilt: dict[str, Any]) -> None:
    (tmp_path / "robust.json").write_text(json.dumps(spoilt))
    with pytest.raises(
        ActionableError, match=r"robust.json holds no results of a study .*; run its study again"
    ):
        results.read(tmp_path)


def some_chains(path: Path, undone: float = 0.5) -> None:
    """What `icm chains` writes of three mechanisms: of two of them every pair, and one chain of three."""
    names = ("right", "up_left", "contrast")
    pairs = [[first, second] for first in names for second in names if first != second]
    figures_of = {"psnr": 18.0, "psnr_nothing": 9.0, "undone": undone, "rounds": 2.0, "read": 0.9}
    chains = {"2": [{"mechanisms": pair, **figures_of} for pair in pairs]}
    chains["2"][3] |= {"undone": 0.0}
    chains["3"] = [{"mechanisms": list(names), **figures_of, "read": None}]
    said = {
        "run": "one",
        "command": "python -m icm train",
        "images": 8,
        "undone_from_dB": 15.0,
        "date": "2026-11-27",
    }
    path.write_text(json.dumps({**said, "step": 700, "chains": chains}))


def test_chains_are_told_by_how_many_come_back_and_by_the_one_that_comes_back_least(tmp_path: Path) -> None:
    some_chains(tmp_path / "robust.json", 0.6)
    (found,) = chained.read(tmp_path)
    assert chained.in_words(found) == (
        "6 chains of 2: 50% of the digits come back, 90% read right, 18.0 dB (doing nothing 9.0); least up-left, contrast, 0%; "
        "1 chain of 3: 60% of the digits come back, 18.0 dB (doing nothing 9.0); least right, up-left, contrast, 60%"
    )
    measured_by = "python -m icm chains one --images 8 --out docs/results/chains/robust.json"
    assert found.commands() == [
        "python -m icm train --run-id one",
        f"{measured_by} --depth 2 --most 6",
        f"{measured_by} --depth 3 --most 1",
    ]
    found.chains[2][0]["psnr_nothing"] = 99.0  # such as right, then left
    assert chained.in_words(found).startswith(
        "5 chains of 2 (1 more cancels out): 48% of the digits come back"
    )
    names, undone = found.pairs()
    assert names == ["right", "up_left", "contrast"]
    assert undone[1] == [0.6, None, 0.0]
    drawn: Any = measured.chains([found, found], "dark")
    assert [list(trace.z[1]) for trace in drawn.data] == [[60, None, 0]] * 2
    assert contrast(drawn.layout.xaxis.tickfont.color, "#171614") > 4.5


def test_a_file_that_holds_no_chains_is_told_with_its_name(tmp_path: Path) -> None:
    some_chains(tmp_path / "robust.json")
    spoilt = json.loads((tmp_path / "robust.json").read_text())
    spoilt["chains"]["2"][0]["undone"] = "most"
    (tmp_path / "robust.json").write_text(json.dumps(spoilt))
    with pytest.raises(
        ActionableError, match=r"robust.json holds no chains .*undone is 'most'.*; measure it again"
    ):
        chained.read(tmp_path)


def some_clothes(path: Path, **spoilt: Any) -> None:
    """What `icm clothes` writes of two sets and two changes of each."""
    look = {"size": 0.9, "ink": 0.3, "brightness": 0.5, "texture": 0.1}
    rest = {"psnr_owner": 12.0, "psnr_nothing": 9.0, "sure": 0.5, "sure_and_right": 0.6}

    def version(change: str, routing: float) -> dict[str, Any]:
        return {"change": change, **look, **rest, "routing_accuracy": routing}

    versions = {
        "mnist": [version("as they are", 1.0), version("large", 0.4), version("dark", 0.9)],
        "fashion": [version("as they are", 0.5), version("bright", 0.45), version("small", 0.8) | spoilt],
    }
    said = {"run": "one", "command": "python -m icm train", "images": 8, "date": "2026-11-27"}
    path.write_text(json.dumps({**said, "step": 700, "versions": versions}))


def test_clothes_are_told_by_the_changes_that_matter_most(tmp_path: Path) -> None:
    some_clothes(tmp_path / "robust.json")
    (found,) = clothes.read(tmp_path)
    assert clothes.in_words(found) == (
        "digits as they are: 100% go to the owner, large: 40%, dark: 90%; clothes as they are: 50% go to the owner, small: 80%, bright: 45%"
    )
    drawn: Any = measured.clothes([found], "dark")
    points = [list(trace.x) for trace in drawn.data if trace.mode == "markers"]
    assert points == [[100, 40, 90], [50, 45, 80]]
    assert [trace.x[0] for trace in drawn.data if trace.mode == "lines"] == [100, 50]
    assert drawn.data[0].customdata[0][0] == 3.0  # dB
    assert contrast(drawn.layout.xaxis2.tickfont.color, "#171614") > 4.5


def test_clothes_of_runs_that_learned_from_different_digits_stand_side_by_side(tmp_path: Path) -> None:
    some_clothes(tmp_path / "mnist.json")
    said = json.loads((tmp_path / "mnist.json").read_text())
    versions = {"builtin" if name == "mnist" else name: each for name, each in said["versions"].items()}
    for number in range(9):
        (tmp_path / f"other{number}.json").write_text(json.dumps({**said, "versions": versions}))
    drawn: Any = measured.clothes(clothes.read(tmp_path), "dark")
    assert [each.text for each in drawn.layout.annotations] == ["Digits", "Clothes", "Digits"]
    points = [len(trace.x) for trace in drawn.data if trace.mode == "markers"]
    assert sorted(points) == [0] * 10 + [3] * 20


@pytest.mark.parametrize("spoilt", [{"routing_accuracy": "most"}, {"size": None}, {"ink": True}])
def test_a_file_that_holds_nothing_about_clothes_is_told_with_its_name(
    tmp_path: Path, spoilt: dict[str, Any]
) -> None:
    some_clothes(tmp_path / "robust.json", **spoilt)
    field = next(iter(spoilt))
    with pytest.raises(
        ActionableError, match=rf"robust.json holds no clothes .*{field} is .*; measure it again"
    ):
        clothes.read(tmp_path)


def test_clothes_without_any_as_they_are_are_told(tmp_path: Path) -> None:
    some_clothes(tmp_path / "robust.json", change="as they were")
    spoilt = json.loads((tmp_path / "robust.json").read_text())
    spoilt["versions"]["fashion"] = spoilt["versions"]["fashion"][1:]
    (tmp_path / "robust.json").write_text(json.dumps(spoilt))
    with pytest.raises(ActionableError, match="holds no clothes"):
        clothes.read(tmp_path)


def some_taught(path: Path, **spoilt: Any) -> None:
    """What `icm supervised` writes of three mechanisms."""
    mechanisms = {
        "right": {"psnr": 30.0, "psnr_nothing": 9.8},
        "flip": {"psnr": 12.0, "psnr_nothing": 11.4},
        "blur": {"psnr": 27.0, "psnr_nothing": 17.3} | spoilt,
    }
    said = {"command": "python -m icm supervised", "date": "2026-11-27"}
    numbers = {"steps": 700, "batch": 32, "images": 8}
    path.write_text(json.dumps({**said, **numbers, "mechanisms": mechanisms}))


def test_taught_networks_are_told_beside_the_experts_of_every_study(tmp_path: Path) -> None:
    some_taught(tmp_path / "expert.json")
    (found,) = supervised.read(tmp_path)
    known = {
        "paper": a_study("paper", {"paper": 10}, seeds=2),
        "extended": a_study("extended", {"flip": 10, "blur": 6}, seeds=2),
    }
    for runs in (variant["runs"] for variant in known["extended"]["variants"].values()):
        for run in runs:
            run["quality"][-1] = 15.0
    experts = supervised.of_experts(known)
    assert experts["paper"]["right"] == [20.0, 20.0]
    assert experts["extended"] == {"flip": [15.0, 15.0], "blur": [15.0, 15.0]}
    assert supervised.in_words(found, experts) == [
        "both bring back right",
        "only the taught network brings back blur",
        "neither brings back flip",
    ]
    assert supervised.in_words(found, {}) == []  # nobody to hold it against
    drawn: Any = measured.supervised(found, experts, "dark")
    by_name = {trace.name: (list(trace.y), list(trace.x)) for trace in drawn.data if trace.name}
    assert by_name == {
        "doing nothing": (["right", "flip", "blur"], [9.8, 11.4, 17.3]),
        "experts, paper": (["right"] * 2, [20.0] * 2),
        "experts, extended": (["flip", "flip", "blur", "blur"], [15.0] * 4),
        "taught with pairs": (["right", "flip", "blur"], [30.0, 12.0, 27.0]),
    }
    assert list(drawn.data[0].x[:3]) == [9.8, 30.0, None]  # from nothing to taught, a line for each
    assert contrast(drawn.data[-1].marker.color, "#171614") > 4.5


def test_a_file_that_holds_no_taught_networks_is_told_with_its_name(tmp_path: Path) -> None:
    some_taught(tmp_path / "expert.json", psnr="much")
    with pytest.raises(ActionableError, match=r"expert.json holds no taught networks .*psnr is 'much'"):
        supervised.read(tmp_path)
