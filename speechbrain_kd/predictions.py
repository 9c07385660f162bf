"""What a Brain hands from its forward pass to its objectives."""

from dataclasses import dataclass

import torch


@dataclass
class Predictions:
    """What one batch gives.

    Arguments
    ---------
    embeddings : torch.Tensor
        The student's, shape [batch, dim].
    logits : torch.Tensor | None
        Output of ``classifier``, shape [batch, 1, classes]; margin-free.
    lens : torch.Tensor
        Relative lengths, shape [batch].
    teacher : dict[str, torch.Tensor]
        ``embeddings`` and ``logits`` of the teacher on the same waveforms;
        empty without a teacher and outside training.
    """

    embeddings: torch.Tensor
    logits: torch.Tensor | None
    lens: torch.Tensor
    teacher: dict[str, torch.Tensor]
