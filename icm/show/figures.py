"""The figures of studies, in Plotly: a point for each seed and the interval, curves over training, tables of shares.

Each point knows its run: `customdata` is the run's name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas  # noqa: F401, as Plotly takes it half imported where another thread is about it, and fails
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from icm.config import PAPER_MECHANISMS, mechanism_name
from icm.show.charts import FRAME, NEUTRAL
from icm.show.diagnosed import counts
from icm.show.legible import INK, Theme
from icm.show.results import LEAST_GAIN, Curves, Variant, gains, idle, several, unowned

HEIGHT = 340  # pixels
SPREAD = 0.28  # of a category's height, over which its seeds are spread so that none hides another
NEVER = "never"
OF_PRESETS = {"paper": NEUTRAL[0], "robust": NEUTRAL[1]}
PAPER_SHARE = 70  # %, of the paper's runs, about and as recalled


def figure(number: int, variants: Sequence[Variant], theme: Theme = "light") -> go.Figure:
    """The figure of that row of the paper's table, for pages of that theme. KeyError for a row that has none."""
    return with_ink(DRAWN[number](variants), theme)


def with_ink(drawn: go.Figure, theme: Theme, height: int = HEIGHT) -> go.Figure:
    """The figure with its text legible on pages of that theme. Height in pixels."""
    ink = INK[theme]
    drawn.update_annotations(font={"color": ink, "size": 13})
    drawn.update_xaxes(tickfont={"color": ink}, title={"font": {"color": ink}})
    drawn.update_yaxes(tickfont={"color": ink}, title={"font": {"color": ink}})
    drawn.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 44, "b": 8},
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0,
            "x": 0,
            "font": {"color": ink},
        },
        hoverlabel={"align": "left"},
    )
    return drawn


def one_to_one(variants: Sequence[Variant]) -> go.Figure:
    """Left the share of runs that end one-to-one, with its interval; right the step from which each did, a point a seed."""
    drawn = make_subplots(
        cols=2,
        column_widths=[0.36, 0.64],
        shared_yaxes=True,
        horizontal_spacing=0.1,
        subplot_titles=("one-to-one, %", "since step"),
    )
    latest = max((run["first_step"] or 0 for each in variants for run in each.runs), default=0)
    never = 1.25 * latest + 10
    for place, each in enumerate(variants):
        low, high = (100 * end for end in each.summary["one_to_one_interval"])
        share = 100 * each.summary["one_to_one"] / each.summary["runs"]
        drawn.add_trace(
            go.Scatter(
                x=[share],
                y=[place],
                error_x={"type": "data", "array": [high - share], "arrayminus": [share - low]},
                marker={"color": _colour(each, place), "size": 11},
                hovertemplate=f"{share:.0f} %, 95 %: {low:.0f} to {high:.0f} %<extra>{each.label}</extra>",
                showlegend=False,
            ),
            col=1,
            row=1,
        )
        first = [run["first_step"] for run in each.runs]
        drawn.add_trace(
            _points(
                each,
                place,
                [never if step is None else step for step in first],
                [NEVER if step is None else f"from step {step}" for step in first],
            ),
            col=2,
            row=1,
        )
    drawn.add_trace(
        go.Scatter(
            x=[PAPER_SHARE],
            y=[-1],
            marker={"color": FRAME, "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
            hovertemplate=f"about {PAPER_SHARE} %, as recalled<extra>the paper</extra>",
            showlegend=False,
        ),
        col=1,
        row=1,
    )
    names = ["the paper, about", *(each.label for each in variants)]
    drawn.update_yaxes(
        tickvals=list(range(-1, len(variants))), ticktext=names, range=[len(variants) - 0.4, -1.5]
    )
    drawn.update_xaxes(range=[-8, 108], col=1)
    marks = [*_marks(latest), never]
    drawn.update_xaxes(
        range=[0, 1.08 * never],
        tickvals=marks,
        ticktext=[*(f"{mark:g}" for mark in marks[:-1]), NEVER],
        col=2,
    )
    return drawn


def _marks(last: float | int) -> list[float]:
    """At most five round numbers up to `last`, as many as a phone has room for."""
    step = next((each for each in (50, 100, 200, 500, 1000) if last / each < 4), 2000)
    return [float(each) for each in range(0, int(last) + 1, step)]


def _points(each: Variant, place: int, values: Sequence[float | int], said: Sequence[str]) -> go.Scatter:
    """A point for each run, spread over the height of the variant's line."""
    spread = np.linspace(-SPREAD, SPREAD, len(values)) if len(values) > 1 else np.zeros(1)
    return go.Scatter(
        x=list(values),
        y=(place + spread).tolist(),
        mode="markers",
        marker={"color": _colour(each, place), "size": 9, "line": {"width": 1, "color": "#808080"}},
        customdata=[run["run"] for run in each.runs],
        text=[_of_run(run, words) for run, words in zip(each.runs, said)],
        hovertemplate="%{text}<extra></extra>",
        name=each.label,
        showlegend=False,
    )


def _of_run(run: Mapping[str, Any], words: str) -> str:
    return (
        f"<b>seed {run['seed']}</b>: {words}<br>routing {run['routing']:.1%}, {run['psnr']:.1f} dB"
        f"<br>{run['date']}, {run['machine']}, {run['dtype']}"
    )


def shares(variants: Sequence[Variant]) -> go.Figure:
    """Of the last variant, means over seeds: who wins what at the start, and at the end. Experts stand in the order of what they
    come to own, so that one expert for each mechanism is a diagonal."""
    each = variants[-1]
    drawn = make_subplots(cols=2, subplot_titles=(f"{each.label}: at the start", "at the end"))
    ends = [np.array(run["won"]) for run in each.runs]
    orders = [_in_order(end) for end in ends]
    names = [mechanism_name(each) for each in PAPER_MECHANISMS]
    starts = [np.array(run["won_first"]) for run in each.runs]
    for column, found in enumerate((starts, ends), start=1):
        mean = np.mean([share[:, order] for share, order in zip(found, orders)], axis=0)
        known = names if len(names) == len(mean) else None
        drawn.add_trace(
            share_map(mean.tolist(), None, known, column == 2, "%{y}: %{z:.0f} %"), col=column, row=1
        )
    drawn.update_yaxes(autorange="reversed", col=1)
    drawn.update_yaxes(autorange="reversed", showticklabels=False, col=2)
    drawn.update_xaxes(title="expert", showticklabels=False)
    return drawn


def _in_order(end: np.ndarray) -> list[int]:
    """The experts: first the one that wins most of the first mechanism, then of those left that of the second, and so on."""
    left = list(range(end.shape[1]))
    order = []
    for row in end[: len(left)]:
        best = max(left, key=lambda expert: row[expert])
        left.remove(best)
        order.append(best)
    return order + left


def read(variants: Sequence[Variant]) -> go.Figure:
    """What a digit reader reads right, over training: a thin line a seed, a thick one their mean."""
    kinds = (
        ("read_original", "originals", "dot"),
        ("read_transformed", "changed", "dash"),
        ("read_restored", "restored", "solid"),
    )
    drawn = go.Figure()
    for place, each in enumerate(variants):
        for name, words, dash in kinds:
            label = f"{each.label}: {words}"
            _add_curves(drawn, each.curves("digits"), name, label, _colour(each, place), dash, scale=100.0)
    drawn.update_yaxes(title="read right, %", range=[0, 101])
    drawn.update_xaxes(title="step")
    return drawn


def letters(variants: Sequence[Variant]) -> go.Figure:
    """PSNR of the owners' answers and routing, on digits and on letters, over training."""
    drawn = make_subplots(cols=2, subplot_titles=("owners' answers, dB", "sent to the owner, %"))
    for place, each in enumerate(variants):
        for of, dash in (("digits", "dash"), ("letters", "solid")):
            label = f"{each.label}, {of}"
            found = each.curves(of)
            _add_curves(drawn, found, "psnr_owner", label, _colour(each, place), dash, col=1)
            _add_curves(
                drawn,
                found,
                "routing_accuracy",
                label,
                _colour(each, place),
                dash,
                scale=100.0,
                col=2,
                legend=False,
            )
    drawn.update_xaxes(title="step")
    return drawn


def _add_curves(
    drawn: go.Figure,
    runs: Sequence[Curves],
    name: str,
    label: str,
    colour: str,
    dash: str,
    scale: float = 1.0,
    col: int | None = None,
    legend: bool = True,
) -> None:
    """A thin line for each run that has it, and their mean over the steps that all have."""
    runs = [run for run in runs if name in run]
    if not runs:
        return
    row = None if col is None else 1
    for run in runs if len(runs) > 1 else ():
        drawn.add_trace(
            go.Scatter(
                x=run["step"],
                y=[scale * value for value in run[name]],
                mode="lines",
                line={"color": colour, "width": 1, "dash": dash},
                opacity=0.35,
                hoverinfo="skip",
                showlegend=False,
            ),
            row=row,
            col=col,
        )
    steps = sorted(set.intersection(*(set(run["step"]) for run in runs)))
    at = [dict(zip(run["step"], run[name])) for run in runs]
    drawn.add_trace(
        go.Scatter(
            x=steps,
            y=[scale * float(np.mean([run[step] for run in at])) for step in steps],
            mode="lines",
            line={"color": colour, "width": 3, "dash": dash},
            name=label,
            legendgroup=label,
            showlegend=legend,
            hovertemplate="step %{x}: %{y:.1f}<extra>" + label + "</extra>",
        ),
        row=row,
        col=col,
    )


def gained(variants: Sequence[Variant]) -> go.Figure:
    """By how many dB each mechanism's answers are nearer to the original than doing nothing, a point a mechanism and seed."""
    return _counted(
        variants,
        gains,
        f"dB nearer to the original<br>than doing nothing, a point<br>a mechanism; undone from {LEAST_GAIN:g} on",
    )


def gained_by_last(variants: Sequence[Variant]) -> go.Figure:
    """By how many dB the answers to the last mechanism's images are nearer to the original than doing nothing."""
    title = "dB nearer to the original<br>than doing nothing, a point a seed"
    return _counted(variants, lambda run: gains(run)[-1:], title)


def share_map(
    shares: Sequence[Sequence[float | None]],
    x: Sequence[str] | None,
    y: Sequence[str] | None,
    scale: bool,
    hover: str,
) -> go.Heatmap:
    """A table of shares in [0, 1], drawn in %."""
    return go.Heatmap(
        z=[[None if share is None else 100 * share for share in row] for row in shares],
        x=x,
        y=y,
        zmin=0,
        zmax=100,
        colorscale=[[0, "rgba(128,128,128,0.12)"], [1, "#1f6fb8"]],
        colorbar={"title": "%", "thickness": 12},
        showscale=scale,
        hovertemplate=f"{hover}<extra></extra>",
        xgap=1,
        ygap=1,
    )


def quality(variants: Sequence[Variant]) -> go.Figure:
    return _counted(
        variants, lambda run: [run["psnr"]], "mean PSNR of the winners' answers, dB,<br>a point a seed"
    )


def idling(variants: Sequence[Variant]) -> go.Figure:
    drawn = _counted(variants, lambda run: [idle(run)], "experts that idle at the end,<br>a point a seed")
    drawn.update_xaxes(**_whole(max(idle(run) for each in variants for run in each.runs)))
    return drawn


def _whole(most: int) -> dict[str, Any]:
    """The axis of a count up to `most`."""
    return {"dtick": 1, "range": [-0.5, most + 1]}


def left_out(variants: Sequence[Variant]) -> go.Figure:
    """Experts with several mechanisms, and mechanisms with no owner."""
    return _two_counts(
        variants, {"experts that<br>own several": several, "mechanisms that<br>nobody owns": unowned}
    )


def misjudged(variants: Sequence[Variant]) -> go.Figure:
    """Of the faults of the experts those that the diagnosis missed, and those that it named and are none."""
    return _two_counts(
        variants,
        {
            "faults missed": lambda run: counts([run]).missed,
            "named wrongly": lambda run: counts([run]).wrongly,
        },
    )


def _two_counts(
    variants: Sequence[Variant], panels: Mapping[str, Callable[[Mapping[str, Any]], int]]
) -> go.Figure:
    """Two counts of every run side by side, a point a seed, under these titles."""
    drawn = make_subplots(cols=2, shared_yaxes=True, subplot_titles=tuple(panels))
    for column, count in enumerate(panels.values(), start=1):
        for place, each in enumerate(variants):
            found = [count(run) for run in each.runs]
            drawn.add_trace(_points(each, place, found, [f"{value}" for value in found]), col=column, row=1)
        most = max(count(run) for each in variants for run in each.runs)
        drawn.update_xaxes(**_whole(most), col=column)
    _name_lines(drawn, variants)
    return drawn


def _counted(
    variants: Sequence[Variant], values_of: Callable[[Mapping[str, Any]], Sequence[float | int]], title: str
) -> go.Figure:
    """Points of every run's values, a line of them for each variant."""
    drawn = go.Figure()
    for place, each in enumerate(variants):
        pairs = [(run, value) for run in each.runs for value in values_of(run)]
        points = Variant(each.study, each.name, each.label, [run for run, _ in pairs], each.summary)
        found = [value for _, value in pairs]
        drawn.add_trace(_points(points, place, found, [f"{value:g}" for value in np.round(found, 2)]))
    _name_lines(drawn, variants)
    drawn.update_xaxes(title=title)
    return drawn


def _name_lines(drawn: go.Figure, variants: Sequence[Variant]) -> None:
    names = [each.label for each in variants]
    drawn.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6])


def _colour(each: Variant, place: int) -> str:
    """`paper` and `robust` have the same colour in every figure."""
    return OF_PRESETS.get(each.name, NEUTRAL[2 + place % (len(NEUTRAL) - 2)])


DRAWN: dict[int, Callable[[Sequence[Variant]], go.Figure]] = {
    1: one_to_one,
    4: shares,
    5: read,
    6: letters,
    7: gained,
    8: quality,
    9: read,
    10: idling,
    11: left_out,
    12: gained_by_last,
    13: misjudged,
}
