"""Stretches of a run and arrays in, pictures out: ECharts options for what moves, mosaics for images. Axes: expert, mechanism.

One colour, dash and badge for each expert, the same on every page; never colour alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from icm.history import History, Stretch

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


def drawn_points(history: History) -> Int[np.ndarray, " end"]:
    """The points of a series: every row, or every second, fourth, … so that there are at most `POINTS`, and the newest.

    A point that has been drawn keeps its place and, as each looks back only, its height."""
    every = 1
    while history.rows > POINTS * every:
        every *= 2
    points = np.arange(every, history.rows + 1, every)
    return points if history.rows % every == 0 else np.append(points, history.rows)


def _line_chart(y_name: str) -> Option:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 52, "top": 34, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "toolbox": {
            "right": 0,
            "top": 0,
            "itemSize": 12,
            "feature": {"saveAsImage": {"title": "Save as PNG"}},
        },
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


def race(seen: Stretch, marked: int | None = None) -> Option:
    """Share of the images that each expert won, over steps, one line an expert."""
    share = 100 * seen.wins.sum(axis=2) / np.maximum(seen.images, 1)[:, None]
    return _expert_lines("images won, %", seen.step, share, 1, marked)


def scores(seen: Stretch, mechanism: int, marked: int | None = None) -> Option:
    """The discriminator's mean score of each expert's answers to one mechanism's images, over steps."""
    return _expert_lines("score (logit)", seen.step, seen.score[:, :, mechanism], 2, marked)


def _expert_lines(
    y_name: str,
    step: Int[np.ndarray, " end"],
    values: Float[np.ndarray, "end expert"],
    decimals: int,
    marked: int | None,
) -> Option:
    """One line an expert; nan leaves a gap. `marked` is the step that the page is about, if not the newest."""
    series = [
        {
            "name": badge(expert),
            "type": "line",
            "showSymbol": False,
            "color": colour(expert),
            "lineStyle": {"width": 2, "type": DASHES[expert % len(DASHES)]},
            "endLabel": {"show": True, "formatter": "{a}", "color": colour(expert), "fontWeight": "bold"},
            "labelLayout": {"moveOverlap": "shiftY"},
            "emphasis": {"focus": "series"},
            "data": _pairs(step, values[:, expert], decimals),
        }
        for expert in range(values.shape[1])
    ]
    chart = _line_chart(y_name)
    _mark(series, marked)
    return {**chart, "series": series}


def _pairs(
    step: Int[np.ndarray, " end"], values: Float[np.ndarray, " end"], decimals: int
) -> list[list[int | float | None]]:
    rounded = np.round(values, decimals).tolist()
    return [[at, None if value != value else value] for at, value in zip(step.tolist(), rounded)]


def _mark(series: list[Option], step: int | None) -> None:
    """Changes `series`: a line up from `step`."""
    if step is not None:
        series[0]["markLine"] = {
            "symbol": "none",
            "silent": True,
            "label": {"show": False},
            "lineStyle": {"type": "solid", "width": 2, "color": "#888888"},
            "data": [{"xAxis": step}],
        }


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
                "selectedMode": "single",
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


def losses(seen: Stretch, marked: int | None = None) -> Option:
    """Both losses over steps."""
    return _named_lines(
        "loss", seen.step, {"winners": seen.losses[:, 0], "discriminator": seen.losses[:, 1]}, marked
    )


def quality(seen: Stretch, marked: int | None = None) -> Option:
    """How close the winners' answers come to the true originals, over steps."""
    return _named_lines("PSNR, dB", seen.step, {"winners' answers": seen.psnr}, marked)


def _named_lines(
    y_name: str,
    step: Int[np.ndarray, " end"],
    lines: dict[str, Float[np.ndarray, " end"]],
    marked: int | None,
) -> Option:
    chart = _line_chart(y_name)
    chart["grid"] = {**chart["grid"], "right": 16}
    chart["legend"] = {"show": len(lines) > 1, "right": 8, "top": 0}
    chart["series"] = [
        {
            "name": name,
            "type": "line",
            "showSymbol": False,
            "color": colour(3 * index),
            "lineStyle": {"width": 2, "type": DASHES[index % len(DASHES)]},
            "data": _pairs(step, values, 3),
        }
        for index, (name, values) in enumerate(lines.items())
    ]
    _mark(chart["series"], marked)
    return chart


def on_the_same_axes(charts: list[Option]) -> list[Option]:
    """Line charts with the limits that hold them all."""
    points = [point for chart in charts for line in chart["series"] for point in line["data"]]
    last = max(step for step, _ in points)
    highest = max((value for _, value in points if value is not None), default=1)
    return [
        {
            **chart,
            "xAxis": {**chart["xAxis"], "max": last},
            "yAxis": {**chart["yAxis"], "max": _round_up(highest)},
        }
        for chart in charts
    ]


def _round_up(value: float) -> float:
    """To a number at which an axis may end."""
    unit = 10 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= value))


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


FRAME = 2  # image pixels around the winner's answer


def answer_table(
    inputs: Float[np.ndarray, "row height width"],
    answers: Float[np.ndarray, "expert row height width"],
    winner: Int[np.ndarray, " row"],
    originals: Float[np.ndarray, "row height width"],
) -> UInt8[np.ndarray, "vertical horizontal 3"]:
    """A row of pictures for each input: itself, every expert's answer, the original; the winner's framed in its colour."""
    columns = np.concatenate([inputs[None], answers, originals[None]])
    gap, scale = 2 * FRAME, 3
    grey = mosaic(columns.transpose(1, 0, 2, 3), scale=1, gap=gap)
    canvas = np.pad(grey, gap, constant_values=128)[..., None].repeat(3, axis=2)
    height, width = inputs.shape[1:]
    for row, expert in enumerate(winner.tolist()):
        top, left = gap + row * (height + gap), gap + (expert + 1) * (width + gap)
        outer = np.s_[top - FRAME : top + height + FRAME, left - FRAME : left + width + FRAME]
        inside = canvas[top : top + height, left : left + width].copy()
        canvas[outer] = [int(colour(expert)[at : at + 2], 16) for at in (1, 3, 5)]
        canvas[top : top + height, left : left + width] = inside
    return canvas.repeat(scale, axis=0).repeat(scale, axis=1)
