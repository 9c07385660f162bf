"""The convex hull of operating points."""

import numpy as np
from sklearn.isotonic import isotonic_regression


def lower_hull(missed: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """Finds the corners of the lower convex hull of operating points.

    Pooling adjacent violators makes the share of targets rise with the score;
    the ends of what is pooled are the corners (Fawcett & Niculescu-Mizil,
    "PAV and the ROC convex hull", Machine Learning 68, 2007).

    Arguments
    ---------
    missed : np.ndarray
        Target trials below each threshold, rising whole numbers, [points].
    alarms : np.ndarray
        Impostor trials at or above it, falling, [points].

    Returns
    -------
    np.ndarray
        Positions of the corners, the first and the last point among them.

    Example
    -------
    >>> lower_hull(np.array([0, 0, 1, 1, 2]), np.array([2, 1, 1, 0, 0]))
    array([0, 1, 3, 4])
    >>> lower_hull(np.array([0, 1, 1, 2, 2]), np.array([2, 2, 1, 1, 0]))
    array([0, 4])
    """
    # A corner has impostors alone or mixed below it and targets above it.
    corners = np.ones(missed.size, dtype=bool)
    corners[1:-1] = (alarms[1:-1] < alarms[:-2]) & (missed[2:] > missed[1:-1])
    kept = np.flatnonzero(corners)
    targets = np.diff(missed[kept]).astype(np.float64)
    trials = targets - np.diff(alarms[kept])
    shares = isotonic_regression(targets / trials, sample_weight=trials)
    ends = np.flatnonzero(np.diff(shares) > 0) + 1
    return kept[np.concatenate([[0], ends, [kept.size - 1]])]
