"""A run as lines over its steps: wins, quality, losses, what the conscience does, scores. Monitor shows them when somebody asks."""

import streamlit as st

from icm.runs.history import History, Span
from icm.show import charts
from pages.ui import panels
from pages.ui.html import plain
from pages.ui.run_view import RunView

CHART_HEIGHT = 340  # pixels
PANEL_HEIGHT = 150
PANELS_IN_A_ROW = 5
PANEL_POINTS = 50
SMOOTHING = (100, 200, 500, 1000, 2000, 5000)  # images
SMOOTHING_DEFAULT = 500
# These multiply the smoothing. A score is a mean over the images of one mechanism only, so its points need more images.
SCORES_SMOOTHING = 2
PANELS_SMOOTHING = 4  # in a small panel a rough line cannot be followed


def as_lines(seen: RunView, history: History, then: History, mechanism: int, marked: int | None) -> None:
    """Every line of the run. They cover the whole `history`; an upright line is at `marked`, bars and words are as of `then`."""
    smoothing = st.select_slider(
        "Smoothing, images",
        SMOOTHING,
        value=SMOOTHING_DEFAULT,
        key="smoothing",
        bind="query-params",
        help="Each point of a line is an average over at least so many images before it, so points never move.",
    )
    points = charts.drawn_points(history)
    lines = history.spans(points, smoothing)
    panels.chart(
        panels.RACE,
        charts.race(lines, marked),
        CHART_HEIGHT,
        key="race",
        alt="Lines: share of images won by each expert, over steps",
    )
    small_charts(lines, then, marked)
    panels.learner(lines, history.spans(points, 1), then, marked)
    scores = history.spans(points, SCORES_SMOOTHING * smoothing)
    name = seen.mechanisms[mechanism]
    panels.chart(
        f"**Scores on {plain(name)}** · what the discriminator gives each expert's answers, on average",
        charts.scores(scores, mechanism, marked),
        CHART_HEIGHT,
        key="scores",
        alt=f"Lines: mean score of each expert on {name}, over steps",
    )
    if st.toggle("Scores on every mechanism", key="panels", bind="query-params"):
        score_panels(history, smoothing, seen.mechanisms, marked)


def small_charts(lines: Span, then: History, marked: int | None) -> None:
    shown = (
        (
            "**Wins per expert** · images, since the start",
            charts.totals(then.all()),
            "Bars: images won by each expert",
        ),
        (panels.RESTORED, charts.quality(lines, marked), "Line: PSNR over steps"),
        ("**Losses**", charts.losses(lines, marked), "Lines: both losses over steps"),
    )
    for column, (title, option, alt) in zip(st.columns(3, gap="medium"), shown):
        with column:
            panels.chart(title, option, panels.SMALL, key=alt, alt=alt)


def score_panels(history: History, smoothing: int, mechanisms: list[str], marked: int | None) -> None:
    """A small chart of scores for each mechanism; the expert that is ahead at the end is named."""
    lines = history.spans(charts.drawn_points(history, PANEL_POINTS), PANELS_SMOOTHING * smoothing)
    for first in range(0, len(mechanisms), PANELS_IN_A_ROW):
        for index, column in enumerate(st.columns(PANELS_IN_A_ROW, gap="small"), first):
            if index < len(mechanisms):
                with column:
                    st.caption(plain(mechanisms[index]))
                    panels.drawn(
                        charts.score_panel(lines, index, marked),
                        height=PANEL_HEIGHT,
                        key=f"panel {index}",
                        alt=f"Lines: mean score of each expert on {mechanisms[index]}, over steps",
                    )
