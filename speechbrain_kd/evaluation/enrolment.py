"""Several enrolment utterances: one embedding for each model."""

import numpy as np
import torch

from speechbrain_kd.evaluation.scoring import unit_rows
from speechbrain_kd.evaluation.trials import TrialList


def pool_enrolments(
    embeddings: torch.Tensor | np.ndarray, trials: TrialList
) -> np.ndarray:
    """Makes the rows that scoring needs of those that were embedded.

    The embedding of a model is the mean of the embeddings of its utterances,
    each scaled to unit length before, so that all weigh the same. A list
    without models gets its rows back.

    Arguments
    ---------
    embeddings : torch.Tensor | np.ndarray
        A row for each of ``trials.recordings``, in that order,
        [recordings, dim].
    trials : TrialList
        The trials, with their models.

    Returns
    -------
    np.ndarray
        A row for each of ``trials.utterances``, in that order, float32,
        [utterances, dim]. Utterances keep their length.

    Raises
    ------
    ValueError
        If the rows do not fit the recordings, one of a model is zero, NaN or
        infinite, or the utterances of a model cancel each other out.

    Example
    -------
    >>> trials = TrialList([1], [0], [1], ["s", "c"], {"s": ("a", "b")})
    >>> trials.recordings
    ['a', 'b', 'c']
    >>> pool_enrolments(torch.tensor([[2.0, 0], [0, 4], [3, 3]]), trials)
    array([[0.5, 0.5],
           [3. , 3. ]], dtype=float32)
    """
    if isinstance(embeddings, torch.Tensor):
        embeddings = embeddings.detach().cpu().float().numpy()
    rows = np.asarray(embeddings, dtype=np.float32)
    names = trials.recordings
    if rows.ndim != 2 or rows.shape[0] != len(names):
        raise ValueError(
            f"expected embeddings [{len(names)}, dim], one for each "
            f"recording of the trials, got shape {list(rows.shape)}"
        )
    if not trials.models:
        return rows
    place = {name: index for index, name in enumerate(names)}
    pooled = np.empty((len(trials.utterances), rows.shape[1]), np.float32)
    for index, name in enumerate(trials.utterances):
        if name in trials.models:
            pooled[index] = _mean(rows, place, name, trials.models[name])
        else:
            pooled[index] = rows[place[name]]
    return pooled


def _mean(
    rows: np.ndarray, place: dict[str, int], model: str, names: tuple[str, ...]
) -> np.ndarray:
    """Mean of the unit-norm rows of a model, [dim]."""
    own = unit_rows(rows[[place[name] for name in names]], list(names))
    mean = own.mean(axis=0)
    if np.linalg.norm(mean) < 1e-6:
        raise ValueError(
            f"the {len(names)} enrolment utterances of model {model!r} cancel "
            "each other out: check that they are of one speaker"
        )
    return mean
