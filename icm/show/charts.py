"""The interactive charts: spans and tables of a run become options for ECharts. Axes: expert, mechanism."""

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from jaxtyping import Float, Int

from icm.runs.history import History, Span
from icm.show.experts import DASHES, badge, colour
from icm.show.legible import FAINT, FULL, Option, ink_on, parts

POINTS = 300  # at most, in a series
FRAME = "#808080"  # of a cell; 3:1 on both pages
NEUTRAL = ("#66758a", "#3b8a72", "#9a7bb0", "#a8763e", "#c0596b")  # of lines and bars that are no expert's
GREY = "rgba(128,128,128,0.25)"
# At the top the legend would overlap the name of the axis and the tools.
LEGEND = {"type": "scroll", "left": 0, "bottom": 0}


def drawn_points(history: History, most: int = POINTS) -> Int[np.ndarray, " end"]:
    """The points that a chart draws: every row, or every second, fourth, … so that they are at most `most`; and the newest.

    A point never moves once it is drawn: its place is its row, and its height comes from rows up to that one alone."""
    every = 1
    while history.rows > most * every:
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
            "feature": {
                "dataZoom": {
                    "yAxisIndex": "none",
                    "title": {"zoom": "Zoom: drag over steps", "back": "Back"},
                }
            },
        },
        "xAxis": {
            "type": "value",
            "name": "step",
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": "dataMax",
            "axisLabel": {"alignMaxLabel": "right"},  # else it runs into the names at the ends of lines
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


def race(seen: Span, marked: int | None = None) -> Option:
    """Share of the images that each expert won, over steps, one line for each expert."""
    share = 100 * seen.wins.sum(axis=2) / np.maximum(seen.images, 1)[:, None]
    return _expert_lines("images won, %", seen.step, _while_it_plays(share, seen), 1, marked)


def _while_it_plays(values: Float[np.ndarray, "end expert"], seen: Span) -> Float[np.ndarray, "end expert"]:
    """The values, with a gap where the expert did not play."""
    return np.where(seen.answered > 0, values, np.nan)


def scores(seen: Span, mechanism: int, marked: int | None = None) -> Option:
    """The discriminator's mean score of each expert's answers to one mechanism's images, over steps."""
    return _expert_lines("score (logit)", seen.step, seen.score[:, :, mechanism], 2, marked)


def score_panel(seen: Span, mechanism: int, marked: int | None = None) -> Option:
    """`scores` as one of many small panels. Only the expert that is ahead at the end is named."""
    chart = scores(seen, mechanism, marked)
    last = np.nan_to_num(seen.score[-1, :, mechanism], nan=-np.inf)
    for line in chart["series"]:
        ahead = np.isfinite(last).any() and line["name"] == badge(int(last.argmax()))
        line["endLabel"] = {**line["endLabel"], "show": bool(ahead)}
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
    """One line for each expert; a number that is not finite leaves a gap, and an expert without any number has no line.

    `marked` is the step that the page is about, if that is not the newest."""
    shown = [expert for expert in range(values.shape[1]) if np.isfinite(values[:, expert]).any()]
    names = [badge(expert) for expert in shown]
    series = [
        {
            **_line(name, expert, column),
            "color": colour(expert),
            "endLabel": {
                "show": True,
                "formatter": "{a}",
                "color": ink_on(colour(expert)),
                "backgroundColor": colour(expert),
                "borderRadius": 3,
                "padding": [2, 4, 1],
                "fontWeight": "bold",
                "minMargin": 2,
            },
            "labelLayout": {"moveOverlap": "shiftY"},
            "emphasis": {"focus": "series"},
        }
        for column, (expert, name) in enumerate(zip(shown, names), start=1)
    ]
    _mark(series, marked)
    dataset = _dataset(step, names, values[:, shown], decimals)
    return {**_line_chart(y_name), "dataset": dataset, "series": series}


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
    """One table for all lines of a chart, so that steps travel to the browser once. A number that is not finite becomes null."""
    rows = [
        [at, *(value if isfinite(value) else None for value in row)]
        for at, row in zip(step.tolist(), np.round(values, decimals).tolist())
    ]
    return {"dimensions": ["step", *names], "source": rows}


def _mark(series: list[Option], step: int | None) -> None:
    """Changes `series`: adds an upright line at `step`, if there is one."""
    if step is not None and series:
        series[0]["markLine"] = {
            "symbol": "none",
            "silent": True,
            "label": {"show": False},
            "lineStyle": {"type": "solid", "width": 2, "color": "#888888"},
            "data": [{"xAxis": step}],
        }


def wins_table(
    wins: Int[np.ndarray, "expert mechanism"],
    labels: Sequence[str],
    experts: Sequence[int] | None = None,
    outlined: tuple[int, int] | None = None,
) -> Option:
    """Who wins what: a heat map with a row for each mechanism and a column for each of `experts`, all by default.

    A cell is a share of the row. `outlined` is the mechanism and the expert of the cell that has a frame."""
    images = np.maximum(wins.sum(axis=0), 1)
    experts = range(len(wins)) if experts is None else experts
    cells = [
        _cell(
            (column, mechanism, round(float(wins[expert, mechanism] / images[mechanism]), 3)),
            f"{badge(expert)} wins {wins[expert, mechanism] / images[mechanism]:.1%} of {labels[mechanism]}",
            framed=(mechanism, expert) == outlined,
        )
        for mechanism in range(len(labels))
        for column, expert in enumerate(experts)
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 8, "bottom": 30, "containLabel": True},
        "tooltip": {"formatter": "{b}", "confine": True},
        "xAxis": {
            "type": "category",
            "data": [badge(expert) for expert in experts],
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
            "inRange": {"color": [f"rgba({','.join(map(str, parts(FULL)))},{FAINT})", FULL]},
        },
        "series": [
            {
                "type": "heatmap",
                "selectedMode": "single",
                "itemStyle": {"borderWidth": 1, "borderColor": GREY},
                "data": cells,
            }
        ],
    }


def _cell(value: tuple[int, int, float], words: str, framed: bool) -> Option:
    share = value[2]
    label = {"show": share >= 0.1, "formatter": f"{100 * share:.0f}"}
    frame = {"itemStyle": {"borderWidth": 3, "borderColor": FRAME}} if framed else {}
    return {"value": list(value), "name": words, "label": label, **frame}


def totals(span: Span) -> Option:
    """Images won by each expert that ever played: a bar each, with its number."""
    counts = span.wins[0].sum(axis=1)
    experts = span.answered[0].nonzero()[0].tolist()
    return {
        "animation": False,
        "grid": {"left": 8, "right": 44, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True},
        "xAxis": {"type": "value", "show": False},
        "yAxis": {
            "type": "category",
            "data": [badge(expert) for expert in experts],
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
                        "value": int(counts[expert]),
                        "itemStyle": {"color": colour(expert), "borderRadius": [0, 3, 3, 0]},
                    }
                    for expert in experts
                ],
            }
        ],
    }


def conscience(seen: Span, marked: int | None = None) -> Option:
    """The bias, in logits, that the conscience adds to each expert's score, over steps."""
    return _expert_lines("bias (logit)", seen.step, _while_it_plays(seen.bias, seen), 2, marked)


def players(seen: Span, marked: int | None = None) -> Option:
    """How many experts play, over steps: those that answered something in each span, so let it be the newest row alone."""
    count = (seen.answered > 0).sum(axis=1).astype(float)
    chart = named_lines("experts", seen.step, {"experts": count}, marked)
    chart["series"][0]["step"] = "middle"
    return {**chart, "yAxis": {**chart["yAxis"], "minInterval": 1, "min": 0}}


def decided(seen: Span, marked: int | None = None) -> Option:
    """Share of the images that the conscience gave to another expert than the score would have, over steps."""
    return named_lines("images, %", seen.step, {"decided by the bias": 100 * seen.decided}, marked)


def losses(seen: Span, marked: int | None = None) -> Option:
    """Both losses over steps."""
    return named_lines(
        "loss", seen.step, {"winners": seen.losses[:, 0], "discriminator": seen.losses[:, 1]}, marked
    )


def quality(seen: Span, marked: int | None = None) -> Option:
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
        {**_line(name, index, column=index + 1), "color": NEUTRAL[index % len(NEUTRAL)]}
        for index, name in enumerate(lines)
    ]
    _mark(chart["series"], marked)
    return chart


def quality_by_mechanism(
    labels: Sequence[str], bars: Mapping[str, Sequence[float | None]], highest: float
) -> Option:
    """PSNR for each mechanism, a bar for each of `bars`, at most three; None, where nobody owns the mechanism, makes none."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 34, "bottom": 34, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": LEGEND,
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
                "color": NEUTRAL[place],
                "data": [None if value is None else round(value, 1) for value in values],
            }
            for place, (name, values) in enumerate(bars.items())
        ],
    }


def on_the_same_axes(charts: list[Option]) -> list[Option]:
    """The line charts with the same upper limits on both axes, which hold all of their points."""
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
    """The first number from `value` upwards at which an axis may end."""
    unit = 10 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= value))
