"""The figures of what is measured beside the studies, in Plotly: chains of mechanisms, clothes beside digits, and taught networks."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from icm.config import mechanism_name
from icm.show.chained import Chained
from icm.show.charts import FRAME, NEUTRAL
from icm.show.clothes import AS_THEY_ARE, Clothes
from icm.show.figures import OF_PRESETS, share_map, with_ink
from icm.show.legible import INK, Theme
from icm.show.supervised import Quality, Supervised

A_ROW, AROUND = 24, 110  # pixels: of a change, and of what stands around the changes


def chains(found: Sequence[Chained], theme: Theme = "light") -> go.Figure:
    """Of each run the share of digits that come back, by first mechanism, then second."""
    drawn = make_subplots(cols=len(found), shared_yaxes=True, subplot_titles=[each.name for each in found])
    for column, each in enumerate(found, start=1):
        names, undone = each.pairs()
        titles = [mechanism_name(name) for name in names]
        drawn.add_trace(
            share_map(undone, titles, titles, column == len(found), "%{y}, then %{x}: %{z:.0f} %"),
            col=column,
            row=1,
        )
    drawn.update_yaxes(autorange="reversed")
    drawn.update_yaxes(title="first", col=1)
    drawn.update_xaxes(title="then", tickangle=-60)
    return with_ink(drawn, theme)


def clothes(found: Sequence[Clothes], theme: Theme = "light") -> go.Figure:
    """Of each set, as it is and after each change, the share of images that go to the owner. A dotted line stands at the set as it is."""
    first = {name: each for each in reversed(found) for name in each.versions}  # that has the set
    sets = list(dict.fromkeys(name for each in found for name in each.versions))
    counts = [len(first[name].versions[name]) for name in sets]
    drawn = make_subplots(
        rows=len(sets),
        shared_xaxes=True,
        row_heights=counts,
        vertical_spacing=0.1,
        subplot_titles=[first[name].title(name) for name in sets],
    )
    for row, name in enumerate(sets, start=1):
        for place, each in enumerate(found):
            versions = each.versions.get(name, [])
            drawn.add_trace(
                go.Scatter(
                    x=[100 * version.routing for version in versions],
                    y=[version.change for version in versions],
                    customdata=[
                        [version.gained, 100 * version.size, 100 * version.ink, 100 * version.brightness]
                        for version in versions
                    ],
                    mode="markers",
                    name=each.name,
                    legendgroup=each.name,
                    showlegend=len(found) > 1 and name == next(iter(each.versions)),
                    marker={"size": 11, "color": NEUTRAL[(1 + place) % len(NEUTRAL)]},
                    hovertemplate="%{y}: %{x:.0f} % to the owner, %{customdata[0]:.1f} dB gained<br>box %{customdata[1]:.0f} % of the side, "
                    "ink %{customdata[2]:.0f} % of the picture, %{customdata[3]:.0f} % bright<extra></extra>",
                ),
                row=row,
                col=1,
            )
        drawn.add_trace(_as_it_is(first[name], name), row=row, col=1)
    drawn.update_yaxes(autorange="reversed", automargin=True)
    drawn.update_xaxes(range=[0, 103])
    drawn.update_xaxes(title="% that go to the owner", row=len(sets), col=1)
    return with_ink(drawn, theme, A_ROW * sum(counts) + AROUND)


def _as_it_is(of: Clothes, name: str) -> go.Scatter:
    """An upright line through all changes of a set, where the set is that nobody changed."""
    changes = [each.change for each in of.versions[name]]
    return go.Scatter(
        x=[100 * of.of(name, AS_THEY_ARE).routing] * len(changes),
        y=changes,
        mode="lines",
        line={"dash": "dot", "width": 1, "color": NEUTRAL[0]},
        hoverinfo="skip",
        showlegend=False,
    )


def supervised(each: Supervised, experts: Mapping[str, Quality], theme: Theme = "light") -> go.Figure:
    """Of each mechanism the dB of doing nothing, of the competing experts, a point a run, and of a network taught with pairs."""
    drawn = go.Figure()
    names = [mechanism_name(name) for name in each.psnr]
    nothing = [each.psnr_nothing[name] for name in each.psnr]
    ends = [end for pair in zip(nothing, each.psnr.values()) for end in (*pair, None)]
    drawn.add_trace(
        go.Scatter(
            x=ends,
            y=[name for name in names for _ in range(3)],
            mode="lines",
            line={"color": FRAME, "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    marks = [("doing nothing", names, nothing, {"color": FRAME, "symbol": "circle-open"})]
    for place, (study, quality) in enumerate(experts.items()):
        runs = [(name, value) for name in each.psnr for value in quality.get(name, ())]
        colour = OF_PRESETS.get(study, NEUTRAL[2 + place % (len(NEUTRAL) - 2)])
        shown = [mechanism_name(name) for name, _ in runs], [value for _, value in runs]
        marks.append((f"experts, {study}", *shown, {"color": colour}))
    marks.append(
        ("taught with pairs", names, [*each.psnr.values()], {"color": INK[theme], "symbol": "diamond-open"})
    )
    for label, y, x, look in marks:
        drawn.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="markers",
                marker={"size": 9, "line": {"width": 2}} | look,
                name=label,
                hovertemplate=f"%{{y}}: %{{x:.1f}} dB<extra>{label}</extra>",
            )
        )
    drawn.update_yaxes(autorange="reversed", automargin=True)
    drawn.update_xaxes(title="dB to the original")
    return with_ink(drawn, theme, A_ROW * len(names) + AROUND)
