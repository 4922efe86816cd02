"""Imports go down only, read off the syntax tree; and nothing heavy is imported by what should be light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ICM = Path(__file__).parents[1] / "icm"

# From the top down. A module imports from the floors below it and from nowhere else.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"terminal"},
    {"launch", "run", "export"},
    {"transfer"},
    {"training", "evaluation", "classifier", "figures"},
    {"history"},
    {"store", "records"},
    {"unseen"},
    {"data"},
    {"mechanisms", "models", "competition", "ownership", "sketch"},
    {"config", "shapes", "look", "sets"},
    {"files"},
    {"errors"},
)


def imported(path: Path) -> set[str]:
    """Modules of icm that the file imports anywhere, functions included; type-checking imports too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "icm":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("icm."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("icm.")}
    return names


def test_every_module_has_a_floor() -> None:
    assert {path.stem for path in ICM.glob("*.py")} - {"__init__"} == set().union(*FLOORS)


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_go_down_only(floor: int) -> None:
    below = set().union(*FLOORS[floor + 1 :])
    for module in FLOORS[floor]:
        upward = imported(ICM / f"{module}.py") - below
        assert not upward, module


def test_the_package_never_imports_streamlit() -> None:
    assert not [
        path.name for path in ICM.glob("*.py") if "streamlit" in path.read_text().replace('"streamlit"', "")
    ]


def test_pages_never_train() -> None:
    for path in (ICM.parent / "pages").rglob("*.py"):
        assert not imported(path) & {"training", "run"}, path.name


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("icm.cli", {"torch", "torchvision", "streamlit", "scipy", "sklearn", "matplotlib"}),
        ("icm.figures", {"torch", "plotly", "streamlit"}),
        ("icm.store", {"torch"}),
        ("icm.history", {"torch"}),
        ("icm.evaluation", {"torchvision", "sklearn", "matplotlib", "streamlit"}),
    ],
)
def test_a_fresh_process_imports_nothing_heavy(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(' '.join(sorted({absent!r} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ICM.parent, check=True
    )
    assert done.stdout.strip() == ""
