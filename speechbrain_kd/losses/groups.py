"""Divergences between and within groups of classes, in log space.

The mass of all classes but the target is lost to rounding as a difference
from 1, and a sum of exponentials overflows; a log-sum-exp of a group's logits
does neither, whatever the gap between them.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional


def divergence_between(
    student: torch.Tensor,
    teacher: torch.Tensor,
    groups: Sequence[torch.Tensor],
) -> torch.Tensor:
    """KL divergence of the groups' masses, mean over the batch.

    Arguments
    ---------
    student : torch.Tensor
        Logits, shape [batch, classes].
    teacher : torch.Tensor
        Logits, shape [batch, classes].
    groups : Sequence[torch.Tensor]
        Masks, shape [batch, classes]: every class is in one of them. One may
        be empty; it has no mass then.

    Returns
    -------
    torch.Tensor
        A scalar.

    Example
    -------
    >>> logits = torch.tensor([[0.0, 1e4, 3.0]])
    >>> target = torch.tensor([[True, False, False]])
    >>> divergence_between(logits, logits, [target, ~target]).item()
    0.0
    """
    ours, theirs = (
        torch.stack(
            [only(logits, group).logsumexp(dim=-1) for group in groups], dim=-1
        )
        for logits in (student, teacher)
    )
    return _divergence(ours, theirs)


def divergence_within(
    student: torch.Tensor, teacher: torch.Tensor, group: torch.Tensor
) -> torch.Tensor:
    """KL divergence of the posteriors within a group, mean over the batch.

    Arguments
    ---------
    student : torch.Tensor
        Logits, shape [batch, classes].
    teacher : torch.Tensor
        Logits, shape [batch, classes].
    group : torch.Tensor
        Mask, shape [batch, classes].

    Returns
    -------
    torch.Tensor
        A scalar.

    Example
    -------
    >>> student, teacher = torch.rand(2, 1, 5)
    >>> group = torch.tensor([[True, False, True, True, False]])
    >>> alone = divergence_within(
    ...     student[:, [0, 2, 3]], teacher[:, [0, 2, 3]], group[:, [0, 2, 3]]
    ... )
    >>> divergence_within(student, teacher, group).allclose(alone, atol=1e-6)
    True
    """
    return _divergence(only(student, group), only(teacher, group))


def only(logits: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Logits with the classes outside of a group at the lowest number.

    Their exponentials are 0 beside any other. The lowest number and not minus
    infinity, for which an empty group has gradients that are not numbers.

    Arguments
    ---------
    logits : torch.Tensor
        Shape [batch, classes].
    group : torch.Tensor
        Mask, shape [batch, classes].

    Returns
    -------
    torch.Tensor
        Shape [batch, classes].
    """
    return logits.masked_fill(~group, torch.finfo(logits.dtype).min)


def target_mask(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Where the target of every utterance is.

    Arguments
    ---------
    logits : torch.Tensor
        Shape [batch, classes].
    labels : torch.Tensor
        Columns of the logits, shape [batch].

    Returns
    -------
    torch.Tensor
        Mask, shape [batch, classes].
    """
    nowhere = torch.zeros_like(logits, dtype=torch.bool)
    return nowhere.scatter(1, labels[:, None], True)


def _divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """KL of two softmaxes. Shapes [batch, classes] → scalar."""
    return functional.kl_div(
        functional.log_softmax(student, dim=-1),
        functional.log_softmax(teacher, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
