"""What else tells how far a score can be trusted: speech and magnitude."""

from collections.abc import Mapping

import numpy as np

from speechbrain_kd.evaluation.trials import TrialList

#: Measures of how far a score can be trusted, and the two numbers of each.
QUALITIES = {
    "duration": ("log shorter duration", "log longer duration"),
    "magnitude": ("log smaller norm", "log larger norm"),
}


def duration_quality(enrol_s: np.ndarray, test_s: np.ndarray) -> np.ndarray:
    """Logarithms of the shorter and of the longer duration of each trial.

    Arguments
    ---------
    enrol_s : np.ndarray
        Seconds of the enrolment utterance, [trials].
    test_s : np.ndarray
        Seconds of the test utterance, [trials].

    Returns
    -------
    np.ndarray
        float64, [trials, 2].

    Raises
    ------
    ValueError
        If a duration is not positive and finite, or shapes differ.

    Example
    -------
    >>> duration_quality([np.e, 1.0], [1.0, 1.0]).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return _logs(enrol_s, test_s, "durations in seconds")


def magnitude_quality(
    enrol_norms: np.ndarray, test_norms: np.ndarray
) -> np.ndarray:
    """Logarithms of the smaller and of the larger norm of each trial.

    Arguments
    ---------
    enrol_norms : np.ndarray
        Norm of the raw enrolment embedding, [trials].
    test_norms : np.ndarray
        Norm of the raw test embedding, [trials].

    Returns
    -------
    np.ndarray
        float64, [trials, 2].

    Raises
    ------
    ValueError
        If a norm is not positive and finite, or shapes differ.

    Example
    -------
    >>> one, two = np.array([2.0, 3.0]), np.array([3.0, 2.0])
    >>> bool((magnitude_quality(one, two) == magnitude_quality(two, one)).all())
    True
    """
    return _logs(enrol_norms, test_norms, "norms of embeddings")


#: What makes the two numbers of a trial of the values of its sides.
_MEASURES = {"duration": duration_quality, "magnitude": magnitude_quality}


def trial_quality(
    values: Mapping[str, np.ndarray], trials: TrialList
) -> np.ndarray | None:
    """Quality measures of every trial, side by side.

    Arguments
    ---------
    values : Mapping[str, np.ndarray]
        By key of ``QUALITIES``, durations in seconds or norms of the raw
        embeddings, [utterances] each.
    trials : TrialList
        The trials.

    Returns
    -------
    np.ndarray | None
        float64, [trials, measures]; None without any.
    """
    parts = [
        _MEASURES[kind](each[trials.enrol], each[trials.test])
        for kind, each in values.items()
    ]
    return np.concatenate(parts, axis=1) if parts else None


def _logs(one: np.ndarray, two: np.ndarray, what: str) -> np.ndarray:
    """Logarithms of the smaller and the larger of two."""
    one, two = (np.asarray(x, dtype=np.float64) for x in (one, two))
    if one.ndim != 1 or one.shape != two.shape:
        raise ValueError(
            f"expected two arrays [trials] of {what}, got shapes "
            f"{list(one.shape)} and {list(two.shape)}"
        )
    both = np.sort(np.stack([one, two], axis=1), axis=1)
    if not ((both > 0) & np.isfinite(both)).all():
        raise ValueError(f"expected {what} above 0, got {both.min()}")
    return np.log(both)
