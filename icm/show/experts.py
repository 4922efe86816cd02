"""One colour, dash and badge for each expert, the same on every page. Colour alone never tells experts apart."""

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
# The same with a contrast of 3:1 at least: darker where the page is light, lighter where it is dark.
ON_LIGHT = tuple(
    {1: "#c7840b", 3: "#7f9491", 7: "#9c8f4e", 9: "#2f9fa6"}.get(i, each) for i, each in enumerate(COLOURS)
)
ON_DARK = tuple({2: "#d0351a", 4: "#9a55cc"}.get(i, each) for i, each in enumerate(COLOURS))
DASHES = ("solid", "dashed", "dotted")


def colour(expert: int) -> str:
    return COLOURS[expert % len(COLOURS)]


def badge(expert: int) -> str:
    return f"E{expert}"
