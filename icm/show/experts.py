"""One colour, dash and badge for each expert, the same on every page. Colour alone never tells experts apart."""

# Ten colours in the order of Petroff (2021), "Accessible color sequences for data visualization", moved until each has a contrast
# of 3:1 on a white page and on a dark one. The nearest two are 16 apart (CIELAB) for people who see red, green or blue
# differently, and 21 for others; a test has the computation. Petroff's own are 17 and 19 apart, five of them too pale on white.
COLOURS = (
    "#3f94e0",
    "#b95200",
    "#be262d",
    "#2c7499",
    "#8f37c5",
    "#a96b59",
    "#f46b00",
    "#a49453",
    "#6f7380",
    "#6e9f8b",
)
DASHES = ("solid", "dashed", "dotted")


def colour(expert: int) -> str:
    return COLOURS[expert % len(COLOURS)]


def badge(expert: int) -> str:
    return f"E{expert}"
