"""The cohort of score normalisation, and the mean of embeddings."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from speechbrain_kd.evaluation.scoring import unit_rows
from speechbrain_kd.evaluation.trials import TrialList

logger = logging.getLogger(__name__)


def centre(
    embeddings: torch.Tensor | np.ndarray, mean: torch.Tensor | np.ndarray
) -> np.ndarray:
    """Subtracts a mean from embeddings that were scaled to unit length.

    What all embeddings have in common, a cosine takes for likeness. A cohort
    that is scored with centred embeddings must be centred too, by
    `Cohort.centred`.

    Arguments
    ---------
    embeddings : torch.Tensor | np.ndarray
        Of any length, [utterances, dim].
    mean : torch.Tensor | np.ndarray
        Mean of unit-norm embeddings of other speakers, such as
        `Cohort.mean`, [dim].

    Returns
    -------
    np.ndarray
        float32, [utterances, dim], no more of unit length. ValueError where
        the mean does not fit or is not finite, or an embedding is broken.

    Example
    -------
    >>> centre(np.array([[0.0, 3.0], [4.0, 0.0]]), np.array([0.0, 0.5]))
    array([[ 0. ,  0.5],
           [ 1. , -0.5]], dtype=float32)
    """
    names = [f"row {number}" for number in range(len(embeddings))]
    rows = unit_rows(embeddings, names)
    mean = np.asarray(mean, dtype=np.float32)
    if mean.shape != rows.shape[1:] or not np.isfinite(mean).all():
        raise ValueError(
            f"expected a finite mean [{rows.shape[1]}], one number for each "
            f"dimension, got shape {list(mean.shape)}"
        )
    rows -= mean
    return rows


@dataclass(eq=False)
class Cohort:
    """Speakers that are in no trial, each as one embedding.

    Arguments
    ---------
    embeddings : np.ndarray
        A row for each speaker, [speakers, dim].
    speakers : Sequence[str]
        Their names, so that one who is in the trials is noticed; empty where
        they are not known.

    Example
    -------
    >>> rows = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> cohort = Cohort.from_utterances(rows, ["s1", "s1", "s2"])
    >>> cohort.embeddings
    array([[0.5, 0.5],
           [1. , 0. ]], dtype=float32)
    >>> cohort.speakers
    ['s1', 's2']
    """

    embeddings: np.ndarray
    speakers: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Checks that rows are sound and fit the names."""
        if isinstance(self.embeddings, torch.Tensor):
            self.embeddings = self.embeddings.detach().cpu().float().numpy()
        self.embeddings = np.asarray(self.embeddings, dtype=np.float32)
        self.unit()

    @classmethod
    def from_utterances(
        cls, embeddings: torch.Tensor | np.ndarray, speakers: Sequence[str]
    ) -> "Cohort":
        """Makes a cohort of the speakers of some utterances.

        Arguments
        ---------
        embeddings : torch.Tensor | np.ndarray
            Of any length, [utterances, dim].
        speakers : Sequence[str]
            The speaker of each utterance.

        Returns
        -------
        Cohort
            The mean of the unit-norm rows of each speaker, in order of their
            names.
        """
        owners = [f"an utterance of {speaker}" for speaker in speakers]
        rows = unit_rows(embeddings, owners)
        names, number = np.unique(
            [str(speaker) for speaker in speakers], return_inverse=True
        )
        order = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[order], np.arange(names.size))
        sums = np.add.reduceat(rows[order], starts, axis=0)
        counts = np.diff(np.append(starts, number.size))
        return cls(sums / counts[:, None].astype(np.float32), names.tolist())

    def __len__(self) -> int:
        """Number of speakers."""
        return self.embeddings.shape[0]

    @property
    def mean(self) -> np.ndarray:
        """Mean of the speakers, for `centre`, [dim]."""
        return self.embeddings.mean(axis=0)

    def centred(self, mean: np.ndarray) -> "Cohort":
        """The same speakers with a mean subtracted from each."""
        rows = self.embeddings - np.asarray(mean, dtype=np.float32)
        return Cohort(rows, self.speakers)

    def unit(self) -> np.ndarray:
        """The speakers at unit length, [speakers, dim]."""
        numbers = [f"cohort speaker {n}" for n in range(len(self.embeddings))]
        return unit_rows(self.embeddings, list(self.speakers) or numbers)


def warn_of_known(trials: TrialList, cohort: Cohort) -> None:
    """Warns of cohort speakers that are in the trials.

    A name in the trials is ``<speaker>/<recording>/<number>``, with or
    without folders before, or a model's, which may be the speaker's own.

    Arguments
    ---------
    trials : TrialList
        The trials.
    cohort : Cohort
        Without names of speakers, nothing can be said.
    """
    names = set(cohort.speakers)
    if not names:
        return
    seen: set[str] = set()
    for utterance in trials.utterances:
        parts = utterance.split("/")
        seen.update({parts[0], parts[max(0, len(parts) - 3)]})
    known = sorted(names & seen)
    if known:
        logger.warning(
            "%d of %d cohort speakers are in the trials too (%s): their "
            "normalised scores are too low; take other speakers",
            *(len(known), len(names), ", ".join(known[:5])),
        )
