"""Relations: the student tells the teacher's embedding from all others."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.memory_queue import MemoryQueue
from speechbrain_kd.losses.term import DistillationTerm


class ContrastiveQueue(DistillationTerm):
    """InfoNCE: which of many teacher embeddings is of the same utterance.

    The others are those of the batch (of all ranks) and of earlier batches.
    Cross-entropy of the softmax over the cosines between the student's
    embedding and theirs. It is not 0 where student and teacher agree: the
    teacher's embeddings are alike among themselves, most of all those of one
    speaker, and the term drives the student away from these too, unless
    ``same_above`` leaves them out.

    Arguments
    ---------
    size : int
        Embeddings in the queue; the first paper's 16,384.
    temperature : float
        What cosines are divided by; the first paper's 0.07.
    same_above : float | None
        Embeddings whose cosine with the utterance's own, both the
        teacher's, is above this are of the same speaker to the teacher and
        are left out. None leaves out none.

    Raises
    ------
    ValueError
        If the size or the temperature is not positive.

    Reference
    ---------
    Tian et al., "Contrastive Representation Distillation", ICLR 2020,
    arXiv 1910.10699; van den Oord et al., "Representation Learning with
    Contrastive Predictive Coding", arXiv 1807.03748.

    Example
    -------
    >>> term = ContrastiveQueue(size=8).eval()
    >>> embeddings = torch.eye(6)
    >>> mistaken = term(embeddings.roll(1, 0), embeddings)
    >>> bool(term(embeddings, embeddings) < 1e-5) and bool(mistaken > 10)
    True
    """

    across_utterances = True

    def __init__(
        self,
        size: int = 16384,
        temperature: float = 0.07,
        same_above: float | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                "ContrastiveQueue: temperature must be positive; got "
                f"{temperature}"
            )
        self.queue = MemoryQueue(size)
        self.temperature = temperature
        self.same_above = same_above

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy. Shapes [batch, dim] → scalar."""
        others = self.queue(teacher)
        own = torch.arange(len(student), device=student.device)
        logits = functional.normalize(student, dim=-1) @ others.T
        logits = logits / self.temperature
        if self.same_above is not None:
            same = others[: len(student)] @ others.T > self.same_above
            same[own, own] = False
            logits = logits.masked_fill(same, float("-inf"))
        return functional.cross_entropy(logits, own)
