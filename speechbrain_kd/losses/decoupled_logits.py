"""Label level: the target's mass, and apart from it the other speakers."""

from collections.abc import Sequence

import torch

from speechbrain_kd.losses.groups import (
    divergence_between,
    divergence_within,
    target_mask,
)
from speechbrain_kd.losses.scaled_logits import ScaledLogits


class DecoupledLogits(ScaledLogits):
    """T² · (target_weight · KL(target, rest) + rest_weight · KL(within rest)).

    The first divergence is of two numbers, the mass of the target and that
    of all other speakers: how hard the utterance is. The second is of the
    posteriors of the other speakers, renormalised among themselves: whom the
    voice is like. In plain KL the second is multiplied by the mass that the
    teacher leaves to them, which is next to nothing where it is sure.

    Both are computed in log space and finite at any gap between logits.

    Arguments
    ---------
    scale : float
        What the student's logits are multiplied by; 30 for cosines.
    temperature : float | Sequence[float]
        What both are divided by: 1 for speakers (Truong et al.), 4 for the
        images of Zhao et al.
    target_weight : float
        Of the first divergence.
    rest_weight : float
        Of the second: 2 for speakers, 8 for images.
    teacher_scale : float | None
        The same as ``scale`` for the teacher. ``None``: the student's scale
        for a teacher that gives cosines, and 1 for one that does not.

    Raises
    ------
    ValueError
        If a scale or a temperature is not positive, or a weight negative.

    Reference
    ---------
    Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, arXiv
    2203.08679; Truong et al., "Emphasized Non-Target Speaker Knowledge in
    Knowledge Distillation for Automatic Speaker Verification", ICASSP 2024,
    arXiv 2309.14838.

    Example
    -------
    >>> cosines, labels = torch.rand(4, 10), torch.tensor([3, 1, 4, 1])
    >>> DecoupledLogits()(cosines, cosines, labels).abs() < 1e-5
    tensor(True)
    """

    needs_labels = True

    def __init__(
        self,
        scale: float = 30.0,
        temperature: float | Sequence[float] = 1.0,
        target_weight: float = 1.0,
        rest_weight: float = 2.0,
        teacher_scale: float | None = None,
    ) -> None:
        super().__init__(scale, temperature, teacher_scale)
        self.target_weight = target_weight
        self.rest_weight = rest_weight
        self.require_weights("target_weight", "rest_weight")

    def distance(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """The sum. Shapes [batch, classes], [batch] → scalar."""
        student, teacher = self.at_temperature(student, teacher)
        target = target_mask(student, labels)
        between = divergence_between(student, teacher, [target, ~target])
        within = divergence_within(student, teacher, ~target)
        weighted = self.target_weight * between + self.rest_weight * within
        return weighted * self.temperature**2
