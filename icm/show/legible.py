"""Text in charts that can be read on a light page and on a dark one: a contrast of 4.5:1, as WCAG 2 wants of small text."""

from typing import Any, Literal

Theme = Literal["light", "dark"]
Option = dict[str, Any]

GROUND: dict[Theme, str] = {"light": "#ffffff", "dark": "#171614"}  # of Streamlit's pages
INK: dict[Theme, str] = {"light": "#31333f", "dark": "#fafafa"}
FULL = "#3f90da"  # a heat map's colour where the share is 1
FAINT = 0.05  # how much of it there is where the share is 0
HALF_WAY = 0.179  # black and white have the same contrast on this luminance, 4.6:1


def parts(colour: str) -> list[int]:
    """Red, green and blue of #rrggbb, from 0 to 255."""
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def ink_on(colour: str) -> str:
    """Black or white, whichever can be read better on the colour, #rrggbb."""
    shares = [part / 255 for part in parts(colour)]
    red, green, blue = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares
    ]
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > HALF_WAY else "#ffffff"


def heat(share: float, ground: str) -> str:
    """What a cell of a heat map looks like on a page, #rrggbb."""
    there = FAINT + (1 - FAINT) * share
    mixed = [round(there * top + (1 - there) * below) for top, below in zip(parts(FULL), parts(ground))]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def on_page(option: Option, theme: Theme) -> Option:
    """The chart with its axes, its legend and the numbers in its cells written in what can be read on pages of that theme."""
    ink = INK[theme]
    written = {**option, "textStyle": {"color": ink}}
    for axis in ("xAxis", "yAxis"):
        given = option[axis]
        written[axis] = {
            **given,
            "axisLabel": {**given.get("axisLabel", {}), "color": ink},
            "nameTextStyle": {**given.get("nameTextStyle", {}), "color": ink},
        }
    if legend := option.get("legend"):
        written["legend"] = {**legend, "textStyle": {"color": ink}}
    written["series"] = [_series(each, theme) for each in option["series"]]
    return written


def _series(series: Option, theme: Theme) -> Option:
    if series["type"] == "bar" and "label" in series:
        return {**series, "label": {**series["label"], "color": INK[theme]}}
    if series["type"] != "heatmap":
        return series
    return {
        **series,
        "data": [_cell(cell, theme) if cell["label"]["show"] else cell for cell in series["data"]],
    }


def _cell(cell: Option, theme: Theme) -> Option:
    ink = ink_on(heat(cell["value"][2], GROUND[theme]))
    return {**cell, "label": {**cell["label"], "color": ink}}
