"""What label-level terms at a scale and a temperature share."""

from collections.abc import Sequence

import torch

from speechbrain_kd.losses.ramps import Schedule
from speechbrain_kd.losses.term import DistillationTerm


class Temperatures(Schedule):
    """A temperature, or a schedule of it, that is positive throughout.

    Arguments
    ---------
    given : float | Sequence[float]
        The temperature; or [from, to, start, end], the last two in epochs.
    term : str
        The name of the term, for the message.

    Raises
    ------
    ValueError
        If it is neither, or not positive.

    Example
    -------
    >>> Temperatures([4, 2, 0, 10], "PosteriorKL")(5)
    3.0
    """

    def __init__(self, given: float | Sequence[float], term: str) -> None:
        super().__init__(given, f"{term}: temperature")
        if not min(self.first, self.last) > 0:
            raise ValueError(
                f"{term}: temperature must be positive; got {given}"
            )


class ScaledLogits(DistillationTerm):
    """A term of logits that are multiplied by a scale, and a temperature.

    SpeechBrain's classifiers give unscaled cosines: softmax at scale 1 is
    nearly flat and at scale 30 nearly one-hot, so the scale and the
    temperature are both explicit. A subclass writes ``distance``.

    Arguments
    ---------
    scale : float
        What the student's logits are multiplied by; 30 for cosines.
    temperature : float | Sequence[float]
        What both are divided by; or [from, to, start, end], the last two in
        epochs, between which it moves linearly.
    teacher_scale : float | None
        The same as ``scale`` for the teacher. ``None``: the student's scale
        for a teacher that gives cosines, and 1 for one that does not (the
        log-probabilities of an x-vector or of an ensemble).

    Raises
    ------
    ValueError
        If a scale or a temperature is not positive.

    Example
    -------
    >>> term = ScaledLogits(scale=30.0, temperature=2.0)
    >>> cosines = torch.ones(1, 2)
    >>> term.at_temperature(cosines, cosines)[1]
    tensor([[15., 15.]])
    >>> term.meet(cosine_logits=False)
    >>> term.at_temperature(cosines, cosines)[1]
    tensor([[0.5000, 0.5000]])
    """

    compares = "logits"

    def __init__(
        self,
        scale: float = 30.0,
        temperature: float | Sequence[float] = 1.0,
        teacher_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.teacher_scale = scale if teacher_scale is None else teacher_scale
        self._follows_teacher = teacher_scale is None
        self._temperatures = Temperatures(temperature, type(self).__name__)
        self.temperature = self._temperatures(0.0)
        self.require_positive("scale", "teacher_scale")

    def require_positive(self, *names: str) -> None:
        """Refuses attributes, by name, that are not positive."""
        self._require("positive", lambda number: number > 0, names)

    def require_weights(self, *names: str) -> None:
        """Refuses attributes, by name, that are negative."""
        self._require("at least 0", lambda number: number >= 0, names)

    def _require(self, expected, holds, names):
        for name in names:
            if not holds(getattr(self, name)):
                raise ValueError(
                    f"{type(self).__name__}: {name} must be {expected}; got "
                    f"{getattr(self, name)}"
                )

    def meet(self, cosine_logits: bool) -> None:
        """Chooses the teacher's scale, unless it was given."""
        if self._follows_teacher:
            self.teacher_scale = self.scale if cosine_logits else 1.0

    def on_progress(self, epoch: float) -> None:
        """Sets the temperature of a moment of the training."""
        self.temperature = self._temperatures(epoch)

    def at_temperature(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both logits, scaled and divided by the temperature.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, classes].
        teacher : torch.Tensor
            Shape [batch, classes].

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Of the same shapes.
        """
        return (
            student * (self.scale / self.temperature),
            teacher * (self.teacher_scale / self.temperature),
        )
