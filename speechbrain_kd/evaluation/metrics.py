"""Error rates of a verification system, all from one list of points.

A trial is accepted when ``score >= threshold``, so a threshold only matters by
the scores it separates: with K distinct scores there are K + 1 operating
points, from "accept all" (miss 0, false alarm 1) to "reject all" (miss 1,
false alarm 0). Equal scores cannot be separated and are grouped before
anything is summed. One sort makes the points, O(N log N) in time and O(N) in
memory; `OperatingPoints` keeps them for whoever wants several rates. Scores
keep their own type, half of the memory where that is float32.

References
----------
Martin et al., "The DET curve in assessment of detection task performance",
Eurospeech 1997. The cost is that of the NIST speaker recognition evaluations.
"""

import numpy as np

from speechbrain_kd.evaluation.points import OperatingPoints
from speechbrain_kd.evaluation.score_checks import Scores


def det_curve(
    target_scores: Scores, impostor_scores: Scores
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists every operating point, from "accept all" to "reject all".

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, higher for more alike.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of two speakers.

    Returns
    -------
    miss : np.ndarray
        Share of the target trials below each threshold, [points], rising.
    false_alarm : np.ndarray
        Share of the impostor trials at or above it, [points], falling.
    thresholds : np.ndarray
        The distinct scores, rising, and infinity, [points]. A trial is
        accepted when ``score >= threshold``.

    Raises
    ------
    ValueError
        If a class has no score, or a score is not finite.

    Example
    -------
    >>> miss, false_alarm, thresholds = det_curve([0.8, 0.6], [0.6, 0.1])
    >>> thresholds.tolist()
    [0.1, 0.6, 0.8, inf]
    >>> miss.tolist(), false_alarm.tolist()
    ([0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0])
    """
    points = OperatingPoints(target_scores, impostor_scores)
    return points.miss, points.false_alarm, points.thresholds


def eer(target_scores: Scores, impostor_scores: Scores) -> float:
    """Equal error rate, where misses are as frequent as false alarms.

    See `eer_threshold`, which gives the threshold too.

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, higher for more alike.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of two speakers.

    Returns
    -------
    float
        The rate, 0 (perfect) to 1 (inverted); 0.5 is chance.

    Example
    -------
    >>> eer([0.9, 0.8], [0.2, 0.1]), eer([0.1], [0.9]), eer([1.0], [1.0])
    (0.0, 1.0, 0.5)
    >>> import torch
    >>> target, impostor = torch.randn(50) + 2, torch.randn(60)
    >>> eer(target, impostor) == eer(5 * target, 5 * impostor)
    True
    """
    return eer_threshold(target_scores, impostor_scores)[0]


def eer_threshold(
    target_scores: Scores, impostor_scores: Scores
) -> tuple[float, float]:
    """Equal error rate and the threshold nearest to it.

    The operating points are joined by straight lines, as a receiver operating
    characteristic is drawn: a step where scores differ, a slope across a
    group of equal scores. The EER is where that line crosses
    ``miss == false_alarm``. No convex hull is taken.

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, higher for more alike.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of two speakers.

    Returns
    -------
    eer : float
        The rate, 0 (perfect) to 1 (inverted).
    threshold : float
        Accept when ``score >= threshold``. Of the two operating points beside
        the crossing it gives the one with the more equal rates, and lies half
        way between the scores that this point separates.

    Raises
    ------
    ValueError
        If a class has no score, or a score is not finite.

    Example
    -------
    >>> eer_threshold([1.0, 0.75], [0.25, 0.0])
    (0.0, 0.5)
    """
    return OperatingPoints(target_scores, impostor_scores).eer_threshold()


def min_dcf(
    target_scores: Scores,
    impostor_scores: Scores,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Least detection cost over all thresholds, normalised as NIST does.

    The cost is ``c_miss * miss * p_target + c_fa * false_alarm *
    (1 - p_target)``, divided by that of the better system which never listens:
    ``min(c_miss * p_target, c_fa * (1 - p_target))``.

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, higher for more alike.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of two speakers.
    p_target : float
        Prior probability of a target trial, between 0 and 1.
    c_miss : float
        Cost of a miss.
    c_fa : float
        Cost of a false alarm.

    Returns
    -------
    float
        The cost, 0 (perfect) to 1 (no better than not listening).

    Raises
    ------
    ValueError
        If a class has no score, a score is not finite, ``p_target`` is not
        between 0 and 1 or a cost is not positive.

    Example
    -------
    >>> min_dcf([0.9, 0.8], [0.2, 0.1]), min_dcf([0.5], [0.5])
    (0.0, 1.0)
    """
    points = OperatingPoints(target_scores, impostor_scores)
    return points.min_dcf(p_target, c_miss, c_fa)
