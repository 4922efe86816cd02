"""Curves that are no history: an expert's score and PSNR over a mechanism's strength, and how right winners are over how sure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from icm.show.charts import GREY, LEGEND, NEUTRAL
from icm.show.experts import badge, colour
from icm.show.legible import Option

NOTHING = "doing nothing"
HONEST = "as right as sure"


@dataclass(frozen=True)
class Marked:
    """The strength that the expert was trained on, marked by an upright line, and one that somebody chose, by a dashed one."""

    trained: float
    chosen: float | None = None


def score(expert: int, unit: str, marked: Marked, strength: Sequence[float], of: Sequence[float]) -> Option:
    """The mean score of the expert's answers, in logits."""
    return _over_strength("score (logit)", expert, unit, marked, strength, {badge(expert): of})


def quality(
    expert: int,
    unit: str,
    marked: Marked,
    strength: Sequence[float],
    of: Sequence[float],
    of_nothing: Sequence[float],
) -> Option:
    """The mean PSNR in dB of the expert's answers, and that of the changed images."""
    lines = {badge(expert): of, NOTHING: of_nothing}
    return _over_strength("PSNR, dB", expert, unit, marked, strength, lines)


def _over_strength(
    y_name: str,
    expert: int,
    unit: str,
    marked: Marked,
    strength: Sequence[float],
    lines: Mapping[str, Sequence[float]],
) -> Option:
    """Lines over the strength, the expert's in its colour. Upright lines mark strengths."""
    several = len(lines) > 1
    series = [_line(name, expert, strength, values) for name, values in lines.items()]
    series[0]["markLine"] = {
        "symbol": "none",
        "silent": True,
        "label": {"show": False},
        "lineStyle": {"width": 2, "color": "#888888"},
        "data": [{"xAxis": marked.trained, "lineStyle": {"type": "solid"}}],
    }
    if marked.chosen not in (None, marked.trained):
        series[0]["markLine"]["data"].append({"xAxis": marked.chosen, "lineStyle": {"type": "dashed"}})
    return {
        "animation": False,
        "grid": {
            "left": 8,
            "right": 16,
            "top": 34,
            "bottom": 54 if several else 30,
            "containLabel": True,
        },
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": {**LEGEND, "show": several},
        "xAxis": {
            "type": "value",
            "name": unit,
            "nameLocation": "middle",
            "nameGap": 26,
            "min": strength[0],
            "max": strength[-1],
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "name": y_name,
            "scale": True,
            "nameTextStyle": {"align": "left"},
            "splitLine": {"lineStyle": {"color": GREY}},
        },
        "series": series,
    }


def _line(name: str, expert: int, strength: Sequence[float], values: Sequence[float]) -> Option:
    nothing = name == NOTHING
    return {
        "name": name,
        "type": "line",
        "color": NEUTRAL[0] if nothing else colour(expert),
        "symbol": "circle",
        "symbolSize": 4 if nothing else 7,
        "lineStyle": {"width": 2, "type": "dashed" if nothing else "solid"},
        "data": [[at, round(value, 2)] for at, value in zip(strength, values)],
    }


class Bin(NamedTuple):
    """The winners of about one confidence. All in [0, 1]."""

    confidence: float  # mean
    right: float  # share of them that own the mechanism
    images: float  # share of all images


def reliability(curves: Mapping[str, Sequence[Bin]]) -> Option:
    """How often winners are right, over how sure the competition is of them: a point for each bin, larger for more images."""
    ends = {"type": "value", "min": 0, "max": 100, "splitLine": {"lineStyle": {"color": GREY}}}
    honest = {
        "name": HONEST,
        "type": "line",
        "color": NEUTRAL[0],
        "symbol": "none",
        "silent": True,
        "lineStyle": {"width": 1, "type": "dashed"},
        "data": [[0, 0], [100, 100]],
    }
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 54, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True},
        "legend": LEGEND,
        "xAxis": {**ends, "name": "how sure, %", "nameLocation": "middle", "nameGap": 26},
        "yAxis": {**ends, "name": "right, %", "nameTextStyle": {"align": "left"}},
        "series": [_bins(name, place, bins) for place, (name, bins) in enumerate(curves.items())] + [honest],
    }


def _bins(name: str, place: int, bins: Sequence[Bin]) -> Option:
    return {
        "name": name,
        "type": "line",
        "color": NEUTRAL[1 + place],
        "symbol": "circle" if place == 0 else "diamond",
        "lineStyle": {"width": 2},
        "data": [
            {
                "value": [round(100 * each.confidence, 1), round(100 * each.right, 1)],
                "symbolSize": round(6 + 18 * sqrt(each.images)),
                "tooltip": {
                    "formatter": f"{name}<br>{each.images:.1%} of the images: {each.confidence:.0%} sure, {each.right:.0%} right"
                },
            }
            for each in bins
        ],
    }
