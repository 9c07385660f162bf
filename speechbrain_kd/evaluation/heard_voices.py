"""Which utterances without labels are of one voice, by a model's ear."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from speechbrain_kd.evaluation.linkage import linked
from speechbrain_kd.evaluation.unit_rows import group_sums, rows_of_speakers

#: Thresholds that are tried.
_TRIED = np.arange(0.20, 0.96, 0.01)

#: Utterances of which a matrix of all pairs is made to try them.
_MOST = 4000

_BLOCK = 4096  # utterances compared at once

_LEAST_SPEAKERS = 10

#: A model that agrees less with the labels of speakers is no judge.
_LEAST_AGREEMENT = 0.5

NO_VOICE = -1
"""Of an utterance that is like too few others."""


def clearest_threshold(
    embeddings: torch.Tensor, speakers: Sequence[str]
) -> tuple[float, float]:
    """The cosine at which average linkage agrees best with known speakers.

    Arguments
    ---------
    embeddings : torch.Tensor
        Of labelled utterances, shape [utterances, dim].
    speakers : Sequence[str]
        Whose each is. Of more than 4,000 utterances some speakers, evenly
        over their names, are looked at.

    Returns
    -------
    tuple[float, float]
        The threshold, a hundredth, the middle one where several are best;
        and how well groups and speakers agree there (the adjusted Rand
        index: 1 is the same partition, 0 what chance would give).

    Raises
    ------
    ValueError
        If there is not a speaker for each embedding, fewer than ten speakers
        have two utterances, or they agree by less than 0.5.

    Reference
    ---------
    Hubert and Arabie, "Comparing partitions", Journal of Classification 2,
    1985.

    Example
    -------
    >>> voices = torch.eye(10).repeat(2, 1)
    >>> clearest_threshold(voices, [*"abcdefghij"] * 2)
    (0.58, 1.0)
    """
    unit, index, names = rows_of_speakers(
        "clearest_threshold", embeddings, speakers
    )
    often = int((np.bincount(index) > 1).sum())
    if often < _LEAST_SPEAKERS:
        raise ValueError(
            f"{often} speakers have two utterances, and it takes "
            f"{_LEAST_SPEAKERS} to find how alike one voice is to itself: "
            "give a threshold"
        )
    step = -(-len(index) // _MOST)
    if step > 1:
        rows = np.flatnonzero(np.isin(index, np.arange(0, len(names), step)))
        unit, index = unit[rows[:_MOST]], index[rows[:_MOST]]
    tree = linkage(unit, "average", "cosine")
    with warnings.catch_warnings():
        # Of many groups: it takes their numbers for something else.
        warnings.simplefilter("ignore", UserWarning)
        agreements = np.array(
            [
                adjusted_rand_score(
                    index, fcluster(tree, 1 - tried + 1e-9, "distance")
                )
                for tried in _TRIED
            ]
        )
    best = np.flatnonzero(agreements >= agreements.max() - 1e-9)
    place = best[len(best) // 2]
    threshold, agreement = _TRIED[place], agreements[place]
    if agreement < _LEAST_AGREEMENT:
        raise ValueError(
            "groups of like utterances agree with the labelled speakers by "
            f"{agreement:.2f} at best (adjusted Rand index; expected at least "
            f"{_LEAST_AGREEMENT}): this model does not tell these voices apart"
        )
    return round(float(threshold), 2), float(agreement)


def voices_of(unit: np.ndarray, threshold: float, least: int) -> np.ndarray:
    """Numbers the voices among utterances.

    Arguments
    ---------
    unit : np.ndarray
        Embeddings at norm 1, shape [utterances, dim].
    threshold : float
        What the mean cosine between two parts of a voice has to reach.
    least : int
        Utterances of a voice; what has fewer gets no number.

    Returns
    -------
    np.ndarray
        [utterances], in the order of the voices' first utterances;
        ``NO_VOICE`` for the others.

    Raises
    ------
    ValueError
        As ``linked``.

    Example
    -------
    >>> voices_of(np.eye(3)[[2, 0, 1, 0, 2, 0]], 0.5, least=2).tolist()
    [0, 1, -1, 1, 0, 1]
    """
    groups = [group for group in linked(unit, threshold) if len(group) >= least]
    numbers = np.full(len(unit), NO_VOICE)
    for number, group in enumerate(sorted(groups)):
        numbers[group] = number
    return numbers


def group_means(unit: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Means of utterances by group, of a norm below 1.

    The product of two of them is the mean cosine of one's utterances to the
    other's, over all pairs.

    Arguments
    ---------
    unit : np.ndarray
        Embeddings at norm 1, shape [utterances, dim].
    groups : np.ndarray
        Of each its number, from 0; below 0 it is in none.

    Returns
    -------
    np.ndarray
        [groups, dim].

    Example
    -------
    >>> group_means(np.eye(2), np.array([0, 0])).tolist()
    [[0.5, 0.5]]
    """
    count = int(groups.max(initial=-1)) + 1
    within = groups >= 0
    sizes = np.bincount(groups[within], minlength=count)
    sums = group_sums(unit[within], groups[within], count)
    return sums / np.maximum(sizes, 1)[:, None]


def most_alike(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How alike each row is to the one of others that it is most like.

    Arguments
    ---------
    rows : np.ndarray
        Utterances at norm 1, or means of them, shape [rows, dim].
    others : np.ndarray
        Likewise, at least one.

    Returns
    -------
    np.ndarray
        The greatest product of each, [rows].

    Example
    -------
    >>> most_alike(np.eye(2), np.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
    [0.5, 1.0]
    """
    blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
    return np.concatenate([(one @ others.T).max(axis=1) for one in blocks])
