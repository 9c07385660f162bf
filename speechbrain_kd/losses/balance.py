"""Weights that follow how strongly each term pulls at the embeddings."""

from collections.abc import Mapping, Sequence

import torch

from speechbrain_kd.distributed.gather import ranks, sum_over_ranks
from speechbrain_kd.losses.ramps import CLASSIFICATION

#: Steps after which the gradients are measured again.
EVERY = 20

#: What a running mean keeps at each measurement.
_KEPT = 0.9


class GradientBalance(torch.nn.Module):
    """Gradient norms of the terms at the student's embeddings.

    A weight of 2 then means that a term pulls at the embeddings twice as
    strongly as the classification loss does, however the two are scaled and
    however they shrink. The norms are taken at the embeddings and not at the
    weights of the encoder: this costs one backward pass through a loss, and
    none through the network. A term that does not follow from the embeddings,
    but from hidden layers, keeps its plain weight. Running means of the norms
    are saved and resumed; all ranks have the same.

    Arguments
    ---------
    terms : Sequence[str]
        Names of the distillation terms.

    Reference
    ---------
    After Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss
    Balancing in Deep Multitask Networks", ICML 2018, arXiv 1711.02257, with
    the ratios set at once and not by a loss of their own.

    Example
    -------
    >>> balance = GradientBalance(["gram"])
    >>> rows = torch.ones(2, 3, requires_grad=True)
    >>> losses = {"classification": 6 * rows.sum(), "gram": 2 * rows.sum()}
    >>> balance.measure(losses, rows)
    >>> balance.factor("gram").item()
    3.0
    """

    def __init__(self, terms: Sequence[str]) -> None:
        super().__init__()
        self.names = [CLASSIFICATION, *terms]
        self.register_buffer("norms", torch.zeros(len(self.names)))
        self.register_buffer("measured", torch.zeros((), dtype=torch.int64))

    def due(self, step: int) -> bool:
        """Whether to measure at a step of an epoch, counted from 1."""
        return step % EVERY == 1

    def measure(
        self, losses: Mapping[str, torch.Tensor], embeddings: torch.Tensor
    ) -> None:
        """Adds the present norms to the running means.

        Arguments
        ---------
        losses : Mapping[str, torch.Tensor]
            The terms and the classification loss, not weighted.
        embeddings : torch.Tensor
            The student's, shape [batch, dim], from which they follow.

        Raises
        ------
        ValueError
            If there is no classification loss to compare with.
        """
        if CLASSIFICATION not in losses:
            raise ValueError(
                "distillation: balance: gradient_norm compares the terms with "
                "the classification loss, and compute_cost is null: give "
                "weights by hand (balance: null)"
            )
        squares = [
            self._gradient(losses[name], embeddings).square().sum()
            for name in self.names
        ]
        total = sum_over_ranks(torch.stack(squares)) / ranks()[1] ** 2
        first = self.measured == 0
        kept = torch.where(first, 0.0, _KEPT).to(total)
        self.norms.copy_(kept * self.norms + (1 - kept) * total.sqrt())
        self.measured += 1

    @staticmethod
    def _gradient(loss, embeddings):
        """Of a loss at the embeddings, fp32, [batch, dim]."""
        if not loss.requires_grad:
            return torch.zeros_like(embeddings, dtype=torch.float32)
        (gradient,) = torch.autograd.grad(
            loss, embeddings, retain_graph=True, allow_unused=True
        )
        if gradient is None:
            return torch.zeros_like(embeddings, dtype=torch.float32)
        return gradient.float()

    def factor(self, name: str) -> torch.Tensor:
        """How many times stronger the classification loss pulls than a term.

        Arguments
        ---------
        name : str
            A distillation term.

        Returns
        -------
        torch.Tensor
            A scalar; 1 until the term has pulled at all.
        """
        own = self.norms[self.names.index(name)]
        reference = self.norms[0]
        return torch.where(own > 0, reference / own.clamp(min=1e-12), 1.0)


def balance_of(
    terms: Sequence[str], balance: str | None
) -> GradientBalance | None:
    """How terms are balanced, as the yaml names it.

    Arguments
    ---------
    terms : Sequence[str]
        Names of the distillation terms.
    balance : str | None
        ``gradient_norm``, or null for weights by hand.

    Returns
    -------
    GradientBalance | None
        ``None`` for weights by hand.

    Raises
    ------
    ValueError
        If it is neither.

    Example
    -------
    >>> balance_of(["gram"], None) is None
    True
    """
    if balance not in (None, "gradient_norm"):
        raise ValueError(
            "distillation: balance must be null or gradient_norm; got "
            f"{balance!r}"
        )
    return GradientBalance(terms) if balance else None
