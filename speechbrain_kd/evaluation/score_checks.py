"""Scores and costs as the metrics take them, or an error that says why not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:  # error rates need no torch
    import torch

Scores: TypeAlias = "np.ndarray | torch.Tensor | Sequence[float]"


def check_costs(
    p_target: float, c_miss: float, c_fa: float
) -> tuple[float, float]:
    """Weights of a miss and a false alarm in a detection cost.

    Arguments
    ---------
    p_target : float
        Prior probability of a target trial, between 0 and 1.
    c_miss : float
        Cost of a miss, above 0.
    c_fa : float
        Cost of a false alarm, above 0.

    Returns
    -------
    tuple[float, float]
        ``c_miss * p_target`` and ``c_fa * (1 - p_target)``.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Example
    -------
    >>> check_costs(0.25, 1.0, 2.0)
    (0.25, 1.5)
    """
    if not 0.0 < p_target < 1.0:
        raise ValueError(f"p_target must be between 0 and 1, got {p_target}")
    # Written so that NaN fails too.
    if not (0.0 < c_miss < np.inf and 0.0 < c_fa < np.inf):
        raise ValueError(
            f"costs must be positive, got c_miss={c_miss}, c_fa={c_fa}"
        )
    return c_miss * p_target, c_fa * (1.0 - p_target)


def as_scores(scores: Scores, name: str) -> np.ndarray:
    """Makes a flat array of scores that can be sorted.

    Arguments
    ---------
    scores : np.ndarray | torch.Tensor | Sequence[float]
        Scores of one class, of any shape.
    name : str
        Of the class, for messages.

    Returns
    -------
    np.ndarray
        float32 where the scores are no finer, else float64.

    Raises
    ------
    ValueError
        If there is none, or one is not finite.

    Example
    -------
    >>> as_scores([1, 2], "target")
    array([1., 2.])
    """
    if hasattr(scores, "detach"):  # a tensor
        scores = scores.detach().cpu()
        if scores.element_size() == 2:  # numpy has no bfloat16
            scores = scores.float()
        scores = scores.numpy()
    scores = np.asarray(scores).ravel()
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
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
