"""Asks a teacher about waveforms of any lengths."""

from collections.abc import Sequence

import torch

from speechbrain_kd.teachers.base import Teacher


@torch.inference_mode()
def ask(
    teacher: Teacher,
    wavs: Sequence[torch.Tensor],
    device: str | torch.device,
    batch_size: int = 64,
) -> torch.Tensor:
    """Asks about waveforms; those of one length go together, none is padded.

    Arguments
    ---------
    teacher : Teacher
        Whom to ask.
    wavs : Sequence[torch.Tensor]
        Each [samples], at 16 kHz.
    device : str | torch.device
        Where the teacher is.
    batch_size : int
        Most waveforms at once.

    Returns
    -------
    torch.Tensor
        ``[waveforms, answer_dim]`` in fp32, in their order.
    """
    lengths: dict[int, list[int]] = {}
    for row, wav in enumerate(wavs):
        lengths.setdefault(len(wav), []).append(row)
    answers: list[torch.Tensor] = [torch.empty(0)] * len(wavs)
    for rows in lengths.values():
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            batch = torch.stack([wavs[row] for row in part]).to(device)
            for row, answer in zip(part, teacher.answer(batch), strict=True):
                answers[row] = answer
    return torch.stack(answers)
