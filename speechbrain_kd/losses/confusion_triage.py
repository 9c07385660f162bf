"""Label level: the speakers with whom the teacher confuses the target."""

from collections.abc import Sequence

import torch

from speechbrain_kd.losses.groups import (
    divergence_between,
    divergence_within,
    only,
    target_mask,
)
from speechbrain_kd.losses.scaled_logits import ScaledLogits


class ConfusionTriage(ScaledLogits):
    """T² · (mass_weight · KL(masses) + confusion_weight · KL(within the set)).

    The teacher's posteriors sort the speakers of every utterance into three
    groups: the target; the confusion set, which is the fewest most probable
    others that hold a given share of all the others' mass; and the rest. The
    first divergence is of the three groups' masses, the second of the
    posteriors within the confusion set, renormalised. Of how the rest is
    distributed nothing is learned: among thousands of speakers it is noise.

    The share falls exponentially from ``first_share`` to ``last_share``
    between two epochs: with 1, at first, the set holds all others, and the
    term is ``DecoupledLogits``. It follows the progress of the training
    alone, so a resumed run finds it where it left it.

    Speakers of equal probability are in the set together.

    Arguments
    ---------
    scale : float
        What the student's logits are multiplied by; 30 for cosines.
    temperature : float | Sequence[float]
        What both are divided by.
    mass_weight : float
        Of the first divergence.
    confusion_weight : float
        Of the second.
    first_share : float
        Until ``start_epoch``; at most 1.
    last_share : float
        From ``end_epoch`` on; more than 0.
    start_epoch : float
        Epochs done where the share begins to fall.
    end_epoch : float
        Epochs done where it ends to; the paper trains for 150 in all.
    teacher_scale : float | None
        The same as ``scale`` for the teacher. ``None``: the student's scale
        for a teacher that gives cosines, and 1 for one that does not.

    Raises
    ------
    ValueError
        If a scale or a temperature is not positive, a weight negative, a
        share not in (0, 1], or the end before the start.

    Reference
    ---------
    Kim et al., "Triage knowledge distillation for speaker verification",
    ICASSP 2026, arXiv 2601.14699.

    Example
    -------
    >>> term = ConfusionTriage()
    >>> cosines, labels = torch.rand(4, 10), torch.tensor([3, 1, 4, 1])
    >>> term(cosines, cosines, labels).abs() < 1e-5
    tensor(True)
    >>> shares = []
    >>> for epoch in (0, 10, 35, 60, 99):
    ...     term.on_progress(epoch)
    ...     shares.append(round(term.share, 3))
    >>> shares
    [1.0, 1.0, 0.224, 0.05, 0.05]
    """

    needs_labels = True

    def __init__(
        self,
        scale: float = 30.0,
        temperature: float | Sequence[float] = 4.0,
        mass_weight: float = 1.0,
        confusion_weight: float = 8.0,
        first_share: float = 1.0,
        last_share: float = 0.05,
        start_epoch: float = 10.0,
        end_epoch: float = 60.0,
        teacher_scale: float | None = None,
    ) -> None:
        super().__init__(scale, temperature, teacher_scale)
        self.mass_weight = mass_weight
        self.confusion_weight = confusion_weight
        self.first_share = first_share
        self.last_share = last_share
        self.start_epoch = start_epoch
        self.end_epoch = end_epoch
        self.share = first_share
        self.require_weights("mass_weight", "confusion_weight")
        self.require_positive("first_share", "last_share")
        if max(first_share, last_share) > 1:
            raise ValueError(
                "ConfusionTriage: first_share and last_share must be at most "
                f"1; got {first_share} and {last_share}"
            )
        if end_epoch < start_epoch:
            raise ValueError(
                "ConfusionTriage: end_epoch must not be before start_epoch; "
                f"got {end_epoch} and {start_epoch}"
            )

    def on_progress(self, epoch: float) -> None:
        """Sets temperature and the share that the confusion set must hold."""
        super().on_progress(epoch)
        span = self.end_epoch - self.start_epoch
        past = epoch - self.start_epoch
        done = min(max(past / span, 0), 1) if span else float(past >= 0)
        ratio = self.last_share / self.first_share
        self.share = self.first_share * ratio**done

    def confusion_set(
        self, teacher: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """The fewest most probable others that hold the present share.

        Arguments
        ---------
        teacher : torch.Tensor
            Logits at the temperature, shape [batch, classes].
        target : torch.Tensor
            Mask, shape [batch, classes].

        Returns
        -------
        torch.Tensor
            Mask, shape [batch, classes].
        """
        if self.share >= 1:
            return ~target
        others = only(teacher, ~target).softmax(dim=-1)
        ordered = others.sort(dim=-1, descending=True).values
        before = ordered.cumsum(dim=-1) - ordered
        # The first is always in: nothing is before it.
        inside = ordered.masked_fill(before >= self.share, torch.inf)
        least = inside.amin(dim=-1, keepdim=True)
        return (others >= least) & ~target

    def distance(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """The sum. Shapes [batch, classes], [batch] → scalar."""
        student, teacher = self.at_temperature(student, teacher)
        target = target_mask(teacher, labels)
        confusion = self.confusion_set(teacher, target)
        rest = ~(target | confusion)
        masses = divergence_between(student, teacher, [target, confusion, rest])
        within = divergence_within(student, teacher, confusion)
        weighted = self.mass_weight * masses + self.confusion_weight * within
        return weighted * self.temperature**2
