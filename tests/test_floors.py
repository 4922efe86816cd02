"""The rooms of icm/ lie on floors. What the rooms promise one another is checked here by rules that read the syntax tree.

Each rule is a function that takes a project's folder and returns the violations in it, so that it can be shown a planted one."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

# From the top down. A room imports from its own files and from the floors below it. "" is what lies in icm/ itself.
FLOORS = (("cli",), ("jobs",), ("measure", "show"), ("runs",), ("method", "images"), ("",))

NO_TORCH = ("icm.runs", "icm.show")
TRAINING = ("icm.method.training", "icm.jobs.trainer", "icm.jobs.session", "icm.jobs.prepare")
STARTS_A_PROCESS = ("subprocess", "multiprocessing", "concurrent.futures.process", "pty")
STARTERS_IN_OS = ("fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp", "startfile")


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree, made once: every rule reads all files twice over."""
    return ast.parse(text)


def modules(project: Path, *rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file below the named folders, by dotted name."""
    for room in rooms:
        for path in sorted((project / room).rglob("*.py")):
            name = ".".join(path.relative_to(project).with_suffix("").parts)
            yield name.removesuffix(".__init__"), parsed(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> set[str]:
    """Dotted names that are imported anywhere, in functions and for type checkers too; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def lies_in(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def floor_of(name: str) -> int:
    """The floor of a module of icm; 0 is the top."""
    room = name.split(".")[1]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS) - 1)


def imports_go_down_only(project: Path) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, tree in modules(project, "icm")
        if name not in ("icm", "icm.__main__")
        for other in sorted(imported(tree))
        if lies_in(other, "icm") and other != "icm" and floor_of(other) < floor_of(name)
    ]


def learner_and_truth_are_apart(project: Path) -> list[str]:
    """Method and images never import one another: the learner cannot see which mechanism made an image."""
    apart = {"icm.method": "icm.images", "icm.images": "icm.method"}
    return [
        f"{name} imports {other}"
        for room, forbidden in apart.items()
        for name, tree in modules(project, room.replace(".", "/"))
        for other in sorted(imported(tree))
        if lies_in(other, forbidden)
    ]


def runs_and_show_know_no_torch(project: Path) -> list[str]:
    """Nor does any module of ours that they import: a launched trainer holds its lock before torch is imported."""
    trees = dict(modules(project, "icm"))

    def path_to_torch(name: str, seen: frozenset[str] = frozenset()) -> list[str]:
        for other in sorted(imported(trees[name])):
            if lies_in(other, "torch", "torchvision"):
                return [name, other]
            if other in trees and other not in seen and (way := path_to_torch(other, seen | {name})):
                return [name, *way]
        return []

    ways = [path_to_torch(name) for name in trees if lies_in(name, *NO_TORCH)]
    return [" imports ".join(way) for way in ways if way]


def only_jobs_starts_a_process(project: Path) -> list[str]:
    found = []
    for name, tree in modules(project, "icm", "pages"):
        if lies_in(name, "icm.jobs"):
            continue
        used = {other for other in imported(tree) if lies_in(other, *STARTS_A_PROCESS)}
        used |= {
            f"os.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and (node.attr in STARTERS_IN_OS or node.attr.startswith(("exec", "spawn")))
        }
        found += [f"{name} uses {each}" for each in sorted(used)]
    return found


def pages_never_train(project: Path) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, tree in modules(project, "pages")
        for other in sorted(imported(tree))
        if lies_in(other, *TRAINING)
    ]


def icm_knows_no_streamlit(project: Path) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, tree in modules(project, "icm")
        for other in sorted(imported(tree))
        if lies_in(other, "streamlit", "pages")
    ]


# Each rule, and a line that breaks it: where it is planted, and what the rule says then.
RULES: dict[Callable[[Path], list[str]], tuple[str, str, str]] = {
    imports_go_down_only: (
        "icm/runs/store.py",
        "from icm.jobs import launch",
        "icm.runs.store imports icm.jobs",
    ),
    learner_and_truth_are_apart: (
        "icm/method/training.py",
        "def peek(): from icm.images.mechanisms import KINDS",
        "icm.method.training imports icm.images.mechanisms",
    ),
    runs_and_show_know_no_torch: (
        "icm/ownership.py",
        "from icm.shapes import Images",
        "icm.runs.history imports icm.ownership imports icm.shapes imports torch",
    ),
    only_jobs_starts_a_process: (
        "pages/home.py",
        "import os; os.execv('/bin/true', ['true'])",
        "pages.home uses os.execv",
    ),
    pages_never_train: (
        "pages/ui/panels.py",
        "from icm.jobs.trainer import train",
        "pages.ui.panels imports icm.jobs.trainer",
    ),
    icm_knows_no_streamlit: (
        "icm/files.py",
        "import streamlit as st",
        "icm.files imports streamlit",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's sources, to be spoilt."""
    for room in ("icm", "pages"):
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_its_rules(rule: Callable[[Path], list[str]]) -> None:
    assert rule(PROJECT) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_a_planted_violation(rule: Callable[[Path], list[str]], copy: Path) -> None:
    place, line, said = RULES[rule]
    with (copy / place).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert any(each.startswith(said) for each in rule(copy)), rule(copy)


def test_every_room_has_a_floor() -> None:
    rooms = {path.name for path in (PROJECT / "icm").iterdir() if (path / "__init__.py").exists()}
    assert rooms == {room for floor in FLOORS for room in floor if room}


LEARNER = """
import torch
from icm.presets import PRESETS
from icm.images.batches import generator_for
from icm.jobs import trainer
from icm.method.state import init_state
state = init_state(PRESETS["tiny"], generator_for(0, "weights"), torch.device("cpu"))
state.experts(torch.rand(2, 1, 28, 28)).sum().backward()
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import icm.cli.main", {"torch", "torchvision", "streamlit", "scipy", "sklearn", "matplotlib"}),
        ("import icm.show.charts", {"torch", "plotly", "streamlit"}),
        ("import icm.runs.store", {"torch"}),
        ("import icm.runs.history", {"torch"}),
        (LEARNER, {"torch._dynamo", "sympy", "torchvision", "sklearn", "matplotlib", "streamlit"}),
        ("import pages.ui.run_view", {"torch", "streamlit"}),
        ("import pages.ui.decisions", {"torch", "streamlit"}),
    ],
)
def test_a_fresh_process_imports_nothing_heavy(code: str, absent: set[str]) -> None:
    found = f"\nimport sys; print(' '.join(sorted({absent!r} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", code + found], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert done.stdout.strip() == ""


def test_a_figure_is_drawn_while_another_visitor_has_pandas_half_imported() -> None:
    # Plotly looks whether pandas is there and takes what it finds, finished or not. The other thread stands still in the middle.
    script = """
import sys, threading
from plotly.subplots import make_subplots

half, drawn = threading.Event(), threading.Event()

class Standstill:
    def find_spec(self, name, path, target=None):
        if name == "pandas.core.api":
            half.set()
            drawn.wait(3)

sys.meta_path.insert(0, Standstill())
other = threading.Thread(target=__import__, args=("pandas",))
other.start()
half.wait()
from icm.show import figures
make_subplots(cols=2)
drawn.set()
other.join()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
