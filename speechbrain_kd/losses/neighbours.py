"""Relations: the student has the teacher's neighbours in a queue."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.memory_queue import MemoryQueue
from speechbrain_kd.losses.term import DistillationTerm


class QueueSimilarity(DistillationTerm):
    """KL between the likeness of an utterance to others, by both models.

    The others are the batch's (of all ranks, itself included) and those of
    earlier batches, all as the teacher embeds them. Softmax over the cosines
    with them says which are near: KL(teacher's ‖ student's). A low
    temperature looks at the nearest alone.

    Arguments
    ---------
    size : int
        Embeddings in the queue. The papers hold 65,536 and 128,000 of over
        a million images; beyond the number of training utterances there is
        nothing to gain.
    temperature : float
        What cosines are divided by, on both sides; 0.04 is the second
        paper's.
    teacher_temperature : float | None
        The teacher's, if another: the first paper has 0.01 beside 0.2 for
        the student. The minimum is then no longer where both are equal.

    Raises
    ------
    ValueError
        If the size or a temperature is not positive.

    Reference
    ---------
    Fang et al., "SEED: Self-supervised Distillation for Visual
    Representation", ICLR 2021, arXiv 2101.04731; Abbasi Koohpayegani et al.,
    "CompRess: Self-Supervised Learning by Compressing Representations",
    NeurIPS 2020, arXiv 2010.14713.

    Example
    -------
    >>> term = QueueSimilarity(size=8)
    >>> embeddings = torch.randn(6, 16)
    >>> bool(term(3 * embeddings, embeddings).abs() < 1e-5)
    True
    >>> term.queue.rows.shape
    torch.Size([6, 16])
    """

    across_utterances = True

    def __init__(
        self,
        size: int = 16384,
        temperature: float = 0.04,
        teacher_temperature: float | None = None,
    ) -> None:
        super().__init__()
        self.queue = MemoryQueue(size)
        self.temperature = temperature
        self.teacher_temperature = (
            temperature if teacher_temperature is None else teacher_temperature
        )
        for name in ("temperature", "teacher_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"QueueSimilarity: {name} must be positive; got "
                    f"{getattr(self, name)}"
                )

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """KL divergence. Shapes [batch, dim] → scalar."""
        others = self.queue(teacher)
        student = functional.normalize(student, dim=-1) @ others.T
        teacher = others[: len(teacher)] @ others.T
        return functional.kl_div(
            functional.log_softmax(student / self.temperature, dim=-1),
            functional.log_softmax(teacher / self.teacher_temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
