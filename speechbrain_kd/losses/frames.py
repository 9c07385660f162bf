"""Frames of two networks side by side: strides, and what is padding."""

import torch
from torch.nn import functional


def at_fewer_frames(
    student: torch.Tensor, teacher: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Brings the longer of two sequences to the frames of the shorter.

    Networks and features differ in stride and at the edges: at least twice
    as many frames are averaged, a few more are interpolated.

    Arguments
    ---------
    student : torch.Tensor
        Shape [batch, frames, width].
    teacher : torch.Tensor
        Shape [batch, its frames, its width].

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Both, with as many frames.

    Example
    -------
    >>> ramp = torch.arange(8.0).reshape(1, 8, 1)
    >>> at_fewer_frames(ramp, torch.zeros(1, 2, 3))[0].flatten().tolist()
    [1.5, 5.5]
    """
    count = min(student.shape[1], teacher.shape[1])
    return _resampled(student, count), _resampled(teacher, count)


def _resampled(frames: torch.Tensor, count: int) -> torch.Tensor:
    """[batch, frames, width] → [batch, count, width]."""
    if frames.shape[1] == count:
        return frames
    mode = "area" if frames.shape[1] >= 2 * count else "linear"
    moved = functional.interpolate(frames.transpose(1, 2), count, mode=mode)
    return moved.transpose(1, 2)


def spoken(frames: torch.Tensor, lens: torch.Tensor | None) -> torch.Tensor:
    """Which frames are not padding.

    Arguments
    ---------
    frames : torch.Tensor
        Shape [batch, frames, width].
    lens : torch.Tensor | None
        Relative lengths [batch]; None where nothing is padded.

    Returns
    -------
    torch.Tensor
        Booleans, shape [batch, frames]; at least one frame is true.
    """
    batch, count = frames.shape[:2]
    if lens is None:
        return torch.ones(batch, count, dtype=torch.bool, device=frames.device)
    last = (lens.to(frames.device) * count).round().clamp(min=1)
    return torch.arange(count, device=frames.device) < last[:, None]
