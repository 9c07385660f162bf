"""Label level: the student ranks the speakers as the teacher does."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from speechbrain_kd.losses.scaled_logits import Temperatures
from speechbrain_kd.losses.term import DistillationTerm


class StandardisedLogits(DistillationTerm):
    """T² · KL(softmax(z(teacher)/T) ‖ softmax(z(student)/T)).

    z takes the mean of an utterance's logits off and divides by their
    standard deviation. A student of few parameters then need not reach the
    range of the teacher's logits, only their relations; scale and shift of
    either side change nothing, so cosines, scaled logits and
    log-probabilities may be mixed and no scale is to be chosen.

    Arguments
    ---------
    temperature : float | Sequence[float]
        The paper's base temperature: 2 (some of its pairs 3), beside a
        weight of 9. 1 for posteriors that are nearer to one-hot. A list is
        [from, to, start, end], the last two in epochs.

    Raises
    ------
    ValueError
        If a temperature is not positive.

    Reference
    ---------
    Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024,
    arXiv 2403.01427.

    Example
    -------
    >>> logits = torch.rand(4, 10)
    >>> StandardisedLogits()(30 * logits - 7, logits).abs() < 1e-5
    tensor(True)
    """

    compares = "logits"

    def __init__(self, temperature: float | Sequence[float] = 2.0) -> None:
        super().__init__()
        self._temperatures = Temperatures(temperature, "StandardisedLogits")
        self.temperature = self._temperatures(0.0)

    def on_progress(self, epoch: float) -> None:
        """Sets the temperature of a moment of the training."""
        self.temperature = self._temperatures(epoch)

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """KL divergence. Shapes [batch, classes] → scalar."""
        student, teacher = (
            functional.log_softmax(_standardised(side) / self.temperature, -1)
            for side in (student, teacher)
        )
        divergence = functional.kl_div(
            student, teacher, reduction="batchmean", log_target=True
        )
        return divergence * self.temperature**2


def _standardised(logits: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 in every row; 0 where all logits are equal."""
    return functional.layer_norm(logits, logits.shape[-1:], eps=1e-12)
