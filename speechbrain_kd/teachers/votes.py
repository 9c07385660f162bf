"""How teachers vote: over which classes, and how posteriors are averaged."""

from collections.abc import Sequence

import torch

from speechbrain_kd.teachers.base import Teacher

AVERAGES = ("log", "probability")


def shared_labels(classes: Sequence[Sequence[str]]) -> list[str]:
    """Class names that all have, in the order of the first.

    Arguments
    ---------
    classes : Sequence[Sequence[str]]
        The class names of each teacher.

    Returns
    -------
    list[str]
        Empty where none is shared.

    Example
    -------
    >>> shared_labels([["cat", "ann", "bob"], ["ann", "dan", "cat"]])
    ['cat', 'ann']
    """
    if not classes:
        return []
    others = [set(names) for names in classes[1:]]
    return [name for name in classes[0] if all(name in one for one in others)]


def average_posteriors(
    logits: Sequence[torch.Tensor],
    weights: Sequence[float],
    how: str = "log",
) -> torch.Tensor:
    """Averages posteriors over the same classes.

    Arguments
    ---------
    logits : Sequence[torch.Tensor]
        Of each teacher, scaled, ``[batch, classes]``; the softmax over these
        classes renormalises them.
    weights : Sequence[float]
        One a teacher; they sum to one.
    how : str
        ``"log"``: the normalised geometric mean, which needs all to agree;
        ``"probability"``: the arithmetic mean, in which one may insist.

    Returns
    -------
    torch.Tensor
        Log-probabilities ``[batch, classes]``.

    Example
    -------
    >>> one, other = torch.randn(2, 3, 5)
    >>> both = average_posteriors([one, other], [0.3, 0.7], "probability")
    >>> mean = 0.3 * one.softmax(1) + 0.7 * other.softmax(1)
    >>> torch.allclose(both.exp(), mean, atol=1e-6)
    True
    """
    logs = torch.stack([one.float().log_softmax(dim=1) for one in logits])
    shares = torch.tensor(weights, device=logs.device).reshape(-1, 1, 1)
    if how == "log":
        return (shares * logs).sum(dim=0).log_softmax(dim=1)
    return torch.logsumexp(logs + shares.log(), dim=0)


class Vote(torch.nn.Module):
    """Posteriors of those teachers that have classes, over the shared ones.

    Arguments
    ---------
    teachers : Sequence[Teacher]
        With and without classes.
    scale : float
        What cosine logits are multiplied by.
    how : str
        As ``average_posteriors`` takes it.
    """

    def __init__(
        self, teachers: Sequence[Teacher], scale: float, how: str
    ) -> None:
        super().__init__()
        self.how = how
        self.scales = [scale if one.cosine_logits else 1.0 for one in teachers]
        self.voters = [
            place
            for place, one in enumerate(teachers)
            if one.labels is not None
        ]
        classes = [teachers[place].labels for place in self.voters]
        self.labels = shared_labels(classes) or None
        for place, names in zip(self.voters, classes, strict=True):
            column = {name: number for number, name in enumerate(names)}
            columns = [column[name] for name in self.labels or ()]
            self.register_buffer(
                f"columns_{place}", torch.tensor(columns), persistent=False
            )

    def forward(
        self,
        logits: Sequence[torch.Tensor | None],
        weights: Sequence[float],
    ) -> torch.Tensor:
        """Averages.

        Arguments
        ---------
        logits : Sequence[torch.Tensor | None]
            Of each teacher, over its own classes.
        weights : Sequence[float]
            Of each teacher.

        Returns
        -------
        torch.Tensor
            Log-probabilities ``[batch, shared classes]``.
        """
        shared = [
            self.scales[place]
            * logits[place].index_select(1, getattr(self, f"columns_{place}"))
            for place in self.voters
        ]
        own = [weights[place] for place in self.voters]
        shares = [weight / sum(own) for weight in own]
        return average_posteriors(shared, shares, self.how)
