"""What an evaluation found, as numbers, files and a report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from speechbrain_kd.evaluation.metrics import eer_threshold, min_dcf
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList


@dataclass
class SystemResult:
    """Error rates of a system and, where measured, what it costs.

    Arguments
    ---------
    eer : float
        Equal error rate, 0 to 1.
    min_dcf : float
        Normalised minimum detection cost at a target prior of 0.01.
    min_dcf_05 : float
        The same at a target prior of 0.05.
    threshold : float
        Threshold at the EER: accept when ``score >= threshold``.
    target_trials : int
        Trials of one speaker.
    impostor_trials : int
        Trials of two speakers.
    params : int | None
        Parameters of the encoder.
    gmac : float | None
        1e9 multiply-adds from the features of 2 s of speech to the embedding.
    bytes : int | None
        Size of the float32 state as saved.
    ms_per_second : float | None
        Milliseconds for a second of speech, waveform to embedding, on one
        thread.

    Example
    -------
    >>> SystemResult(0.05, 0.4, 0.3, 0.5, 100, 900).to_dict()["eer"]
    0.05
    """

    eer: float
    min_dcf: float
    min_dcf_05: float
    threshold: float
    target_trials: int
    impostor_trials: int
    params: int | None = None
    gmac: float | None = None
    bytes: int | None = None
    ms_per_second: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """The result as a dictionary for JSON, unknown costs as None."""
        return asdict(self)


def score_system(
    ids: Sequence[str],
    embeddings: torch.Tensor | np.ndarray,
    trials: TrialList,
) -> tuple[np.ndarray, SystemResult]:
    """Scores a trial list with embeddings and measures the errors.

    Arguments
    ---------
    ids : Sequence[str]
        The utterance of each embedding, in any order; more than the trials
        name are allowed.
    embeddings : torch.Tensor | np.ndarray
        The embeddings, [utterances, dim].
    trials : TrialList
        The trials.

    Returns
    -------
    scores : np.ndarray
        float32 cosines, [trials].
    result : SystemResult
        The error rates, costs not yet filled in.

    Raises
    ------
    ValueError
        If an utterance of the trials has no embedding or a broken one, or all
        trials are of one class.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    >>> rows = torch.tensor([[0.0, 1], [1, 0], [1, 0.1]])
    >>> scores, result = score_system(["c", "a", "b"], rows, trials)
    >>> result.eer
    0.0
    """
    if len(ids) != len(embeddings):
        raise ValueError(
            f"expected an embedding for each of {len(ids)} ids, got "
            f"{len(embeddings)}"
        )
    position = {utterance: row for row, utterance in enumerate(ids)}
    missing = [name for name in trials.utterances if name not in position]
    if missing:
        raise ValueError(
            f"no embedding of {missing[0]!r}, which the trials name "
            f"({len(missing)} of {len(trials.utterances)} utterances lack one)"
        )
    rows = [position[name] for name in trials.utterances]
    scores = cosine_scores(embeddings[rows], trials)
    return scores, measure(*trials.split(scores))


def measure(
    target_scores: np.ndarray, impostor_scores: np.ndarray
) -> SystemResult:
    """Measures error rates from scores of any kind.

    Arguments
    ---------
    target_scores : np.ndarray
        Scores of the trials of one speaker.
    impostor_scores : np.ndarray
        Scores of the trials of two speakers.

    Returns
    -------
    SystemResult
        The error rates, costs not yet filled in.

    Example
    -------
    >>> measure([0.9, 0.8], [0.2, 0.1]).eer
    0.0
    """
    rate, threshold = eer_threshold(target_scores, impostor_scores)
    return SystemResult(
        eer=rate,
        min_dcf=min_dcf(target_scores, impostor_scores, p_target=0.01),
        min_dcf_05=min_dcf(target_scores, impostor_scores, p_target=0.05),
        threshold=threshold,
        target_trials=len(target_scores),
        impostor_trials=len(impostor_scores),
    )


def gap_closed(
    teacher_eer: float, baseline_eer: float, student_eer: float
) -> float | None:
    """Share of the way from baseline to teacher that the student has come.

    Arguments
    ---------
    teacher_eer : float
        Equal error rate of the teacher.
    baseline_eer : float
        That of the same student trained without a teacher.
    student_eer : float
        That of the distilled student.

    Returns
    -------
    float | None
        1 where the student is as good as the teacher, 0 where it is no better
        than the baseline, negative where it is worse; None where the baseline
        is no worse than the teacher and there is no gap.

    Example
    -------
    >>> gap_closed(0.25, 0.75, 0.5)
    0.5
    """
    gap = baseline_eer - teacher_eer
    return (baseline_eer - student_eer) / gap if gap > 0 else None
