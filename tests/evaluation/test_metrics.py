"""Error rates against loops over every threshold."""

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import det_curve, eer, eer_threshold, min_dcf


def brute_points(target, impostor):
    """Misses and false alarms at every threshold, one by one."""
    levels = sorted({*map(float, target), *map(float, impostor)})
    points = []
    for threshold in [*levels, float("inf")]:
        miss = sum(score < threshold for score in target) / len(target)
        alarm = sum(score >= threshold for score in impostor) / len(impostor)
        points.append((miss, alarm, threshold))
    return points


def brute_eer(target, impostor):
    """Crossing of the lines between neighbouring operating points."""
    points = brute_points(target, impostor)
    for (m0, a0, _), (m1, a1, _) in zip(points, points[1:], strict=False):
        if m0 <= a0 and m1 >= a1:
            share = (a0 - m0) / ((a0 - m0) + (m1 - a1))
            return a0 + share * (a1 - a0)
    raise AssertionError("the lines cross somewhere")


def brute_min_dcf(target, impostor, p_target, c_miss=1.0, c_fa=1.0):
    """Least cost of all thresholds."""
    costs = [
        c_miss * p_target * miss + c_fa * (1 - p_target) * alarm
        for miss, alarm, _ in brute_points(target, impostor)
    ]
    return min(costs) / min(c_miss * p_target, c_fa * (1 - p_target))


def make_scores():
    """Scores of many kinds: random, coarse (ties), perfect, inverted."""
    rng = np.random.default_rng(0)
    cases = {}
    for number, (targets, impostors) in enumerate(
        [(1, 1), (1, 9), (7, 3), (40, 60), (33, 150), (100, 99)]
    ):
        target = rng.normal(1, 1, targets)
        impostor = rng.normal(0, 1, impostors)
        cases[f"random{number}"] = target, impostor
        cases[f"tied{number}"] = target.round(), impostor.round()
        cases[f"coarse{number}"] = target.round(1), impostor.round(1)
        cases[f"perfect{number}"] = np.abs(target) + 1, -np.abs(impostor)
        cases[f"inverted{number}"] = -np.abs(target) - 1, np.abs(impostor)
        cases[f"equal{number}"] = target * 0, impostor * 0
    return cases


CASES = make_scores()


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name):
    target, impostor = CASES[name]
    assert eer(target, impostor) == pytest.approx(
        brute_eer(target, impostor), abs=1e-12
    )
    for p_target in (0.01, 0.05, 0.5, 0.9):
        assert min_dcf(target, impostor, p_target) == pytest.approx(
            brute_min_dcf(target, impostor, p_target), abs=1e-12
        )
    assert min_dcf(target, impostor, 0.1, 10, 0.5) == pytest.approx(
        brute_min_dcf(target, impostor, 0.1, 10, 0.5), abs=1e-12
    )
    expected = np.array(brute_points(target, impostor)).T
    np.testing.assert_allclose(
        np.stack(det_curve(target, impostor)), expected, atol=1e-15
    )


@pytest.mark.parametrize("name", CASES)
def test_threshold_gives_rates_beside_the_crossing(name):
    target, impostor = CASES[name]
    rate, threshold = eer_threshold(target, impostor)
    assert np.isfinite(threshold)
    miss = (target < threshold).mean()
    alarm = (impostor >= threshold).mean()
    best = min(abs(m - a) for m, a, _ in brute_points(target, impostor))
    assert abs(miss - alarm) == pytest.approx(best, abs=1e-12)
    assert min(miss, alarm) - 1e-12 <= rate <= max(miss, alarm) + 1e-12


@pytest.mark.parametrize("name", [n for n in CASES if "perfect" in n])
def test_perfect_is_exactly_zero_at_the_midpoint(name):
    target, impostor = CASES[name]
    rate, threshold = eer_threshold(target, impostor)
    assert rate == 0.0
    assert threshold == pytest.approx((target.min() + impostor.max()) / 2)
    assert min_dcf(target, impostor) == 0.0


def test_inverted_and_tied_are_exact():
    assert eer([0.0, 0.1, 0.2], [0.5, 0.6]) == 1.0
    assert eer([0.3] * 7, [0.3] * 5) == 0.5
    assert min_dcf([0.0, 0.1], [0.5, 0.6]) == 1.0
    assert eer_threshold([0.3] * 7, [0.3] * 5)[1] == 0.3
    # Also where the nearest point is "reject all".
    rate, threshold = eer_threshold([0.1], [0.1, 0.1, 0.2])
    assert np.isfinite(threshold) and 0.5 < rate <= 1.0


def test_reject_all_has_a_finite_threshold():
    rate, threshold = eer_threshold([0.1], [0.2])
    assert rate == 1.0
    assert np.isfinite(threshold)


def test_ties_do_not_depend_on_order():
    target = np.array([0.0, 1.0, 1.0, 2.0])
    impostor = np.array([1.0, 0.0, 1.0, -1.0])
    rates = {
        eer(order(target), order(impostor))
        for order in (np.sort, np.flip, lambda scores: scores)
    }
    assert len(rates) == 1


def test_kinds_of_input_agree():
    target, impostor = CASES["coarse4"]
    target, impostor = target.astype("f4"), impostor.astype("f4")
    expected = eer_threshold(target, impostor)
    for kind in (
        list,
        torch.tensor,
        lambda s: torch.tensor(s, requires_grad=True),
        lambda s: s[:, None],
    ):
        assert eer_threshold(kind(target), kind(impostor)) == expected
    assert eer(
        torch.tensor([1.0]).bfloat16(), torch.tensor([0.0]).bfloat16()
    ) == (0.0)
    assert eer([2, 3], [0, 1]) == 0.0


def test_threshold_between_neighbouring_numbers_separates_them():
    for kind in (np.float32, np.float64):
        for low in (kind(0.5), kind(0.7), kind(-0.3), kind(0)):
            high = np.nextafter(low, kind(1))
            rate, threshold = eer_threshold([high], [low])
            assert rate == 0.0
            assert np.array([high]) >= threshold
            assert not np.array([low]) >= threshold


def test_scores_are_left_as_they_were():
    target, impostor = np.array([3.0, 1.0]), np.array([2.0, 0.0])
    eer(target, impostor)
    assert target.tolist() == [3.0, 1.0] and impostor.tolist() == [2.0, 0.0]


def test_unequal_classes_of_many_scores():
    rng = np.random.default_rng(1)
    target = rng.normal(2, 1, 2000)
    impostor = rng.normal(0, 1, 200_000)
    # Two normal distributions two deviations apart cross at one deviation.
    assert eer(target, impostor) == pytest.approx(0.1587, abs=0.02)


@pytest.mark.parametrize("measure", [eer, eer_threshold, min_dcf, det_curve])
def test_bad_scores(measure):
    with pytest.raises(ValueError, match="no target score"):
        measure([], [1.0])
    with pytest.raises(ValueError, match="no impostor score"):
        measure([1.0], torch.empty(0))
    with pytest.raises(ValueError, match="1 of 2 target scores are NaN"):
        measure([1.0, float("nan")], [0.0])
    with pytest.raises(ValueError, match="2 of 3 impostor scores are NaN"):
        measure([1.0], np.array([np.nan, 0, -np.inf]))


@pytest.mark.parametrize("p_target", [0.0, 1.0, -0.1, float("nan")])
def test_bad_prior(p_target):
    with pytest.raises(ValueError, match="p_target must be between 0 and 1"):
        min_dcf([1.0], [0.0], p_target)


@pytest.mark.parametrize("costs", [(0, 1), (1, -1), (float("nan"), 1)])
def test_bad_costs(costs):
    with pytest.raises(ValueError, match="costs must be positive"):
        min_dcf([1.0], [0.0], 0.01, *costs)
