"""Turns the words on the command line into a command's options."""

import contextlib
import io
from typing import Any, TypeVar

import tyro

from icm.errors import ActionableError

Command = TypeVar("Command")


class UsageError(ActionableError):
    """The words on the command line do not fit."""


def at_least_one(option: str, value: int) -> None:
    """UsageError for 0 and less."""
    if value < 1:
        raise UsageError(f"{option} is {value}; use 1 or more")


def parse(command: type[Command], words: list[str], default: Any = tyro.MISSING) -> Command:
    """The command's options. UsageError says in one sentence what tyro would print as a framed paragraph."""
    complaint = io.StringIO()
    keywords = {} if default is tyro.MISSING else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(command, args=words, prog=f"python -m icm {command.__name__.lower()}", **keywords)
    except SystemExit as end:
        if not end.code:
            raise
        # tyro frames its text with lines where standard output is UTF-8, and indents it elsewhere.
        framed = [line.strip("│ ") for line in complaint.getvalue().splitlines() if line[:2] in ("│ ", "  ")]
        sentence = [line for line in framed if line.strip("─-")]
        raise UsageError(" ".join(sentence)) from None


def preset_named(words: list[str]) -> str:
    """The name given with --preset, else `paper`. The other options change fields of that preset, so it must be known first."""
    for index, word in enumerate(words):
        if word.startswith("--preset="):
            return word.removeprefix("--preset=")
        if word == "--preset" and index + 1 < len(words):
            return words[index + 1]
    return "paper"
