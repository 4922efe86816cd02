"""Confidence is a probability that scores give; reliability holds it against how often winners are right."""

import numpy as np
import pytest

from icm.measure.doubt import BINS, confidence, doubt, reliability


def test_a_winner_far_ahead_is_sure_and_equal_scores_are_a_toss() -> None:
    scores = np.array([[30.0, 1.0, 1.0], [0.0, 1.0, 1.0], [-5.0, 1.0, -np.inf]])
    assert confidence(scores) == pytest.approx([1.0, 1 / 3, 0.5])
    assert confidence(scores + 700) == pytest.approx(confidence(scores))  # only differences count


def test_who_is_right_as_often_as_it_is_sure_has_no_error_and_who_is_not_has_that_much() -> None:
    draw = np.random.default_rng(0)
    sure = draw.uniform(0.1, 1.0, 200_000)
    honest = reliability(sure, draw.uniform(size=len(sure)) < sure)
    assert honest.expected_error < 0.01
    boasting = reliability(np.full(1000, 0.9), np.arange(1000) < 600)
    assert boasting.expected_error == pytest.approx(0.3)
    assert boasting.images.sum() == pytest.approx(1)
    assert np.isfinite(boasting.right).sum() == 1


def test_the_surest_are_counted_by_themselves_and_certainty_has_a_bin() -> None:
    found = reliability(np.array([1.0, 0.995, 0.98, 0.5]), np.array([True, False, True, True]))
    assert (found.sure, found.sure_and_right) == (0.5, 0.5)
    assert found.images[BINS - 1] == 0.75
    assert np.isnan(reliability(np.array([0.5]), np.array([True])).sure_and_right)


def test_right_is_who_owns_the_mechanism_and_a_mechanism_without_an_owner_has_nobody_right() -> None:
    scores = np.array([[9.0, 0.0, 9.0, 9.0], [0.0, 9.0, 0.0, 0.0]])  # two images of each of two mechanisms
    found = doubt(scores, [0, None])
    assert found.right[BINS - 1] == pytest.approx(0.25)
