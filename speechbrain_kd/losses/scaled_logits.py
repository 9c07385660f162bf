"""What label-level terms at a scale and a temperature share."""

import torch

from speechbrain_kd.losses.term import DistillationTerm


class ScaledLogits(DistillationTerm):
    """A term of logits that are multiplied by a scale, and a temperature.

    SpeechBrain's classifiers give unscaled cosines: softmax at scale 1 is
    nearly flat and at scale 30 nearly one-hot, so the scale and the
    temperature are both explicit. A subclass writes ``distance``.

    Arguments
    ---------
    scale : float
        What the student's logits are multiplied by; 30 for cosines.
    temperature : float
        What both are divided by.
    teacher_scale : float | None
        The same as ``scale`` for the teacher. ``None``: the student's scale
        for a teacher that gives cosines, and 1 for one that does not (the
        log-probabilities of an x-vector or of an ensemble).

    Raises
    ------
    ValueError
        If a scale or the temperature is not positive.

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
        temperature: float = 1.0,
        teacher_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.teacher_scale = scale if teacher_scale is None else teacher_scale
        self._follows_teacher = teacher_scale is None
        self.temperature = temperature
        self.require_positive("scale", "teacher_scale", "temperature")

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
