"""Rows and arrays in, pictures out: ECharts options for what moves, mosaics for images. Axes: expert, mechanism.

One colour, dash and badge for each expert, the same on every page; never colour alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from icm.records import StepRecord

# Petroff (2021), "Accessible color sequences for data visualization", ten colours.
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
DASHES = ("solid", "dashed", "dotted")
POINTS = 400  # at most, in a series
GREY = "rgba(128,128,128,0.25)"
Option = dict[str, Any]


def colour(expert: int) -> str:
    return COLOURS[expert % len(COLOURS)]


def badge(expert: int) -> str:
    return f"E{expert}"


def thinned(records: Sequence[StepRecord]) -> list[list[StepRecord]]:
    """The records in groups of equal size, at most `POINTS` groups.

    A group's place depends only on its records' positions, and sizes are powers of two, so a finished point moves only
    when the size doubles."""
    size = 1
    while len(records) > POINTS * size:
        size *= 2
    return [list(records[start : start + size]) for start in range(0, len(records), size)]


def _line_chart(y_name: str) -> Option:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 52, "top": 34, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "value",
            "name": "step",
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": "dataMax",
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "name": y_name,
            "nameTextStyle": {"align": "left"},
            "splitLine": {"lineStyle": {"color": GREY}},
        },
    }


def race(records: Sequence[StepRecord], window: int) -> Option:
    """Wins per expert over steps: images that each expert won of the newest `window` images, one line an expert."""
    groups = thinned(records)
    wins = np.array([np.sum([record.wins for record in group], axis=0).sum(axis=1) for group in groups])
    images = np.array([sum(record.images for record in group) for group in groups])
    share = _trailing_share(wins, images, window)
    steps = [group[-1].step for group in groups]
    experts = wins.shape[1]
    return {
        **_line_chart("images won, %"),
        "series": [
            {
                "name": badge(expert),
                "type": "line",
                "showSymbol": False,
                "color": colour(expert),
                "lineStyle": {"width": 2, "type": DASHES[expert % len(DASHES)]},
                "endLabel": {"show": True, "formatter": "{a}", "color": colour(expert), "fontWeight": "bold"},
                "labelLayout": {"moveOverlap": "shiftY"},
                "emphasis": {"focus": "series"},
                "data": [
                    [step, round(100 * float(value), 1)] for step, value in zip(steps, share[:, expert])
                ],
            }
            for expert in range(experts)
        ],
    }


def _trailing_share(
    wins: Int[np.ndarray, "row expert"], images: Int[np.ndarray, " row"], window: int
) -> Float[np.ndarray, "row expert"]:
    """For each row, wins over the shortest run of rows that ends there and holds at least `window` images."""
    wins_before = np.concatenate([np.zeros((1, wins.shape[1])), wins.cumsum(axis=0)])
    images_before = np.concatenate([[0], images.cumsum()])
    first = np.searchsorted(images_before, images_before[1:] - window, side="right") - 1
    first = np.maximum(first, 0)
    counted = images_before[1:] - images_before[first]
    return (wins_before[1:] - wins_before[first]) / np.maximum(counted, 1)[:, None]


def wins_table(wins: Int[np.ndarray, "expert mechanism"], labels: Sequence[str]) -> Option:
    """Who wins what: a heat map of counts, a row a mechanism, a column an expert; colour is the row's share."""
    images = np.maximum(wins.sum(axis=0), 1)
    experts, mechanisms = wins.shape
    cells = [
        [expert, mechanism, round(float(wins[expert, mechanism] / images[mechanism]), 3)]
        for mechanism in range(mechanisms)
        for expert in range(experts)
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 8, "bottom": 30, "containLabel": True},
        "tooltip": {"formatter": "expert {@[0]}: {@[2]} of the images", "confine": True},
        "xAxis": {
            "type": "category",
            "data": [badge(expert) for expert in range(experts)],
            "name": "expert",
            "nameLocation": "middle",
            "nameGap": 26,
            "splitArea": {"show": False},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "category",
            "data": list(labels),
            "inverse": True,
            "axisTick": {"show": False},
        },
        "visualMap": {
            "show": False,
            "min": 0,
            "max": 1,
            "inRange": {"color": ["rgba(63,144,218,0.05)", "#3f90da"]},
        },
        "series": [
            {
                "type": "heatmap",
                "itemStyle": {"borderWidth": 1, "borderColor": GREY},
                "data": [{"value": cell, "label": _share_label(cell[2])} for cell in cells],
            }
        ],
    }


def _share_label(share: float) -> Option:
    shown = share >= 0.1
    return {
        "show": shown,
        "formatter": f"{100 * share:.0f}",
        "color": "#ffffff" if share > 0.6 else "#3f90da",
    }


def totals(wins: Int[np.ndarray, "expert mechanism"]) -> Option:
    """Images won by each expert, a bar with its number."""
    counts = wins.sum(axis=1)
    return {
        "animation": False,
        "grid": {"left": 8, "right": 44, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True},
        "xAxis": {"type": "value", "show": False},
        "yAxis": {
            "type": "category",
            "data": [badge(expert) for expert in range(len(counts))],
            "inverse": True,
            "axisTick": {"show": False},
            "axisLine": {"show": False},
        },
        "series": [
            {
                "type": "bar",
                "barCategoryGap": "35%",
                "label": {"show": True, "position": "right"},
                "data": [
                    {
                        "value": int(count),
                        "itemStyle": {"color": colour(expert), "borderRadius": [0, 3, 3, 0]},
                    }
                    for expert, count in enumerate(counts)
                ],
            }
        ],
    }


def losses(records: Sequence[StepRecord]) -> Option:
    """Both losses over steps."""
    series = {
        "winners": [(record.step, record.expert_loss) for record in records],
        "discriminator": [(record.step, record.discriminator_loss) for record in records],
    }
    return _named_lines(records, "loss", ("expert_loss", "discriminator_loss"), tuple(series))


def quality(records: Sequence[StepRecord]) -> Option:
    """How close the winners' answers come to the true originals, over steps."""
    return _named_lines(records, "PSNR, dB", ("psnr",), ("winners' answers",))


def _named_lines(
    records: Sequence[StepRecord], y_name: str, columns: tuple[str, ...], names: tuple[str, ...]
) -> Option:
    groups = thinned(records)
    chart = _line_chart(y_name)
    chart["grid"] = {**chart["grid"], "right": 16}
    chart["legend"] = {"show": len(names) > 1, "right": 8, "top": 0}
    chart["series"] = [
        {
            "name": name,
            "type": "line",
            "showSymbol": False,
            "color": colour(3 * index),
            "lineStyle": {"width": 2, "type": DASHES[index % len(DASHES)]},
            "data": [
                [group[-1].step, round(float(np.mean([getattr(record, column) for record in group])), 3)]
                for group in groups
            ],
        }
        for index, (name, column) in enumerate(zip(names, columns))
    ]
    return chart


def mosaic(
    images: Float[np.ndarray, "row column height width"], scale: int = 3, gap: int = 2
) -> UInt8[np.ndarray, "vertical horizontal"]:
    """One picture of a grid of images in [0, 1], enlarged by whole pixels, `gap` image pixels of mid-grey between."""
    rows, columns, height, width = images.shape
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), 0.5)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap), column * (width + gap)
            canvas[top : top + height, left : left + width] = images[row, column]
    pixels = (canvas.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)
