"""The charts of a response curve: what they hold, and what they mark."""

from icm.show import curves
from icm.show.curves import Bin, Marked
from icm.show.experts import colour
from icm.show.legible import INK, on_page


def test_the_expert_and_doing_nothing_are_two_lines_and_the_trained_strength_is_marked() -> None:
    drawn = curves.quality(3, "pixels", Marked(4.0), [2.0, 4.0, 6.0], [11.513, 22.0, 10.0], [12.0, 9.0, 8.0])
    own, nothing = drawn["series"]
    assert own["data"] == [[2, 11.51], [4, 22], [6, 10]]
    assert nothing["data"] == [[2, 12], [4, 9], [6, 8]]
    assert own["color"] == colour(3)
    assert own["lineStyle"]["type"] != nothing["lineStyle"]["type"]  # colour alone tells nothing
    assert own["markLine"]["data"] == [{"xAxis": 4, "lineStyle": {"type": "solid"}}]
    assert (drawn["xAxis"]["min"], drawn["xAxis"]["max"]) == (2, 6)
    assert drawn["legend"]["show"]


def test_the_score_is_one_line_that_needs_no_legend_and_its_text_is_legible() -> None:
    drawn = on_page(curves.score(1, "variance", Marked(0.25), [0.01, 0.25], [2.0, 1.5]), "dark")
    (line,) = drawn["series"]
    assert line["name"] == "E1"
    assert not drawn["legend"]["show"]
    assert drawn["xAxis"]["nameTextStyle"]["color"] == drawn["yAxis"]["axisLabel"]["color"] == INK["dark"]


def test_a_strength_that_was_chosen_is_marked_beside_the_trained_one_unless_it_is_the_same() -> None:
    def at(chosen: float) -> list[float]:
        drawn = curves.score(0, "pixels", Marked(4.0, chosen), [1.0, 4.0, 6.0], [0.0, 2.0, 1.0])
        return [each["xAxis"] for each in drawn["series"][0]["markLine"]["data"]]

    assert at(6.0) == [4, 6]
    assert at(4.0) == [4]


def test_winners_are_points_of_their_confidence_larger_for_more_images_beside_the_line_of_honesty() -> None:
    drawn = curves.reliability(
        {"digits": [Bin(0.995, 1.0, 1.0)], "clothes": [Bin(0.5, 0.25, 0.25), Bin(0.9, 0.6, 0.75)]}
    )
    digits, clothes, honest = drawn["series"]
    assert [each["value"] for each in clothes["data"]] == [[50, 25], [90, 60]]
    sizes = [each["symbolSize"] for each in (*clothes["data"], *digits["data"])]
    assert sizes == sorted(sizes)
    assert clothes["symbol"] != digits["symbol"]  # colour alone tells nothing
    assert "25.0% of the images: 50% sure, 25% right" in clothes["data"][0]["tooltip"]["formatter"]
    assert honest["data"] == [[0, 0], [100, 100]]
