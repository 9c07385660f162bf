"""The loss on the labels where some utterances have none."""

from collections.abc import Callable

import torch

from speechbrain_kd.distributed.gather import share_of_rows


def over_labelled(
    cost: Callable[..., torch.Tensor],
    logits: torch.Tensor,
    labels: torch.Tensor,
    lens: torch.Tensor,
) -> torch.Tensor:
    """The mean of a loss over the labelled utterances of all ranks.

    Arguments
    ---------
    cost : Callable
        ``compute_cost``: logits, labels and lens to a mean over the rows.
    logits : torch.Tensor
        Shape [batch, 1, classes].
    labels : torch.Tensor
        Shape [batch, 1]; below 0 where there is none.
    lens : torch.Tensor
        Relative lengths, shape [batch].

    Returns
    -------
    torch.Tensor
        A scalar, of which the mean over ranks is the loss; zero, with a
        gradient of zero, where no utterance of this rank is labelled.

    Example
    -------
    >>> def cost(logits, labels, lens):
    ...     return logits.mean()
    >>> logits = torch.tensor([[[1.0]], [[5.0]]])
    >>> over_labelled(cost, logits, torch.tensor([[0], [-1]]), torch.ones(2))
    tensor(1.)
    """
    known = labels.squeeze(-1) >= 0
    some = logits[known]
    loss = cost(some, labels[known], lens[known]) if len(some) else some.sum()
    return loss * share_of_rows(len(some), logits.device)
