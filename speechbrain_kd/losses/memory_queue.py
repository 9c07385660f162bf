"""The teacher's latest embeddings, to compare those of a batch with."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.late_buffers import LateBuffers


class MemoryQueue(LateBuffers):
    """Unit embeddings of the teacher, the newest first; the oldest leave.

    It fills as the training goes on, and is saved and resumed. Handed the
    utterances of all ranks, it is the same on every rank. In eval mode it
    stays as it is.

    Arguments
    ---------
    size : int
        Most embeddings that it holds.

    Raises
    ------
    ValueError
        If the size is not positive.

    Reference
    ---------
    He et al., "Momentum Contrast for Unsupervised Visual Representation
    Learning", arXiv 1911.05722.

    Example
    -------
    >>> queue = MemoryQueue(size=3)
    >>> [len(queue(torch.eye(2))) for _ in range(3)]
    [2, 4, 5]
    >>> queue.rows.shape
    torch.Size([3, 2])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        if not size > 0:
            raise ValueError(f"a queue's size must be positive; got {size}")
        self.size = size
        self.register_buffer("rows", None)

    def forward(self, teacher: torch.Tensor) -> torch.Tensor:
        """What a batch is compared with; in training it is then remembered.

        Arguments
        ---------
        teacher : torch.Tensor
            The teacher's embeddings, shape [batch, dim].

        Returns
        -------
        torch.Tensor
            Unit embeddings [batch + held, dim]; the batch's come first.
        """
        batch = functional.normalize(teacher.detach(), dim=-1)
        if self.rows is None:
            self.rows = batch[:0]
        held = self.rows.to(batch)
        if self.training:
            stay = max(self.size - len(batch), 0)
            # Not in place: backward still needs what was compared.
            self.rows = torch.cat([batch[: self.size], held[:stay]])
        return torch.cat([batch, held])
