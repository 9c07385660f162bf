"""Relations: utterances are as far apart as the teacher hears them."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.term import DistillationTerm

_LEAST = 1e-6  # of a squared distance, whose mean is about 2


class RelationalTerm(DistillationTerm):
    """A term on the shape that the embeddings of a batch form.

    It stays as it is when the student's embeddings are rotated, or all
    scaled alike.

    Arguments
    ---------
    normalise : bool
        Whether embeddings are brought to unit length first, as cosine
        scoring ignores it. The paper leaves lengths as they are.
    """

    across_utterances = True

    def __init__(self, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise

    def places(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows about their mean at a mean square length of 1.

        Nothing here depends on where the rows lie or how large they are; so
        placed, differences of their products are exact enough in fp32.

        Arguments
        ---------
        rows : torch.Tensor
            Shape [batch, dim].

        Returns
        -------
        torch.Tensor
            The same shape.
        """
        if self.normalise:
            rows = functional.normalize(rows, dim=-1)
        rows = rows - rows.mean(dim=0)
        # The gradient does not need the scale: it is at right angles to it.
        square = rows.detach().square().sum(dim=-1).mean()
        return rows / square.sqrt().clamp(min=1e-12)


def distances(products: torch.Tensor) -> torch.Tensor:
    """Euclidean distances by inner products, never quite 0.

    Arguments
    ---------
    products : torch.Tensor
        Of all pairs of rows, shape [batch, batch].

    Returns
    -------
    torch.Tensor
        The same shape; no gradient where two rows are the same.

    Example
    -------
    >>> rows = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    >>> distances(rows @ rows.T)[0, 1]
    tensor(5.)
    """
    lengths = products.diagonal()
    squares = lengths[:, None] + lengths[None, :] - 2 * products
    return squares.clamp(min=_LEAST).sqrt()


class RelationalDistance(RelationalTerm):
    """Huber loss between distances, each divided by its batch's mean.

    Over all pairs of different utterances, of all ranks. Weights of 25 or so
    are the paper's.

    Arguments
    ---------
    normalise : bool
        Whether embeddings are brought to unit length first. The paper
        leaves lengths as they are.

    Reference
    ---------
    Park et al., "Relational Knowledge Distillation", CVPR 2019,
    arXiv 1904.05068 (RKD-D).

    Example
    -------
    >>> embeddings = torch.randn(6, 8)
    >>> rotation = torch.linalg.qr(torch.randn(8, 8))[0]
    >>> RelationalDistance()(7 * embeddings @ rotation, embeddings) < 1e-8
    tensor(True)
    """

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Mean over pairs. Shapes [batch, dim] → scalar."""
        if len(student) < 2:
            return 0 * student.sum()
        return functional.smooth_l1_loss(
            self._relative(student), self._relative(teacher)
        )

    def _relative(self, rows: torch.Tensor) -> torch.Tensor:
        """Distances of all pairs over their mean, shape [pairs]."""
        rows = self.places(rows)
        one, other = torch.triu_indices(
            len(rows), len(rows), offset=1, device=rows.device
        )
        apart = distances(rows @ rows.T)[one, other]
        return apart / apart.mean()
