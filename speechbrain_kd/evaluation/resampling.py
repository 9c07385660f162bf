"""Error rates of a trial list when its speakers are drawn anew.

A bootstrap draw gives each speaker a count c: how often the speaker was drawn.
A target trial of speaker s then counts c[s] times, an impostor trial between
s and t c[s] c[t] times. The scores keep their order in every draw, so they are
sorted once and a draw costs two cumulative sums, O(trials).
"""

import logging

import numpy as np

from speechbrain_kd.evaluation.points import crossing
from speechbrain_kd.evaluation.score_checks import check_costs
from speechbrain_kd.evaluation.trials import TrialList

logger = logging.getLogger(__name__)

#: Fewer speakers say nothing of how speakers differ.
LEAST_SPEAKERS = 5

STATISTICS = ("eer", "min_dcf")

#: Thresholds of each class, where there are more scores than that. A rate is
#: then off by one part in as many, at most.
_LEVELS = 16384


class ResampledRate:
    """One error rate of one system, for any counts of the speakers.

    Arguments
    ---------
    scores : np.ndarray
        The system's scores, [trials].
    trials : TrialList
        The trials.
    speakers : np.ndarray
        Number of the speaker of each utterance, [utterances], from 0.
    statistic : str
        ``"eer"`` or ``"min_dcf"``.
    p_target : float
        Prior of a target trial, for ``"min_dcf"`` (costs 1).

    Raises
    ------
    ValueError
        If scores, trials and speakers do not fit, a score is not finite, a
        class has no trial, or the statistic is unknown.

    Example
    -------
    >>> trials = TrialList([1, 0, 1], [0, 0, 2], [1, 2, 3], list("abcd"))
    >>> rate = ResampledRate(
    ...     np.array([0.3, 0.4, 0.5]), trials, np.array([0, 0, 1, 1]), "eer"
    ... )
    >>> rate.value(np.array([1, 1])), rate.value(np.array([1, 2]))
    (0.5, 0.333...)
    >>> rate.value(np.array([2, 0]))
    nan
    """

    def __init__(
        self,
        scores: np.ndarray,
        trials: TrialList,
        speakers: np.ndarray,
        statistic: str = "eer",
        p_target: float = 0.01,
    ) -> None:
        _check(scores, trials, speakers, statistic)
        self.statistic = statistic
        self._costs = check_costs(p_target, 1.0, 1.0)
        scores, speakers = np.asarray(scores), np.asarray(speakers, np.int32)
        target, impostor = trials.split(scores)
        # Where each trial is in the order of the scores.
        ranks = np.argsort(target), np.argsort(impostor)
        target, impostor = target[ranks[0]], impostor[ranks[1]]
        levels = np.union1d(_spread(target), _spread(impostor))
        self._below = [np.searchsorted(x, levels) for x in (target, impostor)]
        one, two = speakers[trials.enrol], speakers[trials.test]
        self._targets = one[trials.labels][ranks[0]]
        self._ones = one[~trials.labels][ranks[1]]
        self._twos = two[~trials.labels][ranks[1]]

    def value(self, counts: np.ndarray) -> float:
        """The rate where each speaker counts as often as given.

        Arguments
        ---------
        counts : np.ndarray
            Whole numbers, [speakers].

        Returns
        -------
        float
            The rate; NaN where a class has no trial left.
        """
        counts = np.asarray(counts, dtype=np.int64)
        missed, targets = _sums(counts[self._targets], self._below[0])
        weights = counts[self._ones] * counts[self._twos]
        passed, impostors = _sums(weights, self._below[1])
        if not (targets and impostors):
            return float("nan")
        miss, alarm = missed / targets, 1 - passed / impostors
        if self.statistic == "eer":
            return crossing(miss, alarm)
        cost = self._costs[0] * miss + self._costs[1] * alarm
        return float(cost.min() / min(self._costs))


def renumber(trials: TrialList, speakers: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers the speakers that trials use from 0.

    Arguments
    ---------
    trials : TrialList
        The trials.
    speakers : np.ndarray
        Number of the speaker of each utterance, [utterances].

    Returns
    -------
    numbers : np.ndarray
        int32, [utterances]; 0 where no trial uses the utterance.
    number : int
        How many speakers there are.

    Raises
    ------
    ValueError
        If utterances and speakers differ in number.
    """
    speakers = np.asarray(speakers)
    if speakers.shape != (len(trials.utterances),):
        raise ValueError(
            f"expected the speaker of each of {len(trials.utterances)} "
            f"utterances, got an array of shape {speakers.shape}"
        )
    used = np.unique(np.concatenate([trials.enrol, trials.test]))
    names, numbers = np.unique(speakers[used], return_inverse=True)
    renumbered = np.zeros(speakers.size, np.int32)
    renumbered[used] = numbers.reshape(-1)
    return renumbered, names.size


def draw_rates(
    rates: list[ResampledRate], number: int, draws: int, seed: int
) -> np.ndarray | None:
    """Rates where speakers are drawn with replacement, as many as there are.

    Arguments
    ---------
    rates : list[ResampledRate]
        Of systems, which all get the same draws.
    number : int
        How many speakers there are.
    draws : int
        At least 2.
    seed : int
        Of the draws.

    Returns
    -------
    np.ndarray | None
        [systems, draws], without those that left a class without a trial;
        None, with a warning, where there are fewer than 5 speakers.

    Raises
    ------
    ValueError
        If there are fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"expected at least 2 draws, got {draws}")
    if number < LEAST_SPEAKERS:
        logger.warning(
            "An interval over %d speakers says nothing: expected at least %d",
            *(number, LEAST_SPEAKERS),
        )
        return None
    rng = np.random.default_rng(seed)
    even = np.full(number, 1 / number)
    values = np.empty((len(rates), draws))
    for draw in range(draws):
        counts = rng.multinomial(number, even)
        values[:, draw] = [rate.value(counts) for rate in rates]
    return values[:, np.isfinite(values).all(0)]


def _check(
    scores: np.ndarray,
    trials: TrialList,
    speakers: np.ndarray,
    statistic: str,
) -> None:
    """Raises where the arguments do not fit, and says what was expected."""
    if statistic not in STATISTICS:
        raise ValueError(
            f"expected statistic to be one of {', '.join(STATISTICS)}, got "
            f"{statistic!r}"
        )
    broken = int((~np.isfinite(scores)).sum())
    if broken:
        raise ValueError(
            f"{broken} of {len(trials)} scores are NaN or infinite: look for "
            "broken embeddings before measuring errors"
        )
    if len(speakers) != len(trials.utterances):
        raise ValueError(
            f"expected the speaker of each of {len(trials.utterances)} "
            f"utterances, got {len(speakers)}"
        )


def _spread(scores: np.ndarray) -> np.ndarray:
    """Sorted scores, thinned out evenly by rank where they are many."""
    if scores.size > _LEVELS:
        kept = np.linspace(0, scores.size - 1, _LEVELS).astype(np.int64)
        scores = scores[kept]
    return np.append(np.unique(scores), scores.dtype.type(np.inf))


def _sums(weights: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, int]:
    """Weight of the trials below each level, and of all."""
    sums = np.concatenate([[0], np.cumsum(weights)])
    return sums[below], int(sums[-1])
