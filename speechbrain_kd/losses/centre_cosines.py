"""Scores against speakers' centres in the teacher's space, as they are."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.centre_term import CentreTerm


class CentreCosines(CentreTerm):
    """Squared error of the student's cosines with the teacher's centres.

    What a device that holds the student says of a speaker whom the teacher
    enrolled is a cosine of the two; against a threshold it counts as it is.
    ``CentrePosteriors`` leaves out of a view's cosines what all of them share,
    as a softmax does: here each should be the teacher's own. In expectation
    over the enrolled that is the squared error of the embedding, weighted by
    how much voices differ along each direction.

    Centres are as those of ``CentrePosteriors``: means of the teacher's unit
    embeddings, of a speaker, a pseudo-speaker, or an unlabelled utterance at
    one speed, found while training (``ViewCentres``).

    Arguments
    ---------
    most_unlabelled : int
        Where there are more unlabelled utterances (times speeds), they have
        no centres of their own, and are compared with the others'.
    centre : bool
        Whether the mean of all centres is taken off the teacher's side first,
        as where it enrols (``evaluate --centre``).

    Reference
    ---------
    Budnik and Avrithis, "Asymmetric metric learning for knowledge transfer"
    (CVPR 2021), arXiv 2006.16331: one model's queries, another's gallery.

    Example
    -------
    >>> term = CentreCosines(centre=False)
    >>> term.expect(classes=4)
    >>> embeddings, labels = torch.randn(6, 16), torch.arange(6) % 4
    >>> bool(term(3 * embeddings, embeddings, labels).abs() < 1e-6)
    True
    """

    def __init__(
        self, most_unlabelled: int = 65536, centre: bool = True
    ) -> None:
        super().__init__(most_unlabelled, centre)

    def distance(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """Mean squared error. Shapes [batch, dim], [batch] → scalar."""
        centres, known, _, placed = self.centres(teacher, labels)
        errors = (functional.normalize(student, dim=-1) - placed) @ centres.T
        counts = len(errors) * known.sum().clamp(min=1)
        return errors.square().masked_fill(~known, 0.0).sum() / counts
