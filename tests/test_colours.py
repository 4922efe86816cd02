"""The experts' colours can be seen on a light page and on a dark one, and told apart also by people who see colours differently."""

from itertools import combinations

import numpy as np
import pytest
from jaxtyping import Float

from icm.show.charts import NEUTRAL
from icm.show.experts import COLOURS

GROUNDS = ("#ffffff", "#171614")  # of Streamlit's two themes

# Machado, Oliveira and Fernandes (2009), severity 1.0: what takes linear red, green and blue to what such a person sees.
SEEN_BY = {
    "most": np.eye(3),
    "protanopes": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopes": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopes": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TO_XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])


def linear(code: str) -> Float[np.ndarray, "3"]:
    shown = np.array([int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    light, dark = sorted((float(linear(code) @ TO_XYZ[1]) for code in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def cielab(code: str, kind: str) -> Float[np.ndarray, "3"]:
    relative = TO_XYZ @ np.clip(np.array(SEEN_BY[kind]) @ linear(code), 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("code", [*COLOURS, *NEUTRAL])
def test_a_line_in_this_colour_has_a_contrast_of_three_to_one(code: str, ground: str) -> None:
    assert contrast(code, ground) >= 3


@pytest.mark.parametrize(
    ("kind", "least"), [("most", 21), ("protanopes", 16), ("deuteranopes", 15.5), ("tritanopes", 16)]
)
def test_no_two_experts_look_alike(kind: str, least: float) -> None:
    seen = [cielab(code, kind) for code in COLOURS]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) >= least
