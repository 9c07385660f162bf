"""Label level: the student's speaker posteriors follow the teacher's."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from speechbrain_kd.losses.scaled_logits import ScaledLogits


class PosteriorKL(ScaledLogits):
    """T² · KL(softmax(scale·teacher/T) ‖ softmax(scale·student/T)).

    SpeechBrain's classifiers give unscaled cosines: softmax at scale 1 is
    nearly flat and at scale 30 nearly one-hot, so the scale and the
    temperature are both explicit. T² keeps the size of the gradient as T
    grows (Hinton et al.). Both sides are free of the margin, since a margin
    moves the target only.

    Arguments
    ---------
    scale : float
        What the student's logits are multiplied by; 30 for cosines.
    temperature : float | Sequence[float]
        What both are divided by; 1.5 to 3 is useful at scale 30.
    teacher_scale : float | None
        The same as ``scale`` for the teacher. ``None``: the student's scale
        for a teacher that gives cosines, and 1 for one that does not (the
        log-probabilities of an x-vector or of an ensemble).

    Raises
    ------
    ValueError
        If a scale or a temperature is not positive.

    Reference
    ---------
    Hinton et al., "Distilling the Knowledge in a Neural Network",
    arXiv 1503.02531; Wang et al., ICASSP 2019,
    doi 10.1109/ICASSP.2019.8683443.

    Example
    -------
    >>> term = PosteriorKL(scale=30.0, temperature=2.0)
    >>> cosines = torch.rand(4, 10)
    >>> term(cosines, cosines).abs() < 1e-5
    tensor(True)
    >>> term(cosines + 0.3, cosines).abs() < 1e-4  # softmax ignores a shift
    tensor(True)
    """

    def __init__(
        self,
        scale: float = 30.0,
        temperature: float | Sequence[float] = 2.0,
        teacher_scale: float | None = None,
    ) -> None:
        super().__init__(scale, temperature, teacher_scale)

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """KL divergence. Shapes [batch, classes] → scalar."""
        student, teacher = self.at_temperature(student, teacher)
        divergence = functional.kl_div(
            functional.log_softmax(student, dim=-1),
            functional.log_softmax(teacher, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return divergence * self.temperature**2
