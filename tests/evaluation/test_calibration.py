"""Calibration against the truth, an optimiser, and bad input."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from speechbrain_kd.evaluation.calibration import LinearCalibration
from speechbrain_kd.evaluation.likelihood import bayes_threshold, cllr
from speechbrain_kd.evaluation.quality import (
    duration_quality,
    magnitude_quality,
)


def make_trials(number=20_000, seed=0):
    """Cosines that are a line of likelihood ratios."""
    rng = np.random.default_rng(seed)
    labels = rng.random(number) < 0.2
    llrs = rng.normal(np.where(labels, 2, -2), 2)
    return 0.1 * llrs + 0.3, labels, llrs


def test_finds_the_line_that_made_the_scores():
    scores, labels, llrs = make_trials()
    found = LinearCalibration.fit(scores, labels, p_target=0.5)
    np.testing.assert_allclose(found.llr(scores), llrs, atol=0.5)
    assert found.weights == pytest.approx([10], rel=0.05)
    assert found.threshold(0.5) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("p_target", [0.01, 0.5])
def test_is_the_minimum_of_the_weighted_loss(p_target):
    scores, labels, _ = make_trials(2000)
    prior = np.log(p_target / (1 - p_target))

    def loss(line):
        llrs = line[0] * scores + line[1] + prior
        target, impostor = llrs[labels], llrs[~labels]
        return (
            p_target * np.logaddexp(0, -target).mean()
            + (1 - p_target) * np.logaddexp(0, impostor).mean()
        )

    best = minimize(loss, [1.0, 0.0], method="BFGS", tol=1e-9)
    found = LinearCalibration.fit(scores, labels, p_target=p_target)
    assert loss([*found.weights, found.offset]) < best.fun * (1 + 1e-4)


def test_a_threshold_in_scores_is_the_bayes_threshold():
    scores, labels, _ = make_trials()
    found = LinearCalibration.fit(scores, labels)
    accepted = scores >= found.threshold(0.05, 2, 1)
    expected = found.llr(scores) >= bayes_threshold(0.05, 2, 1)
    assert (accepted == expected).all()


def test_quality_helps_where_it_shifts_the_scores():
    rng = np.random.default_rng(1)
    scores, labels, _ = make_trials()
    seconds = rng.uniform(1, 20, (2, labels.size))
    quality = duration_quality(*seconds)
    scores = scores + 0.2 * quality[:, 0]
    names = ("log_shorter", "log_longer")
    plain = LinearCalibration.fit(scores, labels, p_target=0.5)
    found = LinearCalibration.fit(scores, labels, quality, 0.5, names)
    llrs = found.llr(scores, quality), plain.llr(scores)
    costs = [cllr(x[labels], x[~labels]) for x in llrs]
    assert costs[0] < costs[1] - 0.01
    assert found.weights[1] == pytest.approx(-2, rel=0.1)
    with pytest.raises(ValueError, match="without quality measures"):
        found.threshold(0.5)
    with pytest.raises(ValueError, match="log_shorter.*got 0"):
        found.llr(scores)


def test_goes_through_json():
    scores, labels, _ = make_trials(200)
    quality = magnitude_quality(*np.random.default_rng(0).random((2, 200)))
    found = LinearCalibration.fit(scores, labels, quality)
    again = LinearCalibration.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.quality_names == ("1", "2")
    np.testing.assert_array_equal(
        again.llr(scores, quality), found.llr(scores, quality)
    )


def test_classes_that_do_not_overlap_give_a_finite_line(caplog):
    found = LinearCalibration.fit([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert 0.2 < found.threshold(0.5) < 0.8
    assert not caplog.text


def test_a_falling_line_is_warned_of_and_has_no_threshold(caplog):
    scores, labels, _ = make_trials(500)
    found = LinearCalibration.fit(-scores, labels)
    assert "higher scores mean less alike" in caplog.text
    with pytest.raises(ValueError, match="positive slope"):
        found.threshold(0.01)


@pytest.mark.parametrize(
    ("scores", "labels", "quality", "message"),
    [
        ([0.1, 0.2], [1, 1], None, "2 of them targets"),
        ([0.1, 0.2], [0, 0], None, "0 of them targets"),
        ([0.1, 0.2], [0, 1, 1], None, "2 scores and 3 labels"),
        ([0.1, np.nan], [0, 1], None, "1 of 2 trials"),
        ([0.1, 0.1], [0, 1], None, "all scores are equal"),
        ([0.1, 0.2], [0, 1], [[1.0]], r"\[2, measures\], got shape \[1, 1\]"),
    ],
)
def test_bad_trials(scores, labels, quality, message):
    with pytest.raises(ValueError, match=message):
        LinearCalibration.fit(scores, labels, quality)


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"weights": [1.0, 2.0], "offset": 0.0},
        {"weights": [float("nan")], "offset": 0.0},
        {"weights": ["x"], "offset": 0.0},
        {"weights": [1.0], "offset": None},
    ],
)
def test_bad_files(content):
    with pytest.raises(ValueError):
        LinearCalibration.from_dict(content)


def test_bad_quality():
    with pytest.raises(ValueError, match="durations in seconds above 0"):
        duration_quality([1.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"shapes \[1\] and \[2\]"):
        magnitude_quality([1.0], [1.0, 1.0])
