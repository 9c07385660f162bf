"""Embedding level: the student's embedding points where the teacher's does."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.centring import CentredTerm


class CosineEmbedding(CentredTerm):
    """Mean of 1 - cos(student, teacher), between 0 and 2.

    The length of an embedding says nothing under cosine scoring, so it is
    left free. Weights of 10 to 100 beside a margin softmax are usual: the
    term is small next to a classification loss at scale 30.

    Arguments
    ---------
    centre : bool
        Whether the mean of the teacher's unit embeddings is taken off both
        unit embeddings first.
    whiten : bool
        Whether both are whitened by the teacher's covariance.
    shrinkage : float
        Of the covariance; see ``CentredTerm``.
    sides : str
        ``teacher``: the teacher's embeddings alone are centred and whitened,
        and the student learns to give what comes of it.

    Raises
    ------
    ValueError
        If the shrinkage is not above 0 and at most 1, or there are no such
        sides.

    Reference
    ---------
    Wang et al., "Knowledge Distillation for Small Foot-print Deep Speaker
    Embedding", ICASSP 2019, doi 10.1109/ICASSP.2019.8683443.

    Example
    -------
    >>> embeddings = torch.randn(4, 192)
    >>> CosineEmbedding()(embeddings, 3 * embeddings).abs() < 1e-6
    tensor(True)
    >>> CosineEmbedding()(embeddings, -embeddings).round().item()
    2.0
    """

    def __init__(
        self,
        centre: bool = False,
        whiten: bool = False,
        shrinkage: float = 0.1,
        sides: str = "both",
    ) -> None:
        super().__init__(centre, whiten, shrinkage, sides=sides)

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Mean of 1 - cos over the batch. Shapes [batch, dim] → scalar."""
        student, teacher = self.centred(student, teacher)
        cosines = functional.cosine_similarity(student, teacher, dim=-1)
        return (1 - cosines).mean()
