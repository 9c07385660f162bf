"""Which utterances without labels are of one voice, by a model's ear."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import normalize

from speechbrain_kd.evaluation.linkage import linked

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
    _check("clearest_threshold", embeddings, speakers)
    names, index = np.unique(np.array(speakers), return_inverse=True)
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
        embeddings, index = embeddings[rows[:_MOST]], index[rows[:_MOST]]
    tree = linkage(_unit(embeddings), "average", "cosine")
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


def voices_of(
    embeddings: torch.Tensor, threshold: float, least: int
) -> np.ndarray:
    """Numbers the voices among utterances.

    Arguments
    ---------
    embeddings : torch.Tensor
        Shape [utterances, dim].
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
    >>> voices_of(torch.eye(3)[[2, 0, 1, 0, 2, 0]], 0.5, least=2).tolist()
    [0, 1, -1, 1, 0, 1]
    """
    groups = [
        group
        for group in linked(_unit(embeddings), threshold)
        if len(group) >= least
    ]
    numbers = np.full(len(embeddings), NO_VOICE)
    for number, group in enumerate(sorted(groups)):
        numbers[group] = number
    return numbers


def mean_cosines(
    embeddings: torch.Tensor,
    groups: np.ndarray,
    others: torch.Tensor,
    other_groups: np.ndarray,
) -> np.ndarray:
    """How alike groups of utterances are to others: the mean of all pairs.

    Arguments
    ---------
    embeddings : torch.Tensor
        Shape [utterances, dim].
    groups : np.ndarray
        Of each its number, from 0; below 0 it is in none.
    others : torch.Tensor
        Shape [other utterances, dim].
    other_groups : np.ndarray
        Likewise.

    Returns
    -------
    np.ndarray
        Cosines, [groups, other groups].

    Example
    -------
    >>> one, other = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> mean_cosines(one, np.array([0, 1]), other, np.array([0, 0])).tolist()
    [[0.5], [0.5]]
    """
    return _means(embeddings, groups) @ _means(others, other_groups).T


def most_alike(
    embeddings: torch.Tensor, others: torch.Tensor, other_groups: np.ndarray
) -> np.ndarray:
    """How alike each utterance is to the group of others it is most like.

    Arguments
    ---------
    embeddings : torch.Tensor
        Shape [utterances, dim].
    others : torch.Tensor
        Shape [other utterances, dim].
    other_groups : np.ndarray
        Of each of these its number, from 0.

    Returns
    -------
    np.ndarray
        Mean cosines, [utterances].

    Example
    -------
    >>> others, groups = torch.eye(2)[[0, 1, 1]], np.array([0, 0, 1])
    >>> most_alike(torch.eye(2), others, groups).tolist()
    [0.5, 1.0]
    """
    means = _means(others, other_groups).T
    blocks = np.array_split(_unit(embeddings), -(-len(embeddings) // _BLOCK))
    return np.concatenate([(one @ means).max(axis=1) for one in blocks])


def _means(embeddings: torch.Tensor, groups: np.ndarray) -> np.ndarray:
    """Means of unit rows by group, of a norm below 1."""
    unit = _unit(embeddings)
    count = int(groups.max(initial=-1)) + 1
    sums = np.zeros((count, unit.shape[1]))
    within = groups >= 0
    np.add.at(sums, groups[within], unit[within])
    sizes = np.bincount(groups[within], minlength=count)
    return sums / np.maximum(sizes, 1)[:, None]


def _unit(embeddings: torch.Tensor) -> np.ndarray:
    return normalize(embeddings.detach().double(), dim=-1).numpy()


def _check(
    what: str, embeddings: torch.Tensor, speakers: Sequence[str]
) -> None:
    if embeddings.ndim != 2 or len(embeddings) != len(speakers):
        raise ValueError(
            f"{what}: expected embeddings [utterances, dim] and as many "
            f"speakers; got {list(embeddings.shape)} and {len(speakers)}"
        )
