"""Scores made comparable: mean subtraction and cohort normalisation.

An utterance that is like everybody (noise, a short cut, a common voice) has
high scores with all, and one threshold does not suit it. A cohort of speakers
that are in no trial shows how high: the scores of an utterance against the
cohort give it a mean and a deviation of its own.

References
----------
Auckenthaler et al., "Score normalization for text-independent speaker
verification systems", Digital Signal Processing 2000 (z- and t-norm).
Kenny, "Bayesian speaker verification with heavy-tailed priors", Odyssey 2010
(s-norm). Matějka et al., "Analysis of score normalization in multilingual
speaker recognition", Interspeech 2017 (adaptive s-norm).
"""

import numpy as np
import torch

from speechbrain_kd.evaluation.cohort import Cohort, centre, warn_of_known
from speechbrain_kd.evaluation.scoring import both_sides
from speechbrain_kd.evaluation.trials import TrialList

__all__ = ["KINDS", "Cohort", "centre", "normalise"]

KINDS = ("z", "t", "s", "as")

# Most float32 numbers in a block of work: 16 MB.
BLOCK_SIZE = 2**22
# Scores of a cohort nearer to each other than float32 can tell.
_LEAST_DEVIATION = 1e-6


def normalise(
    scores: np.ndarray,
    embeddings: torch.Tensor | np.ndarray,
    trials: TrialList,
    cohort: Cohort,
    kind: str = "as",
    top_k: int = 300,
    test_embeddings: torch.Tensor | np.ndarray | None = None,
    test_cohort: Cohort | None = None,
) -> np.ndarray:
    """Normalises cosine scores by those against a cohort.

    From a score its mean against the cohort is subtracted and the result
    divided by its standard deviation: by those of the enrolment (``"z"``), of
    the test (``"t"``), or the mean of both results (``"s"``). ``"as"`` is
    ``"s"`` with only the ``top_k`` cohort speakers that are most like the
    enrolment for the one, and most like the test for the other: adaptive
    s-norm 1 of Matějka et al., and ``score_norm: s-norm`` with
    ``cohort_size`` of SpeechBrain's VoxCeleb recipe.

    Each utterance is compared with the cohort once, in blocks.

    Arguments
    ---------
    scores : np.ndarray
        Cosine scores, [trials].
    embeddings : torch.Tensor | np.ndarray
        What the scores were made of, [utterances, dim].
    trials : TrialList
        The trials.
    cohort : Cohort
        Speakers that are in no trial.
    kind : str
        ``"z"``, ``"t"``, ``"s"`` or ``"as"``.
    top_k : int
        Cohort speakers of ``"as"``; others take all.
    test_embeddings : torch.Tensor | np.ndarray | None
        As `cosine_scores` has it.
    test_cohort : Cohort | None
        Where another model verifies than enrols: the cohort as the one that
        enrols embeds it, which the tests are compared with; ``cohort`` is then
        as the one that verifies embeds it, for the enrolments.

    Returns
    -------
    np.ndarray
        float32 scores, [trials].

    Raises
    ------
    ValueError
        If the kind is unknown, ``top_k`` is below 2 or above the number of
        cohort speakers, shapes do not fit, or the cohort has one score only
        with an utterance.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> rows, others = rng.normal(size=(3, 8)), rng.normal(size=(50, 8))
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    >>> one = normalise([0.5, 0.1], rows, trials, Cohort(others), "z")
    >>> two = normalise([0.6, 0.2], rows, trials, Cohort(others), "z")
    >>> bool(np.ptp(two - one) < 1e-6)
    True
    """
    scores = np.asarray(scores, dtype=np.float32)
    for one in filter(None, (cohort, test_cohort)):
        _check_arguments(scores, trials, one, kind, top_k)
    rows = both_sides(embeddings, trials, test_embeddings)
    cohorts = [cohort, cohort if test_cohort is None else test_cohort]
    others = [one.unit() for one in cohorts]
    for one in others:
        if one.shape[1] != rows[0].shape[1]:
            raise ValueError(
                f"the cohort has {one.shape[1]} dimensions and the trials "
                f"{rows[0].shape[1]}: embed both by one model"
            )
    warn_of_known(trials, cohort)
    sides = {"z": [0], "t": [1]}.get(kind, [0, 1])
    index = [trials.enrol, trials.test]
    shared = rows[0] is rows[1] and test_cohort is None
    total, facts = np.zeros_like(scores), None
    for side in sides:
        if facts is None or not shared:
            wanted = [index[s] for s in sides] if shared else [index[side]]
            used = np.unique(np.concatenate(wanted))
            k = top_k if kind == "as" else len(others[side])
            facts = _statistics(
                rows[side], used, others[side], k, trials.utterances
            )
        mean, deviation = facts[:, index[side]]
        total += (scores - mean) / deviation
    return total / len(sides)


def _statistics(
    rows: np.ndarray,
    used: np.ndarray,
    others: np.ndarray,
    k: int,
    utterances: list[str],
) -> np.ndarray:
    """Mean and deviation of the k highest cohort scores, [2, utterances].

    Only of the ``used`` ones; of others there is NaN.
    """
    facts = np.full((2, rows.shape[0]), np.nan, dtype=np.float32)
    height = max(1, BLOCK_SIZE // others.shape[0])
    # One for all blocks, so that the system need not clear memory for each.
    block = np.empty((min(height, used.size), others.shape[0]), np.float32)
    for start in range(0, used.size, height):
        part = used[start : start + height]
        scores = block[: part.size]
        np.matmul(rows[part], others.T, out=scores)
        if k < others.shape[0]:
            scores.partition(others.shape[0] - k, axis=1)
        highest = scores[:, others.shape[0] - k :]
        mean = highest.mean(axis=1)
        highest -= mean[:, None]
        # Of a sample, as torch.std of SpeechBrain's recipe has it.
        squares = np.einsum("uk,uk->u", highest, highest)
        facts[:, part] = mean, np.sqrt(squares / (k - 1))
    flat = used[facts[1, used] < _LEAST_DEVIATION]
    if flat.size:
        raise ValueError(
            f"{utterances[flat[0]]!r} has one and the same score with "
            f"{k} cohort speakers ({flat.size} of {used.size} utterances): is "
            "the cohort one speaker over and over?"
        )
    return facts


def _check_arguments(
    scores: np.ndarray, trials: TrialList, cohort: Cohort, kind: str, top_k: int
) -> None:
    """Raises where nothing sensible could be computed."""
    if kind not in KINDS:
        raise ValueError(
            f"expected a kind of normalisation of {', '.join(KINDS)}, got "
            f"{kind!r}"
        )
    if scores.shape != (len(trials),):
        raise ValueError(
            f"expected one score for each of {len(trials)} trials, got scores "
            f"of shape {list(scores.shape)}"
        )
    if len(cohort) < 2:
        raise ValueError("a cohort needs two speakers for a deviation, got one")
    if kind == "as" and not 2 <= top_k <= len(cohort):
        raise ValueError(
            f"top_k must be from 2 to the number of cohort speakers, which is "
            f"{len(cohort)}, got {top_k}"
        )
