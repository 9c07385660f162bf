"""What goes into a teacher and what it says of a batch."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says of a batch, in fp32 and detached.

    Arguments
    ---------
    embeddings : torch.Tensor
        ``[batch, dim]``, not normalised.
    logits : torch.Tensor | None
        ``[batch, classes]``: unscaled cosines, or the log-probabilities of a
        teacher whose ``cosine_logits`` is False. None without a classifier.
    """

    embeddings: torch.Tensor
    logits: torch.Tensor | None = None


def checked_lens(wavs: torch.Tensor, lens: torch.Tensor | None) -> torch.Tensor:
    """Gives relative lengths on the device of the waveforms.

    Arguments
    ---------
    wavs : torch.Tensor
        ``[batch, samples]``
    lens : torch.Tensor | None
        Relative lengths ``[batch]``; None where nothing is padded.

    Returns
    -------
    torch.Tensor
        ``[batch]``. ValueError where the shapes do not fit.
    """
    if wavs.dim() != 2:
        raise ValueError(
            "A teacher takes waveforms [batch, samples], got the shape "
            f"{list(wavs.shape)}"
        )
    if lens is None:
        return torch.ones(len(wavs), device=wavs.device)
    if lens.shape != wavs.shape[:1]:
        raise ValueError(
            f"Expected {len(wavs)} relative lengths, one a waveform, got the "
            f"shape {list(lens.shape)}"
        )
    return lens.to(wavs.device)
