"""Rates of operating points against scikit-learn and against loops."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score, roc_curve

from speechbrain_kd.evaluation.likelihood import (
    act_dcf,
    bayes_threshold,
    cllr,
    min_cllr,
)
from speechbrain_kd.evaluation.metrics import OperatingPoints, det_curve


def make_cases():
    """Random, tied, perfect, inverted and equal scores of both classes."""
    rng = np.random.default_rng(3)
    cases = {}
    for targets, impostors in ((1, 1), (2, 40), (60, 50), (300, 900)):
        target = rng.normal(1, 1, targets)
        impostor = rng.normal(0, 1, impostors)
        size = f"{targets}+{impostors}"
        cases[f"random {size}"] = target, impostor
        cases[f"tied {size}"] = target.round(), impostor.round()
        cases[f"float32 {size}"] = target.astype("f4"), impostor.astype("f4")
        cases[f"perfect {size}"] = np.abs(target) + 1, -np.abs(impostor)
        cases[f"inverted {size}"] = -np.abs(target) - 1, np.abs(impostor)
        cases[f"equal {size}"] = target * 0, impostor * 0
    return cases


CASES = make_cases()


def both(name):
    """Scores and labels of a case, as scikit-learn takes them."""
    target, impostor = CASES[name]
    labels = np.repeat([1, 0], [target.size, impostor.size])
    return target, impostor, labels, np.concatenate([target, impostor])


@pytest.mark.parametrize("name", CASES)
def test_points_and_area_are_those_of_scikit_learn(name):
    target, impostor, labels, scores = both(name)
    alarm, hit, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    miss, false_alarm, levels = det_curve(target, impostor)
    np.testing.assert_allclose(false_alarm[::-1], alarm, atol=1e-12)
    np.testing.assert_allclose(1 - miss[::-1], hit, atol=1e-12)
    np.testing.assert_array_equal(levels[::-1], thresholds)
    points = OperatingPoints(target, impostor)
    assert points.auc() == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize("name", CASES)
def test_matches_at_a_rate_are_the_best_that_keep_it(name):
    target, impostor, labels, scores = both(name)
    rates = [0.0, 0.01, 0.02, 0.1, 0.5, 1.0]
    alarm, hit, _ = roc_curve(labels, scores, drop_intermediate=False)
    expected = [hit[alarm <= rate].max() for rate in rates]
    found = OperatingPoints(target, impostor).tmr_at_fmr(rates)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def pooled(name):
    """Posteriors of all scores by scikit-learn's isotonic regression."""
    _, _, labels, scores = both(name)
    # Equal scores are pooled by it; float64 keeps different ones apart.
    scores = np.unique(scores, return_inverse=True)[1].astype(float)
    return labels, IsotonicRegression().fit(scores, labels).predict(scores)


@pytest.mark.parametrize("name", CASES)
def test_hull_and_min_cllr_are_those_of_isotonic_regression(name):
    target, impostor = CASES[name]
    labels, share = pooled(name)
    targets, impostors = target.size, impostor.size
    with np.errstate(divide="ignore"):
        llrs = np.log(share / (1 - share)) - np.log(targets / impostors)
        lost = np.logaddexp(0, -llrs[labels == 1]).mean()
        lost += np.logaddexp(0, llrs[labels == 0]).mean()
    expected = lost / (2 * np.log(2))
    assert min_cllr(target, impostor) == pytest.approx(expected, abs=1e-9)
    levels = np.append(np.unique(share), np.inf)
    miss = [(share[labels == 1] < level).mean() for level in levels]
    alarm = [(share[labels == 0] >= level).mean() for level in levels]
    hull = OperatingPoints(target, impostor).hull()
    np.testing.assert_allclose(hull, [miss, alarm], atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_hull_eer_is_the_worst_of_all_costs(name):
    target, impostor = CASES[name]
    points = OperatingPoints(target, impostor)
    miss, alarm = points.miss, points.false_alarm
    # max over priors of min over points of the cost, as the hull is convex.
    priors = np.linspace(0, 1, 2001)[:, None]
    expected = (priors * miss + (1 - priors) * alarm).min(1).max()
    assert points.rocch_eer() == pytest.approx(expected, abs=1e-3)
    assert points.rocch_eer() <= points.eer() + 1e-12


def test_hull_of_many_scores_costs_no_more_than_any_point():
    rng = np.random.default_rng(4)
    points = OperatingPoints(rng.normal(1, 1, 20_000), rng.normal(0, 2, 30_000))
    miss, alarm = points.hull()
    assert 2 < miss.size < 1000
    slopes = np.diff(alarm) / np.diff(miss).clip(1e-15)
    assert (np.diff(slopes) > 0).all()
    for prior in (0.01, 0.3, 0.9):
        cost = (prior * miss + (1 - prior) * alarm).min()
        least = points.min_dcf(prior) * min(prior, 1 - prior)
        assert cost == pytest.approx(least, abs=1e-12)


def test_float32_scores_stay_float32():
    points = OperatingPoints(np.float32([1, 2]), np.float32([0]))
    assert points.thresholds.dtype == np.float32
    with pytest.raises(ValueError, match="between 0 and 1, got 1.5"):
        points.tmr_at_fmr([1.5])


def test_cllr_by_hand_and_of_large_ratios():
    assert cllr([np.log(3)], [0.0]) == pytest.approx(
        (np.log2(4 / 3) + np.log2(2)) / 2
    )
    assert cllr([-1000.0], [1000.0]) == pytest.approx(1000 / np.log(2))


@pytest.mark.parametrize("costs", [(0.01, 1, 1), (0.5, 10, 1), (0.05, 1, 3)])
def test_calibrated_scores_cost_the_minimum(costs):
    rng = np.random.default_rng(5)
    # Of N(±2, 2) the score is the log-likelihood ratio.
    target, impostor = rng.normal(2, 2, 400_000), rng.normal(-2, 2, 400_000)
    least = OperatingPoints(target, impostor).min_dcf(*costs)
    actual = act_dcf(target, impostor, *costs)
    assert least <= actual < least + 0.02
    assert cllr(target, impostor) == pytest.approx(
        min_cllr(target, impostor), abs=0.002
    )
    assert act_dcf(target + 3, impostor + 3, *costs) > least + 0.05
    at = bayes_threshold(*costs)
    p_target, c_miss, c_fa = costs
    assert np.exp(at) * c_miss * p_target == pytest.approx(
        c_fa * (1 - p_target)
    )


@pytest.mark.parametrize("measure", [cllr, min_cllr, act_dcf, OperatingPoints])
def test_one_class_and_broken_scores_are_errors(measure):
    with pytest.raises(ValueError, match="no impostor score"):
        measure([1.0], [])
    with pytest.raises(ValueError, match="1 of 1 target scores are NaN"):
        measure([np.inf], [1.0])


def test_error_rates_need_no_torch():
    code = (
        "import sys; from speechbrain_kd.evaluation import eer, min_cllr; "
        "eer([1.0], [0.0]); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False).returncode
        == 0
    )
