"""Embeddings as rows of norm 1, and their sums over speakers or groups."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import normalize


def unit_rows(embeddings: torch.Tensor) -> np.ndarray:
    """Embeddings at norm 1.

    Arguments
    ---------
    embeddings : torch.Tensor
        Shape [utterances, dim].

    Returns
    -------
    np.ndarray
        fp64, of the same shape.

    Example
    -------
    >>> unit_rows(torch.tensor([[3.0, 4.0]])).round(3).tolist()
    [[0.6, 0.8]]
    """
    return normalize(embeddings.detach().double(), dim=-1).numpy()


def rows_of_speakers(
    what: str, embeddings: torch.Tensor, speakers: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of speakers, in numbers.

    Arguments
    ---------
    what : str
        Who asks, for the message.
    embeddings : torch.Tensor
        Shape [utterances, dim].
    speakers : Sequence[str]
        Whose each is.

    Returns
    -------
    tuple[np.ndarray, np.ndarray, np.ndarray]
        The rows at norm 1; of each the place of its speaker; the speakers'
        names, sorted. ValueError where there is not a speaker for each.

    Example
    -------
    >>> _, index, names = rows_of_speakers("it", torch.eye(3), ["b", "a", "b"])
    >>> index.tolist(), names.tolist()
    ([1, 0, 1], ['a', 'b'])
    """
    if embeddings.ndim != 2 or len(embeddings) != len(speakers):
        raise ValueError(
            f"{what}: expected embeddings [utterances, dim] and as many "
            f"speakers; got {list(embeddings.shape)} and {len(speakers)}"
        )
    names, index = np.unique(np.array(speakers), return_inverse=True)
    return unit_rows(embeddings), index, names


def group_sums(unit: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Sums of rows by group.

    Arguments
    ---------
    unit : np.ndarray
        Shape [rows, dim].
    groups : np.ndarray
        Of each row the number of its group, from 0.
    count : int
        How many groups there are.

    Returns
    -------
    np.ndarray
        [groups, dim]; zeros for one without rows.

    Example
    -------
    >>> group_sums(np.eye(2), np.array([1, 1]), 2).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    sums = np.zeros((count, unit.shape[1]))
    np.add.at(sums, groups, unit)
    return sums
