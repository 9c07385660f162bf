"""How often an interval holds the truth, in corpora whose truth is known."""

import numpy as np
from scipy.stats import norm

from speechbrain_kd.evaluation.certainty import (
    paired_difference,
    speaker_bootstrap,
)
from speechbrain_kd.evaluation.trials import TrialList

SPEAKERS = 60

_TARGETS = 20  # target trials of a speaker
_SHARED = 0.5  # of the spread of a trial, what two like systems share

#: Mean of the target scores; deviation by speaker of target and of impostor
#: scores; deviation of a trial; impostor trials of a pair of speakers.
KINDS = {
    "speakers differ": (4.0, 0.6, 0.3, 0.8, 2),
    "few errors": (5.5, 0.8, 0.4, 0.8, 2),
    "many errors": (3.0, 0.6, 0.3, 0.8, 10),
}


def make_corpus(
    kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, TrialList]:
    """Draws speakers, and the scores of two equally good systems.

    A target score is its mean, what is peculiar to the speaker and what is to
    the trial; an impostor score what is peculiar to both speakers and to the
    trial; all normal. Both systems share the speakers and half of the rest.

    Arguments
    ---------
    kind : str
        One of ``KINDS``.
    rng : np.random.Generator
        Where chance comes from.

    Returns
    -------
    scores_a : np.ndarray
        Of the first system, [trials].
    scores_b : np.ndarray
        Of the second.
    trials : TrialList
        One utterance a speaker stands for all of them.
    """
    mean, target_dev, impostor_dev, trial_dev, each = KINDS[kind]
    own = target_dev * rng.standard_normal(SPEAKERS)
    other = impostor_dev * rng.standard_normal(SPEAKERS)
    speaker = np.repeat(np.arange(SPEAKERS), _TARGETS)
    one, two = (np.repeat(x, each) for x in np.triu_indices(SPEAKERS, 1))
    means = np.concatenate([mean + own[speaker], other[one] + other[two]])
    shared, *apart = trial_dev * rng.standard_normal((3, means.size))
    scores = [
        means + np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * x
        for x in apart
    ]
    labels = np.repeat([True, False], [speaker.size, one.size])
    names = [f"s{number}" for number in range(SPEAKERS)]
    ends = np.concatenate([speaker, one]), np.concatenate([speaker, two])
    return *scores, TrialList(labels, *ends, names)


def truth(kind: str, statistic: str, p_target: float) -> float:
    """The rate of all speakers that there could be.

    Arguments
    ---------
    kind : str
        One of ``KINDS``.
    statistic : str
        ``"eer"`` or ``"min_dcf"``.
    p_target : float
        For ``"min_dcf"``.

    Returns
    -------
    float
        Of the two normal distributions that all scores have together.
    """
    mean, target_dev, impostor_dev, trial_dev, _ = KINDS[kind]
    target = np.hypot(target_dev, trial_dev)
    impostor = np.hypot(np.sqrt(2) * impostor_dev, trial_dev)
    if statistic == "eer":
        return float(norm.cdf(-mean / (target + impostor)))
    threshold = np.linspace(-5 * impostor, mean + 5 * target, 100_000)
    cost = p_target * norm.cdf((threshold - mean) / target)
    cost += (1 - p_target) * norm.sf(threshold / impostor)
    return float(cost.min() / min(p_target, 1 - p_target))


def coverage(
    kind: str,
    statistic: str = "eer",
    p_target: float = 0.01,
    corpora: int = 500,
    draws: int = 200,
) -> dict[str, float]:
    """Makes intervals of many corpora and counts those that hold the truth.

    Arguments
    ---------
    kind : str
        One of ``KINDS``.
    statistic : str
        ``"eer"`` or ``"min_dcf"``.
    p_target : float
        For ``"min_dcf"``.
    corpora : int
        How many.
    draws : int
        Of each bootstrap.

    Returns
    -------
    dict[str, float]
        ``truth``; ``held``, ``above`` and ``below``: shares of the intervals
        that hold it and that lie beside it; ``width``: their mean; ``false``:
        share of the tests that find equally good systems to differ.
    """
    rng = np.random.default_rng(1986)
    rate = truth(kind, statistic, p_target)
    given = statistic, p_target, draws
    found = []
    for seed in range(corpora):
        scores_a, scores_b, trials = make_corpus(kind, rng)
        who = np.arange(SPEAKERS)
        interval = speaker_bootstrap(scores_a, trials, who, *given, seed=seed)
        test = paired_difference(
            scores_a, scores_b, trials, who, *given, seed=seed
        )
        above, below = interval.low > rate, interval.high < rate
        width = interval.high - interval.low
        found.append([not (above or below), above, below, width])
        found[-1].append(test.significant)
    names = ("held", "above", "below", "width", "false")
    means = np.mean(found, axis=0).tolist()
    return {"truth": rate, **dict(zip(names, means, strict=True))}
