"""Embeddings seen from the teacher's training mean, whitened or not."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.late_buffers import LateBuffers
from speechbrain_kd.losses.term import DistillationTerm

#: Whose embeddings are seen from the mean.
SIDES = ("both", "teacher")


class CentredTerm(LateBuffers, DistillationTerm):
    """A term on embeddings less the mean of the teacher's.

    All embeddings of a teacher share a direction, and those of one source
    corpus another: much of a cosine says only that both are speech. Without
    the mean, what is left tells speakers apart. Whitening gives each
    direction in which the teacher's embeddings vary the same weight. The
    statistics are the teacher's, which ``learn`` takes from its embeddings
    of training utterances. By default both sides are mapped by them: the
    student then has a mean too, which its own cosines feel. Or the teacher's
    alone: the student learns the mapped embedding itself.

    Arguments
    ---------
    centre : bool
        Whether the teacher's mean is taken off both sides.
    whiten : bool
        Whether both sides are multiplied by the inverse square root of the
        teacher's covariance.
    shrinkage : float
        How far the covariance is drawn to a multiple of the identity, above
        0 and at most 1: directions that hardly vary would be blown up.
    normalise : bool
        Whether the statistics are of unit embeddings, and embeddings are
        brought to unit length before they are mapped.
    sides : str
        Whose embeddings are mapped: ``both``, or the ``teacher``'s alone.

    Raises
    ------
    ValueError
        If the shrinkage is out of range, or there are no such sides.

    Reference
    ---------
    Su et al., "Whitening Sentence Representations for Better Semantics and
    Faster Retrieval", arXiv 2103.15316; Ledoit and Wolf, "A
    well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004.

    Example
    -------
    >>> term = CentredTerm(centre=True, whiten=True, shrinkage=1e-6)
    >>> seen = torch.randn(500, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0]) + 5
    >>> term.learn(seen)
    >>> mapped, _ = term.centred(seen, seen)
    >>> bool(mapped.mean(0).abs().max() < 1e-3)
    True
    >>> torch.allclose(mapped.T @ mapped / 500, torch.eye(4), atol=0.01)
    True
    """

    def __init__(
        self,
        centre: bool = False,
        whiten: bool = False,
        shrinkage: float = 0.1,
        normalise: bool = True,
        sides: str = "both",
    ) -> None:
        super().__init__()
        if sides not in SIDES:
            raise ValueError(
                f"{type(self).__name__}: sides must be one of "
                f"{', '.join(SIDES)}; got {sides!r}"
            )
        if not 0 < shrinkage <= 1:
            raise ValueError(
                f"{type(self).__name__}: shrinkage must be above 0 and at "
                f"most 1; got {shrinkage}"
            )
        self.centre = centre
        self.whiten = whiten
        self.shrinkage = shrinkage
        self.normalise = normalise
        self.sides = sides
        self.learns = centre or whiten
        self.register_buffer("mean", None)
        self.register_buffer("whitening", None)

    def learn(self, embeddings: torch.Tensor) -> None:
        """Takes mean and covariance from the teacher's embeddings.

        Arguments
        ---------
        embeddings : torch.Tensor
            Shape [utterances, dim]; at least two utterances.

        Raises
        ------
        ValueError
            If there are too few, or any is no number.
        """
        if embeddings.ndim != 2 or len(embeddings) < 2:
            raise ValueError(
                f"{type(self).__name__} learns from embeddings [utterances, "
                f"dim] of two utterances or more; got {list(embeddings.shape)}"
            )
        if not embeddings.isfinite().all():
            raise ValueError(
                f"{type(self).__name__} learns from finite embeddings; got "
                "some that are no numbers"
            )
        seen = embeddings.detach().double()
        if self.normalise:
            seen = functional.normalize(seen, dim=-1)
        mean = seen.mean(dim=0)
        if self.centre:
            self.mean = mean.float()
        if self.whiten:
            self.whitening = self._inverse_root(seen - mean).float()

    def _inverse_root(self, rows: torch.Tensor) -> torch.Tensor:
        """Of the shrunk covariance of centred rows, [dim, dim], symmetric."""
        covariance = rows.T @ rows / len(rows)
        variance = covariance.diagonal().mean()
        if not variance > 0:
            raise ValueError(
                f"{type(self).__name__}: the teacher gives the same "
                f"embedding for all of {len(rows)} training utterances"
            )
        covariance *= 1 - self.shrinkage
        covariance.diagonal().add_(self.shrinkage * variance)
        values, axes = torch.linalg.eigh(covariance)
        return (axes / values.sqrt()) @ axes.T

    def centred(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The sides mapped; where nothing is asked for, as they are.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, dim].
        teacher : torch.Tensor
            The same shape.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Of the same shapes.

        Raises
        ------
        ValueError
            If ``learn`` was not called.
        """
        if self.sides == "both":
            student = self._map(student)
        return student, self._map(teacher)

    def _map(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows [batch, dim] without the mean, whitened."""
        if not self.learns:
            return rows
        if self.mean is None and self.whitening is None:
            raise ValueError(
                f"{type(self).__name__} with centre or whiten needs the "
                "teacher's embeddings of training utterances, and has learned "
                "from none: call learn(embeddings) before the training "
                "(train_kd.py does)"
            )
        if self.normalise:
            rows = functional.normalize(rows, dim=-1)
        if self.mean is not None:
            rows = rows - self.mean.to(rows)
        if self.whitening is not None:
            rows = rows @ self.whitening.to(rows)
        return rows
