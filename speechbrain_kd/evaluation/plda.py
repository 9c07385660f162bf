"""Probabilistic linear discriminant analysis, SpeechBrain's, for trial lists.

An embedding is taken for ``mean + F h + noise``: ``h`` is the speaker's, and
the noise, of full covariance, is the recording's. A score is the
log-likelihood ratio of one ``h`` for both embeddings and of two.

References
----------
Prince & Elder, "Probabilistic linear discriminant analysis for inferences
about identity", ICCV 2007. Garcia-Romero & Espy-Wilson, "Analysis of i-vector
length normalization in speaker recognition systems", Interspeech 2011.
"""

from collections.abc import Sequence

import numpy as np
import torch
from speechbrain.processing.PLDA_LDA import (
    PLDA,
    Ndx,
    StatObject_SB,
    fast_PLDA_scoring,
)

from speechbrain_kd.evaluation.cohort import centre
from speechbrain_kd.evaluation.scoring import both_sides, unit_rows
from speechbrain_kd.evaluation.trials import TrialList

# Trials scored at a time: their distinct rows make a matrix.
BLOCK_SIZE = 4096
_DEFAULT_RANK = 100


class PldaScorer:
    """PLDA on centred embeddings of unit length, in double precision.

    Arguments
    ---------
    rank : int | None
        Dimensions of the speaker space; by default 100, or as many as the
        embeddings and the training speakers allow.
    iterations : int
        Of expectation and maximisation.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> voices, speakers = rng.normal(size=(40, 4)), np.arange(400) % 40
    >>> rows = voices[speakers] + 0.3 * rng.normal(size=(400, 4))
    >>> plda = PldaScorer().fit(rows[:320], speakers[:320])
    >>> trials = TrialList([1, 0], [0, 0], [1, 2], ["a", "b", "c"])
    >>> one, other = plda.score(rows[[0, 40, 1]], trials)
    >>> bool(one > 0 > other)
    True
    """

    def __init__(self, rank: int | None = None, iterations: int = 10):
        if iterations < 1 or (rank is not None and rank < 1):
            raise ValueError(
                "expected a rank and a number of iterations of at least 1, "
                f"got {rank} and {iterations}"
            )
        self.rank = rank
        self.iterations = iterations
        self.mean: np.ndarray | None = None
        self.model: PLDA | None = None

    def fit(
        self, embeddings: torch.Tensor | np.ndarray, speakers: Sequence[str]
    ) -> "PldaScorer":
        """Trains on embeddings of known speakers, who are in no trial.

        SpeechBrain keeps a matrix [rank, rank] for each speaker: 0.5 GB for
        6,000 speakers at rank 100.

        Arguments
        ---------
        embeddings : torch.Tensor | np.ndarray
            Of any length, [utterances, dim], more than ``dim`` of them.
        speakers : Sequence[str]
            The speaker of each.

        Returns
        -------
        PldaScorer
            This one.

        Raises
        ------
        ValueError
            If there are too few utterances or speakers, no speaker has two
            utterances, the rank is too high, or an embedding is broken.
        """
        names = [f"an utterance of {speaker}" for speaker in speakers]
        rows = unit_rows(embeddings, names)
        models, number = np.unique(
            [str(speaker) for speaker in speakers], return_inverse=True
        )
        rank = self._checked_rank(rows, len(models))
        mean = rows.mean(axis=0)
        trained = PLDA(rank_f=rank, nb_iter=self.iterations)
        centred = _centred(rows, mean, names)
        trained.plda(_stat_object(centred, models[number].astype(object)))
        if not np.isfinite(trained.F).all():
            raise ValueError(
                f"PLDA of rank {rank} came to no finite solution on {len(rows)} "
                "embeddings: give more utterances or a lower rank"
            )
        self.mean, self.model = mean, trained
        return self

    def score(
        self,
        embeddings: torch.Tensor | np.ndarray,
        trials: TrialList,
        test_embeddings: torch.Tensor | np.ndarray | None = None,
    ) -> np.ndarray:
        """Log-likelihood ratios of trials, as the model has them.

        Arguments
        ---------
        embeddings : torch.Tensor | np.ndarray
            A row for each of ``trials.utterances``, [utterances, dim].
        trials : TrialList
            The trials.
        test_embeddings : torch.Tensor | np.ndarray | None
            As `cosine_scores` has it.

        Returns
        -------
        np.ndarray
            float32, [trials]. ValueError where rows do not fit the training,
            or nothing was trained.
        """
        if self.model is None:
            raise ValueError("PLDA has to be trained by `fit` before it scores")
        sides = both_sides(embeddings, trials, test_embeddings)
        dim = self.mean.size
        if sides[0].shape[1] != dim:
            raise ValueError(
                f"PLDA was trained on {dim} dimensions, got embeddings of "
                f"{sides[0].shape[1]}"
            )
        enrol, test = (
            _centred(side, self.mean, trials.utterances) for side in sides
        )
        scores = np.empty(len(trials), dtype=np.float32)
        order = np.argsort(trials.enrol, kind="stable")
        for start in range(0, order.size, BLOCK_SIZE):
            part = order[start : start + BLOCK_SIZE]
            scores[part] = self._block(
                enrol, test, trials.enrol[part], trials.test[part]
            )
        return scores

    def _block(
        self,
        enrol_rows: np.ndarray,
        test_rows: np.ndarray,
        enrol: np.ndarray,
        test: np.ndarray,
    ) -> np.ndarray:
        """Scores of some trials, from the matrix of their distinct rows."""
        models, model_at = np.unique(enrol, return_inverse=True)
        segments, segment_at = np.unique(test, return_inverse=True)
        everything = Ndx()
        everything.modelset, everything.segset = models, segments
        found = fast_PLDA_scoring(
            _stat_object(enrol_rows[models], models),
            _stat_object(test_rows[segments], segments),
            everything,
            *(self.model.mean, self.model.F, self.model.Sigma),
            # It would look for each name in a list of all.
            check_missing=False,
        )
        return found.scoremat[model_at, segment_at]

    def _checked_rank(self, rows: np.ndarray, speakers: int) -> int:
        """The rank to train with; raises where nothing could be trained."""
        count, dim = rows.shape
        if speakers < 2 or speakers == count:
            raise ValueError(
                "PLDA needs at least two speakers and several utterances of "
                f"some, got {count} utterances of {speakers} speakers"
            )
        if count <= dim:
            raise ValueError(
                f"PLDA of {dim} dimensions needs more than {dim} utterances, "
                f"got {count}: the noise within speakers has no inverse"
            )
        most = min(dim, speakers - 1)
        if self.rank is not None and self.rank > most:
            raise ValueError(
                f"rank {self.rank} is above {most}, the most that {dim} "
                f"dimensions and {speakers} speakers allow"
            )
        return self.rank or min(_DEFAULT_RANK, most)


def _centred(
    rows: np.ndarray, mean: np.ndarray, names: list[str]
) -> np.ndarray:
    """Less the mean and of unit length again, float64, [utterances, dim]."""
    return unit_rows(centre(rows, mean), names).astype(np.float64)


def _stat_object(rows: np.ndarray, models: np.ndarray) -> StatObject_SB:
    """Rows as SpeechBrain's PLDA takes them, each of a model."""
    return StatObject_SB(
        modelset=models,
        segset=np.arange(len(rows)),
        start=np.full(len(rows), None),
        stop=np.full(len(rows), None),
        stat0=np.ones((len(rows), 1)),
        stat1=rows,
    )
