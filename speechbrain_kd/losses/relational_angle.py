"""Relations: three utterances form the angles that the teacher hears."""

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from speechbrain_kd.losses.relational import RelationalTerm, distances

_AT_ONCE = 2**22  # angles held in memory


class RelationalAngle(RelationalTerm):
    """Huber loss between the cosines of the angles of all triplets.

    For every utterance and every two others, the angle at which it sees
    them. A batch of n has n³ of them: they are found by the inner products
    of the embeddings, some at a time, and again in the backward pass, so
    that memory stays at some tens of megabytes. The utterances are those of
    all ranks. The paper's weight is twice that of ``RelationalDistance``.

    Arguments
    ---------
    normalise : bool
        Whether embeddings are brought to unit length first. The paper
        leaves lengths as they are.

    Reference
    ---------
    Park et al., "Relational Knowledge Distillation", CVPR 2019,
    arXiv 1904.05068 (RKD-A).

    Example
    -------
    >>> embeddings = torch.randn(6, 8)
    >>> rotation = torch.linalg.qr(torch.randn(8, 8))[0]
    >>> RelationalAngle()(7 * embeddings @ rotation, embeddings) < 1e-8
    tensor(True)
    """

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Mean over triplets. Shapes [batch, dim] → scalar."""
        count = len(student)
        if count < 3:
            return 0 * student.sum()
        ours, theirs = (
            rows @ rows.T
            for rows in (self.places(student), self.places(teacher))
        )
        vertices = torch.arange(count, device=student.device)
        parts = vertices.split(max(1, _AT_ONCE // count**2))
        sums = [
            checkpoint(_apart, ours, theirs, part, use_reentrant=False)
            for part in parts
        ]
        return torch.stack(sums).sum() / (count * (count - 1) * (count - 2))


def _apart(
    ours: torch.Tensor, theirs: torch.Tensor, vertices: torch.Tensor
) -> torch.Tensor:
    """Sum of the loss over the angles at some vertices."""
    return functional.smooth_l1_loss(
        _cosines(ours, vertices), _cosines(theirs, vertices), reduction="sum"
    )


def _cosines(products: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """Cosines of the angles at vertices.

    Of inner products [batch, batch], at vertices [some] between any two
    others: [some, batch, batch], and 0 where two of the three are one.
    """
    count = len(products)
    seen = products[vertices]
    between = (
        products
        - seen[:, :, None]
        - seen[:, None, :]
        + products.diagonal()[vertices, None, None]
    )
    apart = distances(products)[vertices]
    others = torch.arange(count, device=products.device) != vertices[:, None]
    distinct = (
        others[:, :, None]
        & others[:, None, :]
        & ~torch.eye(count, dtype=torch.bool, device=products.device)
    )
    cosines = between / (apart[:, :, None] * apart[:, None, :])
    return cosines * distinct
