"""Stretches of a run and arrays in, pictures out: ECharts options for what moves, tables of images. Axes: expert, mechanism.

One colour, dash and badge for each expert, the same on every page; never colour alone."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

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
POINTS = 300  # at most, in a series
GREY = "rgba(128,128,128,0.25)"
LEGEND = {"type": "scroll", "left": 0, "bottom": 0}  # on top it meets the name of the axis and the tools
Option = dict[str, Any]


def colour(expert: int) -> str:
    return COLOURS[expert % len(COLOURS)]


def badge(expert: int) -> str:
    return f"E{expert}"


def drawn_points(history: History, most: int = POINTS) -> Int[np.ndarray, " end"]:
    """The points of a series: every row, or every second, fourth, … so that there are at most `most`, and the newest.

    A point that has been drawn keeps its place and, as each looks back only, its height."""
    every = 1
    while history.rows > most * every:
        every *= 2
    points = np.arange(every, history.rows + 1, every)
    return points if history.rows % every == 0 else np.append(points, history.rows)


def _toolbox(**more: Option) -> Option:
    """Small tools in the corner; every chart can be saved."""
    return {
        "right": 0,
        "top": 0,
        "itemSize": 12,
        "feature": {**more, "saveAsImage": {"title": "Save as PNG"}},
    }


def _line_chart(y_name: str) -> Option:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 52, "top": 34, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "toolbox": {
            "right": 0,
            "top": 0,
            "itemSize": 12,
            "feature": {
                "dataZoom": {
                    "yAxisIndex": "none",
                    "title": {"zoom": "Zoom: drag over steps", "back": "Back"},
                },
                "saveAsImage": {"title": "Save as PNG"},
            },
        },
        "xAxis": {
            "type": "value",
            "name": "step",
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": "dataMax",
            "axisLabel": {"alignMaxLabel": "right"},  # else it reaches under the names at the ends of lines
            "splitLine": {"show": False},
            "axisPointer": {"label": {"precision": 0}},
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


def score_panel(seen: Stretch, mechanism: int, marked: int | None = None) -> Option:
    """The same, small: one of many panels. Only the expert that is ahead at the end is named."""
    chart = scores(seen, mechanism, marked)
    last = np.nan_to_num(seen.score[-1, :, mechanism], nan=-np.inf)
    for expert, line in enumerate(chart["series"]):
        line["endLabel"] = {
            **line["endLabel"],
            "show": bool(np.isfinite(last[expert]) and expert == last.argmax()),
        }
        line["lineStyle"] = {**line["lineStyle"], "width": 1.5}
    chart["grid"] = {"left": 4, "right": 30, "top": 8, "bottom": 4, "containLabel": True}
    del chart["toolbox"]
    for axis in ("xAxis", "yAxis"):
        chart[axis] = {**chart[axis], "name": "", "splitNumber": 2}
    return chart


def _expert_lines(
    y_name: str,
    step: Int[np.ndarray, " end"],
    values: Float[np.ndarray, "end expert"],
    decimals: int,
    marked: int | None,
) -> Option:
    """One line an expert; what is not finite leaves a gap. `marked` is the step that the page is about, if not the newest."""
    names = [badge(expert) for expert in range(values.shape[1])]
    series = [
        {
            **_line(name, expert, column=expert + 1),
            "color": colour(expert),
            "endLabel": {
                "show": True,
                "formatter": "{a}",
                "color": colour(expert),
                "fontWeight": "bold",
                "minMargin": 2,
            },
            "labelLayout": {"moveOverlap": "shiftY"},
            "emphasis": {"focus": "series"},
        }
        for expert, name in enumerate(names)
    ]
    _mark(series, marked)
    return {**_line_chart(y_name), "dataset": _dataset(step, names, values, decimals), "series": series}


def _line(name: str, number: int, column: int) -> Option:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "lineStyle": {"width": 2, "type": DASHES[number % len(DASHES)]},
        "encode": {"x": 0, "y": column},
    }


def _dataset(
    step: Int[np.ndarray, " end"],
    names: Sequence[str],
    values: Float[np.ndarray, "end line"],
    decimals: int,
) -> Option:
    """One table for all lines of a chart, so that steps travel to the browser once; what is not finite becomes null."""
    rows = [
        [at, *(value if isfinite(value) else None for value in row)]
        for at, row in zip(step.tolist(), np.round(values, decimals).tolist())
    ]
    return {"dimensions": ["step", *names], "source": rows}


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
        "grid": {"left": 8, "right": 8, "top": 40, "bottom": 30, "containLabel": True},
        "tooltip": {"formatter": "expert {@[0]}: {@[2]} of the images", "confine": True},
        "toolbox": _toolbox(),
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
        "grid": {"left": 8, "right": 44, "top": 40, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True},
        "toolbox": _toolbox(),
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
    return named_lines(
        "loss", seen.step, {"winners": seen.losses[:, 0], "discriminator": seen.losses[:, 1]}, marked
    )


def quality(seen: Stretch, marked: int | None = None) -> Option:
    """How close the winners' answers come to the true originals, over steps."""
    return named_lines("PSNR, dB", seen.step, {"winners' answers": seen.psnr}, marked)


def named_lines(
    y_name: str,
    step: Int[np.ndarray, " end"],
    lines: Mapping[str, Float[np.ndarray, " end"]],
    marked: int | None = None,
) -> Option:
    """A few lines with names, over steps."""
    chart = _line_chart(y_name)
    several = len(lines) > 1
    chart["grid"] = {**chart["grid"], "right": 16, "bottom": 54 if several else 30}
    chart["legend"] = {**LEGEND, "show": several}
    chart["dataset"] = _dataset(step, list(lines), np.stack(list(lines.values()), axis=1), 3)
    chart["series"] = [
        {**_line(name, index, column=index + 1), "color": colour(3 * index)}
        for index, name in enumerate(lines)
    ]
    _mark(chart["series"], marked)
    return chart


def quality_by_mechanism(
    labels: Sequence[str], bars: Mapping[str, Sequence[float | None]], highest: float
) -> Option:
    """PSNR for each mechanism, a bar for each of `bars`: none where nobody owns the mechanism."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 34, "bottom": 34, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": LEGEND,
        "toolbox": _toolbox(),
        "xAxis": {"type": "category", "data": list(labels), "axisLabel": {"interval": 0, "rotate": 35}},
        "yAxis": {
            "type": "value",
            "name": "PSNR, dB",
            "max": _round_up(highest),
            "nameTextStyle": {"align": "left"},
            "splitLine": {"lineStyle": {"color": GREY}},
        },
        "series": [
            {
                "name": name,
                "type": "bar",
                "color": COLOURS[place],
                "data": [None if value is None else round(value, 1) for value in values],
            }
            for place, (name, values) in zip((0, 1, 3), bars.items())
        ],
    }


def on_the_same_axes(charts: list[Option]) -> list[Option]:
    """Line charts with the limits that hold them all."""
    points = [row for chart in charts for row in chart["dataset"]["source"]]
    last = max(step for step, *_ in points)
    highest = max((value for _, *values in points for value in values if value is not None), default=1)
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


SCALE = 3  # screen pixels an image pixel
GAP = 12  # screen pixels between two images
FRAME = 5  # screen pixels around a framed one
LETTER = 20  # screen pixels
TEXT = (124, 124, 124, 255)  # legible on a light page and on a dark one
EDGE = (128, 128, 128, 110)  # so that a white image ends somewhere on a white page


def picture_table(
    images: Float[np.ndarray, "row column height width"],
    rows: Sequence[str],
    columns: Sequence[str],
    frames: Mapping[tuple[int, int], str],
) -> UInt8[np.ndarray, "vertical horizontal 4"]:
    """Images in [0, 1] in a table with names, on a transparent ground; those in `frames`, by (row, column), in a colour."""
    height, width = (SCALE * size for size in images.shape[2:])
    font = ImageFont.load_default(size=LETTER)
    margin = GAP + int(max((font.getlength(name) for name in rows), default=0)) + GAP
    lines = 1 + max((name.count("\n") for name in columns), default=0)
    head = GAP + lines * (LETTER + 6)
    size = (margin + len(columns) * (width + GAP), head + len(rows) * (height + GAP))
    canvas = Image.new("RGBA", size)
    draw = ImageDraw.Draw(canvas)
    for column, name in enumerate(columns):
        middle = margin + column * (width + GAP) + width // 2
        draw.multiline_text((middle, head - GAP), name, TEXT, font, anchor="md", align="center")
    for row, name in enumerate(rows):
        top = head + row * (height + GAP)
        draw.text((margin - GAP, top + height // 2), name, TEXT, font, anchor="rm")
        for column in range(len(columns)):
            left = margin + column * (width + GAP)
            frame = frames.get((row, column))
            edge = FRAME if frame else 1
            draw.rectangle(
                (left - edge, top - edge, left + width - 1 + edge, top + height - 1 + edge), frame or EDGE
            )
            pixels = (images[row, column].clip(0, 1) * 255).round().astype(np.uint8)
            canvas.paste(
                Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (left, top)
            )
    return np.asarray(canvas)
