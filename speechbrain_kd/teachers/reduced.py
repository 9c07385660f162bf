"""A teacher in as many dimensions as its student has."""

import hashlib
import logging

import numpy as np
import torch
from torch.nn.functional import normalize

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard
from speechbrain_kd.teachers.remembered import Arrays
from speechbrain_kd.teachers.wrapped import WrappedTeacher

logger = logging.getLogger(__name__)


class ReducedTeacher(WrappedTeacher):
    """Any teacher, its embeddings on the axes that hold most of them.

    For teachers with more dimensions than the student, as ensembles have: no
    projector then lies between them, and cosines stay nearly what they were.
    The axes are the first principal ones of the unit embeddings of some
    training utterances, found once before the training; by default as they
    are, with their mean. Its classes, if any, stay the teacher's.

    Arguments
    ---------
    teacher : Teacher
        Whose embeddings are reduced.
    dim : int
        Dimensions to keep; as many training utterances are needed.
    centre : bool
        Whether the mean of the unit embeddings is taken off.
    utterances_per_speaker : int | None
        Most utterances of a speaker to learn from; None takes all.
    seconds : float | None
        Most to hear of an utterance; None hears all.

    Raises
    ------
    ValueError
        If the teacher has no more dimensions than are to be kept, there are
        too few utterances, or it is asked before it has learned.

    Reference
    ---------
    Jolliffe, "Principal Component Analysis", Springer 2002.

    Example
    -------
    >>> class Wide(Teacher):
    ...     def encode(self, wavs, lens):
    ...         return wavs[:, :3]
    >>> teacher = ReducedTeacher(Wide("wide", embedding_dim=3).freeze(), 2)
    >>> teacher.put(torch.eye(3)[:, :2], torch.zeros(3))
    >>> teacher.embed(torch.tensor([[3.0, 4.0, 0.0]]))
    tensor([[0.6000, 0.8000]])
    """

    def __init__(
        self,
        teacher: Teacher,
        dim: int = 192,
        centre: bool = False,
        utterances_per_speaker: int | None = 20,
        seconds: float | None = 4.0,
    ) -> None:
        if not 0 < dim < teacher.embedding_dim:
            raise ValueError(
                "ReducedTeacher: dim must be above 0 and below the "
                f"{teacher.embedding_dim} dimensions of {teacher.source}; got "
                f"{dim}"
            )
        super().__init__(
            teacher,
            utterances_per_speaker,
            seconds,
            embedding_dim=dim,
            labels=teacher.labels,
            cosine_logits=teacher.cosine_logits,
        )
        self.centre = centre
        self.register_buffer("axes", None, persistent=False)
        self.register_buffer("mean", None, persistent=False)
        self.freeze()

    def learn(self, training: Heard, validation: Heard | None) -> None:
        """Finds the axes."""
        some = self.lesson(training, validation)
        self.labels = self.teacher.labels
        follows_from = {
            "teacher": self.teacher.fingerprint(),
            "dim": self.embedding_dim,
            "centre": self.centre,
        }
        found = some.remembered("axes", follows_from, lambda: self._find(some))
        self.put(*(torch.from_numpy(found[key]) for key in ("axes", "mean")))
        self.to(training.device)
        logger.info(
            "%s: %d of %d dimensions, which hold %.1f %% of the embeddings of "
            "%d training utterances",
            self.source,
            self.embedding_dim,
            self.teacher.embedding_dim,
            100 * float(found["held"]),
            len(some),
        )

    def put(self, axes: torch.Tensor, mean: torch.Tensor) -> None:
        """Sets the axes ``[teacher's dim, dim]`` and the mean that is taken
        off before, ``[teacher's dim]``."""
        self.axes, self.mean = axes.float(), mean.float()
        digest = hashlib.sha256(self.axes.numpy().tobytes())
        digest.update(self.mean.numpy().tobytes())
        self.digests["axes"] = digest.hexdigest()

    def _find(self, some: Heard) -> Arrays:
        """The ``axes``, the ``mean``, and the share ``held`` by them."""
        unit = normalize(some.embeddings(self.teacher)).double()
        if len(unit) < self.embedding_dim:
            raise ValueError(
                f"ReducedTeacher: {self.embedding_dim} axes of {self.source} "
                f"need as many training utterances; got {len(unit)}"
            )
        mean = (
            unit.mean(dim=0) if self.centre else unit.new_zeros(unit.shape[1])
        )
        rows = unit - mean
        axes = torch.linalg.svd(rows, full_matrices=False).Vh.T
        axes = axes[:, : self.embedding_dim]
        held = (rows @ axes).square().sum() / rows.square().sum()
        return {
            "axes": axes.float().numpy(),
            "mean": mean.float().numpy(),
            "held": np.array(held),
        }

    def target(self, answers: torch.Tensor) -> torch.Tensor:
        """Embeddings ``[batch, dim]`` on the axes."""
        if self.axes is None:
            raise ValueError(
                f"{self.source} has not learned its {self.embedding_dim} axes "
                "yet, which takes the training set of train_kd.py"
            )
        unit = normalize(self.teacher.target(answers))
        return (unit - self.mean) @ self.axes

    def fingerprint(self) -> str:
        """Of the teacher and the axes."""
        known = [self.teacher.fingerprint(), self.digests.get("axes", "")]
        return hashlib.sha256(
            "\n".join(["reduced", *known]).encode()
        ).hexdigest()
