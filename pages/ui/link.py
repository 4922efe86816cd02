"""Mechanisms with their strengths, as a link names them: `right:3,noise`, `mine.py:twist:30`. Pure: no Streamlit, no torch."""

from collections.abc import Mapping
from math import isclose
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from icm.images.mechanisms import MechanismKind

MOST = 3  # mechanisms in a chain


def read(text: str, kinds: Mapping[str, "MechanismKind"]) -> dict[str, float]:
    """The strength of each mechanism, in the order in which they are applied.

    A link may say anything: an unknown name, one named again and those beyond the third are left out, and a strength that the
    slider does not have counts as none, which stands for the default."""
    chosen: dict[str, float] = {}
    for each in text.split(","):
        name = max((name for name in kinds if f"{each}:".startswith(f"{name}:")), key=len, default=None)
        if name and name not in chosen:
            chosen[name] = _strength(each[len(name) + 1 :], kinds[name])
    return dict(list(chosen.items())[:MOST])


def _strength(text: str, kind: "MechanismKind") -> float:
    try:
        strength = float(text)
    except ValueError:
        return kind.default
    steps = (strength - kind.low) / kind.step
    on_slider = kind.low <= strength <= kind.high and isclose(steps, round(steps), abs_tol=1e-6)
    return strength if on_slider else kind.default


def written(chosen: Mapping[str, float], kinds: Mapping[str, "MechanismKind"]) -> str:
    """What `read` reads as these. A default strength is not named."""
    return ",".join(
        name if strength == kinds[name].default else f"{name}:{strength:g}"
        for name, strength in chosen.items()
    )
