"""The operating points of a system, and the rates that follow from them."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from speechbrain_kd.evaluation.hull import lower_hull
from speechbrain_kd.evaluation.score_checks import (
    Scores,
    as_scores,
    check_costs,
)

_BLOCK = 1 << 20  # scores that are looked up at once


class OperatingPoints:
    """Every operating point, from "accept all" to "reject all".

    Made by one sort; every rate is then read from the points, not from scores.
    The points are kept as whole numbers of trials, so that a crossing is found
    without rounding.

    Arguments
    ---------
    target_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of one speaker, higher for more alike.
    impostor_scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of the trials of two speakers.

    Raises
    ------
    ValueError
        If a class has no score, or a score is not finite.

    Example
    -------
    >>> points = OperatingPoints([0.8, 0.6], [0.6, 0.1])
    >>> points.eer(), points.auc(), points.tmr_at_fmr([0.0, 0.5])
    (0.25, 0.875, [0.5, 1.0])
    """

    def __init__(self, target_scores: Scores, impostor_scores: Scores) -> None:
        target = as_scores(target_scores, "target")
        impostor = as_scores(impostor_scores, "impostor")
        self.targets, self.impostors = target.size, impostor.size
        ranked = np.concatenate([target, impostor])
        ranked.sort()
        # Where each group of equal scores starts.
        starts = np.ones(ranked.size, dtype=bool)
        np.not_equal(ranked[1:], ranked[:-1], out=starts[1:])
        # Twice the trials must fit, for the area under the curve.
        kind = np.int32 if ranked.size < 2**30 else np.int64
        if starts.all():
            self._levels, below = ranked, np.arange(ranked.size + 1, dtype=kind)
        else:
            self._levels = ranked[starts]
            below = np.append(np.flatnonzero(starts), ranked.size).astype(kind)
        del ranked, starts
        self._missed = _count_below(np.sort(target), self._levels, kind)
        self._alarms = below
        self._alarms -= self._missed
        np.subtract(self.impostors, self._alarms, out=self._alarms)

    @property
    def miss(self) -> np.ndarray:
        """Share of the target trials below each threshold, rising."""
        return self._missed / self.targets

    @property
    def false_alarm(self) -> np.ndarray:
        """Share of the impostor trials at or above it, falling."""
        return self._alarms / self.impostors

    @property
    def thresholds(self) -> np.ndarray:
        """The distinct scores, rising, and infinity."""
        return np.append(self._levels, self._levels.dtype.type(np.inf))

    def eer(self) -> float:
        """Equal error rate, on straight lines between the points."""
        return self.eer_threshold()[0]

    def eer_threshold(self) -> tuple[float, float]:
        """Equal error rate and the threshold nearest to it.

        Returns
        -------
        eer : float
            The rate, 0 (perfect) to 1 (inverted).
        threshold : float
            Accept when ``score >= threshold``.
        """
        # The excess rises strictly: every group moves one of the two counts.
        after = bisect_left(range(self._missed.size), 0, key=self._excess)
        before = after - 1
        below, above = -self._excess(before), self._excess(after)
        share = below / (below + above)
        alarms = int(self._alarms[before]), int(self._alarms[after])
        crossing = alarms[0] + share * (alarms[1] - alarms[0])
        nearest = after if above < below else before
        return crossing / self.impostors, self._separating(nearest)

    def rocch_eer(self) -> float:
        """Equal error rate on the convex hull of the points.

        Where thresholds may be drawn by lot, the system can work anywhere on
        the hull; never above `eer`.

        Returns
        -------
        float
            The rate, 0 to 0.5.
        """
        return crossing(*self._corners)

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of the lower convex hull, miss and false alarm, [corners]."""
        return self._corners

    @cached_property
    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Found once: two rates are read from them."""
        kept = lower_hull(self._missed, self._alarms)
        return (
            self._missed[kept] / self.targets,
            self._alarms[kept] / self.impostors,
        )

    def min_dcf(
        self, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
    ) -> float:
        """Least normalised detection cost over all thresholds.

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
            The cost, 0 to 1.
        """
        cost_miss, cost_fa = check_costs(p_target, c_miss, c_fa)
        least = np.inf
        for start in range(0, self._missed.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            cost = cost_miss * (self._missed[part] / self.targets)
            cost += cost_fa * (self._alarms[part] / self.impostors)
            least = min(least, float(cost.min()))
        return least / min(cost_miss, cost_fa)

    def tmr_at_fmr(self, fmrs: Sequence[float]) -> list[float]:
        """Share of target trials accepted, by the impostor trials allowed.

        Arguments
        ---------
        fmrs : Sequence[float]
            Highest false match rates, 0 to 1.

        Returns
        -------
        list[float]
            The true match rate at the lowest threshold that keeps each.
        """
        found = []
        for fmr in fmrs:
            if not 0.0 <= fmr <= 1.0:
                raise ValueError(f"a rate must be between 0 and 1, got {fmr}")
            at = bisect_left(
                range(self._alarms.size),
                True,
                key=lambda p, fmr=fmr: self._alarms[p] / self.impostors <= fmr,
            )
            found.append(1 - int(self._missed[at]) / self.targets)
        return found

    def auc(self) -> float:
        """Share of pairs of a target and an impostor trial in right order."""
        rejected = self._alarms[1:] + self._alarms[:-1]
        np.subtract(2 * self.impostors, rejected, out=rejected)
        twice = np.einsum("i,i", np.diff(self._missed), rejected, dtype="i8")
        return int(twice) / (2 * self.targets * self.impostors)

    def _excess(self, point: int) -> int:
        """Miss less false alarm at a point, in whole numbers."""
        missed, alarms = int(self._missed[point]), int(self._alarms[point])
        return missed * self.impostors - alarms * self.targets

    def _separating(self, point: int) -> float:
        """A threshold for an operating point, midway between two scores."""
        # The nearest point is never "reject all", and "accept all" only where
        # all scores are equal: the rates differ by one there, else by less.
        if point == 0:
            return float(self._levels[0])
        low, high = map(float, self._levels[point - 1 : point + 1])
        middle = low / 2 + high / 2
        # Between neighbouring numbers the middle may round down onto the lower
        # score, also later, when it is compared with float32 scores.
        rounded_down = middle <= low or np.float32(middle) <= low
        return high if rounded_down else middle


def crossing(miss: np.ndarray, alarm: np.ndarray) -> float:
    """Where the line through operating points has equal rates.

    Arguments
    ---------
    miss : np.ndarray
        Rising from 0, [points].
    alarm : np.ndarray
        Falling from 1, [points].

    Returns
    -------
    float
        The rate, 0 to 1.

    Example
    -------
    >>> crossing(np.array([0.0, 0.25, 1.0]), np.array([1.0, 0.25, 0.0]))
    0.25
    """
    after = int(np.argmax(miss >= alarm))
    below = alarm[after - 1] - miss[after - 1]
    above = miss[after] - alarm[after]
    share = below / (below + above)
    return float(alarm[after - 1] + share * (alarm[after] - alarm[after - 1]))


def _count_below(
    ranked: np.ndarray, levels: np.ndarray, kind: type
) -> np.ndarray:
    """How many scores lie below each level, and in all; [levels + 1]."""
    counts = np.empty(levels.size + 1, dtype=kind)
    counts[-1] = ranked.size
    for start in range(0, levels.size, _BLOCK):
        part = levels[start : start + _BLOCK]
        counts[start : start + part.size] = np.searchsorted(ranked, part)
    return counts
