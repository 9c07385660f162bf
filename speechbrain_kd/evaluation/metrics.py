"""Error rates of a verification system: EER, minDCF and the DET curve.

All of them read one list of operating points. A trial is accepted when
``score >= threshold``, so a threshold only matters by the scores it separates:
with K distinct scores there are K + 1 operating points, from "accept all"
(miss 0, false alarm 1) to "reject all" (miss 1, false alarm 0). Equal scores
cannot be separated and are grouped before anything is summed. One sort makes
the points, O(N log N) in time and O(N) in memory.

References
----------
Martin et al., "The DET curve in assessment of detection task performance",
Eurospeech 1997. The cost is that of the NIST speaker recognition evaluations.
"""

from collections.abc import Sequence

import numpy as np
import torch

Scores = np.ndarray | torch.Tensor | Sequence[float]


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
    target = _as_scores(target_scores, "target")
    impostor = _as_scores(impostor_scores, "impostor")
    missed, alarms, levels = _count_errors(target, impostor)
    thresholds = np.append(levels, np.inf)
    return missed / target.size, alarms / impostor.size, thresholds


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
    target = _as_scores(target_scores, "target")
    impostor = _as_scores(impostor_scores, "impostor")
    missed, alarms, levels = _count_errors(target, impostor)
    # Whole numbers, so that the crossing is found without rounding. They rise
    # strictly: every group of scores moves one of the two counts.
    excess = missed * impostor.size - alarms * target.size
    after = int(np.searchsorted(excess, 0))
    before = after - 1
    below, above = -int(excess[before]), int(excess[after])
    share = below / (below + above)
    alarm_before, alarm_after = int(alarms[before]), int(alarms[after])
    crossing = alarm_before + share * (alarm_after - alarm_before)
    nearest = after if above < below else before
    return crossing / impostor.size, _separating(levels, nearest)


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
    if not 0.0 < p_target < 1.0:
        raise ValueError(f"p_target must be between 0 and 1, got {p_target}")
    # Written so that NaN fails too.
    if not (0.0 < c_miss < np.inf and 0.0 < c_fa < np.inf):
        raise ValueError(
            f"costs must be positive, got c_miss={c_miss}, c_fa={c_fa}"
        )
    miss, false_alarm, _ = det_curve(target_scores, impostor_scores)
    cost_miss, cost_fa = c_miss * p_target, c_fa * (1.0 - p_target)
    cost = cost_miss * miss + cost_fa * false_alarm
    return float(cost.min() / min(cost_miss, cost_fa))


def _as_scores(scores: Scores, name: str) -> np.ndarray:
    """Makes a flat float64 array of scores, or says why it cannot."""
    if isinstance(scores, torch.Tensor):
        scores = scores.detach().cpu().double().numpy()
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if scores.size == 0:
        raise ValueError(
            f"no {name} score: error rates need trials of both classes"
        )
    broken = scores.size - int(np.isfinite(scores).sum())
    if broken:
        raise ValueError(
            f"{broken} of {scores.size} {name} scores are NaN or infinite: "
            "look for broken embeddings before measuring errors"
        )
    return scores


def _count_errors(
    target: np.ndarray, impostor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Misses and false alarms, [points], and the scores, [points - 1]."""
    scores = np.concatenate([target, impostor])
    order = np.argsort(scores)
    ranked = scores[order]
    del scores
    # Where each group of equal scores starts, and the end of the last one.
    starts = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
    starts = np.concatenate([[0], starts, [ranked.size]])
    targets = np.cumsum(order < target.size)
    del order
    missed = np.zeros(starts.size, dtype=np.int64)
    missed[1:] = targets[starts[1:] - 1]
    alarms = impostor.size - (starts - missed)
    return missed, alarms, ranked[starts[:-1]]


def _separating(levels: np.ndarray, point: int) -> float:
    """A threshold for an operating point, midway between two scores."""
    # The nearest point is never "reject all", and "accept all" only where all
    # scores are equal: the rates differ by one there, and by less elsewhere.
    if point == 0:
        return float(levels[0])
    low, high = levels[point - 1], levels[point]
    middle = low / 2 + high / 2
    # Between neighbouring numbers the middle may round down onto the lower
    # score, also later, when it is compared with float32 scores.
    rounded_down = middle <= low or np.float32(middle) <= low
    return float(high if rounded_down else middle)
