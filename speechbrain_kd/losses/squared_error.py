"""Embedding level: squared distance between two embeddings."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.centring import CentredTerm


class SquaredErrorEmbedding(CentredTerm):
    """Mean over the batch of the squared distance, summed over dimensions.

    Summed, not averaged, so that its weight means the same at every
    dimension: on unit vectors it is 2 (1 - cos), twice ``CosineEmbedding``.

    Arguments
    ---------
    normalise : bool
        Whether both embeddings are brought to unit length first. Without
        it the student must also match the teacher's length, which cosine
        scoring ignores.
    centre : bool
        Whether the mean of the teacher's embeddings is taken off both. The
        rest is brought to unit length again where ``normalise`` says so;
        where it does not, the mean of both cancels.
    whiten : bool
        Whether both are whitened by the teacher's covariance: without
        ``normalise`` the distance is then Mahalanobis'.
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
    >>> from speechbrain_kd.losses import CosineEmbedding
    >>> student, teacher = torch.randn(2, 4, 192)
    >>> ratio = SquaredErrorEmbedding()(student, teacher) / CosineEmbedding()(
    ...     student, teacher
    ... )
    >>> round(ratio.item(), 4)
    2.0
    """

    def __init__(
        self,
        normalise: bool = True,
        centre: bool = False,
        whiten: bool = False,
        shrinkage: float = 0.1,
        sides: str = "both",
    ) -> None:
        super().__init__(centre, whiten, shrinkage, normalise, sides)

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Squared distance. Shapes [batch, dim] → scalar."""
        student, teacher = self.centred(student, teacher)
        if self.normalise:
            student = functional.normalize(student, dim=-1)
            teacher = functional.normalize(teacher, dim=-1)
        return (student - teacher).square().sum(dim=-1).mean()
