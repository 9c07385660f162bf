"""How good scores are as likelihood ratios: Cllr, its minimum, actual cost.

A calibrated score is the natural logarithm of the ratio between the likelihood
of a target and of an impostor trial. The error rates do not see calibration,
since the best threshold is chosen with the answers known; these do.

Reference
---------
Brümmer & du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006.
"""

import numpy as np

from speechbrain_kd.evaluation.points import OperatingPoints
from speechbrain_kd.evaluation.score_checks import (
    Scores,
    as_scores,
    check_costs,
)


def cllr(target_llrs: Scores, impostor_llrs: Scores) -> float:
    """Cost of log-likelihood ratios, averaged over all applications.

    Arguments
    ---------
    target_llrs : np.ndarray | torch.Tensor | Sequence[float]
        Natural-log likelihood ratios of the trials of one speaker.
    impostor_llrs : np.ndarray | torch.Tensor | Sequence[float]
        Those of the trials of two speakers.

    Returns
    -------
    float
        Bits a trial: 0 is perfect, 1 is what saying nothing costs.

    Raises
    ------
    ValueError
        If a class has no score, or a score is not finite.

    Example
    -------
    >>> round(cllr([0.0], [0.0, 0.0]), 12), cllr([9.0], [-9.0]) < 0.001
    (1.0, True)
    """
    target = as_scores(target_llrs, "target").astype(np.float64)
    impostor = as_scores(impostor_llrs, "impostor").astype(np.float64)
    lost = np.logaddexp(0, -target).mean() + np.logaddexp(0, impostor).mean()
    return float(lost / (2 * np.log(2)))


def min_cllr(target_scores: Scores, impostor_scores: Scores) -> float:
    """Cllr after the best rising map from scores to likelihood ratios.

    That map gives each piece of the convex hull its slope, so it is found with
    the hull; what `cllr` has above it is the loss by calibration.

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, calibrated or not.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Those of the trials of two speakers.

    Returns
    -------
    float
        Bits a trial, 0 to 1.

    Raises
    ------
    ValueError
        If a class has no score, or a score is not finite.

    Example
    -------
    >>> min_cllr([0.3, 0.2], [0.1]), min_cllr([0.1], [0.1, 0.2])
    (0.0, 1.0)
    """
    return hull_cllr(OperatingPoints(target_scores, impostor_scores))


def hull_cllr(points: OperatingPoints) -> float:
    """As `min_cllr`, of points that are there already.

    Arguments
    ---------
    points : OperatingPoints
        Of a system.

    Returns
    -------
    float
        Bits a trial, 0 to 1.

    Example
    -------
    >>> hull_cllr(OperatingPoints([1.0, 2.0], [0.0]))
    0.0
    """
    miss, alarm = points.hull()
    targets, impostors = np.diff(miss), -np.diff(alarm)
    # A piece of one class alone has an infinite ratio, and costs nothing.
    mixed = (targets > 0) & (impostors > 0)
    targets, impostors = targets[mixed], impostors[mixed]
    lost = targets * np.log2(1 + impostors / targets)
    lost += impostors * np.log2(1 + targets / impostors)
    return float(lost.sum() / 2)


def act_dcf(
    target_llrs: Scores,
    impostor_llrs: Scores,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Detection cost at the threshold that calibrated scores ask for.

    Arguments
    ---------
    target_llrs : np.ndarray | torch.Tensor | Sequence[float]
        Natural-log likelihood ratios of the trials of one speaker.
    impostor_llrs : np.ndarray | torch.Tensor | Sequence[float]
        Those of the trials of two speakers.
    p_target : float
        Prior probability of a target trial, between 0 and 1.
    c_miss : float
        Cost of a miss.
    c_fa : float
        Cost of a false alarm.

    Returns
    -------
    float
        The cost, normalised as that of `min_dcf`, and never below it. It may
        be above 1: worse than not listening.

    Raises
    ------
    ValueError
        If a class has no score, a score is not finite, ``p_target`` is not
        between 0 and 1 or a cost is not positive.

    Example
    -------
    >>> act_dcf([9.0, 1.0], [-9.0, -1.0]), act_dcf([9.0], [9.0])
    (0.5, 99.0)
    """
    cost_miss, cost_fa = check_costs(p_target, c_miss, c_fa)
    target = as_scores(target_llrs, "target")
    impostor = as_scores(impostor_llrs, "impostor")
    threshold = bayes_threshold(p_target, c_miss, c_fa)
    cost = cost_miss * np.mean(target < threshold)
    cost += cost_fa * np.mean(impostor >= threshold)
    return float(cost / min(cost_miss, cost_fa))


def bayes_threshold(
    p_target: float, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Log-likelihood ratio from which accepting is the cheaper choice.

    Arguments
    ---------
    p_target : float
        Prior probability of a target trial, between 0 and 1.
    c_miss : float
        Cost of a miss.
    c_fa : float
        Cost of a false alarm.

    Returns
    -------
    float
        Accept when ``llr >= threshold``.

    Example
    -------
    >>> bayes_threshold(0.5), round(bayes_threshold(0.01), 3)
    (0.0, 4.595)
    """
    cost_miss, cost_fa = check_costs(p_target, c_miss, c_fa)
    return float(np.log(cost_fa / cost_miss))
