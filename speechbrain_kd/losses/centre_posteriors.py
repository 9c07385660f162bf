"""Posteriors over speakers' centres in the teacher's space."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.centre_term import CentreTerm

_NEVER = -1e9


class CentrePosteriors(CentreTerm):
    """KL between what both models say of the likeness to every centre.

    A centre is the mean of the teacher's unit embeddings of all views of one
    class that were met so far: of a speaker, of a pseudo-speaker (``speeds``),
    or of one unlabelled utterance at one speed. Softmax over the cosines with
    all of them is a posterior, by the teacher's embedding of this view and by
    the student's: KL(teacher's ‖ student's).

    So the student learns which voices a voice is like, of more voices than
    are labelled, and against means over rooms, noises and words; what all
    embeddings share is left to it. A teacher needs no classifier for it, and
    no speakers in common with the student.

    The centres are found while training (``ViewCentres``).

    Arguments
    ---------
    temperature : float
        What cosines are divided by, on both sides.
    most_unlabelled : int
        Where there are more unlabelled utterances (times speeds), they have
        no centres of their own, and are compared with the others'.
    centre : bool
        Whether the mean of all centres is taken off the teacher's side first:
        cosines then spread wider, and want a higher temperature.

    Raises
    ------
    ValueError
        If the temperature is not positive.

    Reference
    ---------
    Label-level distillation of Wang et al., "Knowledge Distillation for Small
    Foot-print Deep Speaker Embedding" (ICASSP 2019), with the teacher's class
    centres for both classifiers, as Chen et al., "Knowledge Distillation with
    the Reused Teacher Classifier" (CVPR 2022), arXiv 2203.14001, re-use the
    teacher's; softened over instances as in Fang et al., "SEED:
    Self-supervised Distillation for Visual Representation", ICLR 2021.

    Example
    -------
    >>> term = CentrePosteriors()
    >>> term.expect(classes=4)
    >>> embeddings, labels = torch.randn(6, 16), torch.arange(6) % 4
    >>> bool(term(3 * embeddings, embeddings, labels).abs() < 1e-5)
    True
    >>> term.centres.counts
    tensor([2., 2., 1., 1.])
    """

    def __init__(
        self,
        temperature: float = 0.05,
        most_unlabelled: int = 65536,
        centre: bool = False,
    ) -> None:
        super().__init__(most_unlabelled, centre)
        if not temperature > 0:
            raise ValueError(
                "CentrePosteriors: temperature must be positive; got "
                f"{temperature}"
            )
        self.temperature = temperature

    def distance(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """KL divergence. Shapes [batch, dim], [batch] → scalar."""
        centres, known, _, placed = self.centres(teacher, labels)
        posteriors = [
            functional.log_softmax(
                (functional.normalize(rows, dim=-1) @ centres.T)
                .div(self.temperature)
                .masked_fill(~known, _NEVER),
                dim=-1,
            )
            for rows in (student, placed)
        ]
        return functional.kl_div(
            *posteriors, reduction="batchmean", log_target=True
        )
