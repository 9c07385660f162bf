"""Cosine scores of a whole trial list at once."""

import numpy as np
import torch

from speechbrain_kd.evaluation.trials import TrialList

# Most float32 numbers in a block of work: 64 MB.
BLOCK_SIZE = 2**24
# A matrix product does a pair this many times faster than a gathered row
# product does, so it may waste that many pairs that nobody asked for.
DENSE_ADVANTAGE = 16


def cosine_scores(
    embeddings: torch.Tensor | np.ndarray,
    trials: TrialList,
    test_embeddings: torch.Tensor | np.ndarray | None = None,
) -> np.ndarray:
    """Cosine of the two embeddings of every trial.

    A list that asks for a good part of all enrol and test pairs is scored as
    one matrix product over the distinct rows; a sparse list, as VoxCeleb's
    are, pair by pair. Both go in blocks, so that memory stays bounded
    whatever the length of the list.

    Arguments
    ---------
    embeddings : torch.Tensor | np.ndarray
        A row for each of ``trials.utterances``, in that order,
        [utterances, dim]; any length, they are normalised here.
    trials : TrialList
        The trials.
    test_embeddings : torch.Tensor | np.ndarray | None
        Where another model verifies than enrols: its rows, of all utterances
        too, [utterances, dim]. The two models must share a space.

    Returns
    -------
    np.ndarray
        float32 scores from -1 to 1, [trials].

    Raises
    ------
    ValueError
        If the rows do not fit the utterances or each other, or an embedding
        is zero, NaN or infinite.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    >>> cosine_scores(torch.tensor([[1.0, 0], [9, 0], [0, 2]]), trials)
    array([1., 0.], dtype=float32)
    """
    enrol_rows, test_rows = both_sides(embeddings, trials, test_embeddings)
    enrol, enrol_at = np.unique(trials.enrol, return_inverse=True)
    test, test_at = np.unique(trials.test, return_inverse=True)
    if enrol.size * test.size <= DENSE_ADVANTAGE * len(trials):
        scores = _dense_scores(
            enrol_rows[enrol], test_rows[test], enrol_at, test_at
        )
    else:
        scores = _sparse_scores(
            enrol_rows, test_rows, trials.enrol, trials.test
        )
    # Rounding can take the cosine of a vector with itself past one.
    return np.clip(scores, -1.0, 1.0)


def both_sides(
    embeddings: torch.Tensor | np.ndarray,
    trials: TrialList,
    test_embeddings: torch.Tensor | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Unit-norm rows of enrolment and of test, as `cosine_scores` has them.

    Arguments
    ---------
    embeddings : torch.Tensor | np.ndarray
        Rows of the model that enrols, [utterances, dim].
    trials : TrialList
        The trials.
    test_embeddings : torch.Tensor | np.ndarray | None
        Rows of the model that verifies, if it is another.

    Returns
    -------
    enrol_rows : np.ndarray
        float32, [utterances, dim].
    test_rows : np.ndarray
        The same array where one model does both. ValueError where the two
        differ in dimension.
    """
    enrol_rows = unit_rows(embeddings, trials.utterances)
    if test_embeddings is None:
        return enrol_rows, enrol_rows
    test_rows = unit_rows(test_embeddings, trials.utterances)
    if test_rows.shape != enrol_rows.shape:
        raise ValueError(
            f"the enrolment has {enrol_rows.shape[1]} dimensions and the test "
            f"{test_rows.shape[1]}: only models that share a space can enrol "
            "and verify for each other"
        )
    return enrol_rows, test_rows


def unit_rows(
    embeddings: torch.Tensor | np.ndarray, utterances: list[str]
) -> np.ndarray:
    """Scales rows to unit length, naming those that cannot be.

    Arguments
    ---------
    embeddings : torch.Tensor | np.ndarray
        A row for each utterance, [utterances, dim].
    utterances : list[str]
        Their names.

    Returns
    -------
    np.ndarray
        float32, [utterances, dim]. ValueError where a row is zero, NaN or
        infinite, or their number is wrong.

    Example
    -------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 1e30]]), ["a", "b"])
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    if isinstance(embeddings, torch.Tensor):
        embeddings = embeddings.detach().cpu().float().numpy()
    rows = np.asarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[0] != len(utterances):
        raise ValueError(
            f"expected embeddings [{len(utterances)}, dim], one for each "
            f"utterance of the trials, got shape {list(rows.shape)}"
        )
    # By the largest entry first: squares of large or tiny ones leave float32.
    peak = np.maximum(
        rows.max(axis=1, keepdims=True, initial=0.0),
        -rows.min(axis=1, keepdims=True, initial=0.0),
    )
    broken = np.flatnonzero(~np.isfinite(peak) | (peak == 0.0))
    if broken.size:
        first = broken[0]
        kind = "zero" if peak[first, 0] == 0.0 else "NaN or infinite"
        raise ValueError(
            f"the embedding of {utterances[first]!r} is {kind} ({broken.size} "
            f"of {len(utterances)} are broken): listen to the file and check "
            "the model"
        )
    rows = rows / peak
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _dense_scores(
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    enrol_at: np.ndarray,
    test_at: np.ndarray,
) -> np.ndarray:
    """Multiplies distinct enrol by distinct test rows, a band at a time."""
    scores = np.empty(enrol_at.size, dtype=np.float32)
    order = np.argsort(enrol_at, kind="stable")
    height = max(1, BLOCK_SIZE // max(1, test_rows.shape[0]))
    for top in range(0, enrol_rows.shape[0], height):
        band = enrol_rows[top : top + height] @ test_rows.T
        edges = np.searchsorted(enrol_at, [top, top + height], sorter=order)
        mine = order[edges[0] : edges[1]]
        scores[mine] = band[enrol_at[mine] - top, test_at[mine]]
    return scores


def _sparse_scores(
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    enrol: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Multiplies only the pairs that are asked for, a block at a time."""
    scores = np.empty(enrol.size, dtype=np.float32)
    length = max(1, BLOCK_SIZE // (2 * test_rows.shape[1]))
    for start in range(0, enrol.size, length):
        part = slice(start, start + length)
        scores[part] = np.einsum(
            "td,td->t", enrol_rows[enrol[part]], test_rows[test[part]]
        )
    return scores
