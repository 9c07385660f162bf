"""Whether a teacher does what distillation needs of it.

What it says of an utterance may not depend on chance, on the batch or on the
order; it must be finite for short, silent and loud speech, and differ between
utterances.
"""

import math
from collections.abc import Sequence

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.checked import (
    FAIL,
    NOTE,
    PASS,
    Asked,
    Check,
    difference,
    tried,
)
from speechbrain_kd.teachers.extremes import classes, differ, extremes, level
from speechbrain_kd.teachers.speech import crops

_BATCHES = (7, 64)
#: What does something else in training mode.
_BY_MODE = (
    torch.nn.modules.batchnorm._NormBase,
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.RNNBase,
    torch.nn.MultiheadAttention,
)
#: SpeechBrain's own models are moved by padding, some of them much; crops,
#: stored views and evaluations are never padded.
_MOVES = "only an online speed augmentation pads"


def examine(
    teacher: Teacher,
    speech: Sequence[torch.Tensor],
    device: str | torch.device = "cpu",
    seconds: float = 2.0,
    tolerance: float = 1e-4,
) -> list[Check]:
    """Checks a teacher.

    Arguments
    ---------
    teacher : Teacher
        On its device.
    speech : Sequence[torch.Tensor]
        Waveforms [samples] at 16 kHz, 64 to have the largest batch full;
        shorter ones are repeated end to end.
    device : str | torch.device
        Where the teacher is.
    seconds : float
        Longest crop that it hears.
    tolerance : float
        Largest relative difference of embeddings that count as equal.

    Returns
    -------
    list[Check]
        In a fixed order.

    Raises
    ------
    ValueError
        If there are fewer than two waveforms.

    Example
    -------
    >>> from speechbrain_kd.teachers.speech import synthetic_speech
    >>> class Mean(Teacher):
    ...     def encode(self, wavs, lens):
    ...         return torch.stack([wavs.mean(1), wavs.square().mean(1)], 1)
    >>> checks = examine(Mean("mean", 2).freeze(), synthetic_speech(8))
    >>> [check.name for check in checks if check.verdict == "FAIL"]
    []
    """
    if len(speech) < 2:
        raise ValueError(
            f"expected at least two utterances to check with, got {len(speech)}"
        )
    asked = Asked(teacher, torch.device(device))
    equal, mixed = crops(speech, round(seconds * SAMPLE_RATE))
    return [
        _frozen(teacher),
        tried("repeats", tolerance, lambda: _repeats(asked, equal)),
        tried("batch", tolerance, lambda: _batches(asked, equal)),
        tried("order", tolerance, lambda: _order(asked, equal)),
        _padding(asked, mixed, tolerance),
        *extremes(asked, equal),
        differ(asked, equal),
        *classes(asked, equal),
        level(asked, equal),
    ]


def _frozen(teacher: Teacher) -> Check:
    """Nothing of a teacher may learn."""
    loose = [
        name
        for name, parameter in teacher.named_parameters()
        if parameter.requires_grad
    ]
    loose += [
        name
        for name, part in teacher.named_modules()
        if name and part.training and isinstance(part, _BY_MODE)
    ]
    if teacher.training or loose:
        what = f"in training mode or taking gradients: {', '.join(loose[:3])}"
        return Check("frozen", FAIL, None, None, f"{what}; call freeze()")
    return Check("frozen", PASS, None, None, "eval mode, and no gradient")


def _repeats(asked: Asked, equal: list[torch.Tensor]) -> tuple[float, str]:
    """A stored answer stands for all later ones."""
    some = equal[: _BATCHES[0]]
    return difference(asked(some), asked(some)), "one batch, asked twice"


def _batches(asked: Asked, equal: list[torch.Tensor]) -> tuple[float, str]:
    """Crops of one length, alone and among others."""
    together = asked(equal)
    some = equal[: 2 * _BATCHES[0]]
    apart = [asked(some, 1), asked(some, _BATCHES[0])]
    largest = max(difference(together[: len(some)], one) for one in apart)
    return largest, f"crops of one length in batches of 1, 7, {len(equal)}"


def _order(asked: Asked, equal: list[torch.Tensor]) -> tuple[float, str]:
    """Each answer belongs to its own waveform."""
    some = equal[: _BATCHES[0]]
    turned = asked(some[::-1]).flip(0)
    return difference(asked(some), turned), "a batch in reverse"


def _padding(
    asked: Asked, mixed: list[torch.Tensor], tolerance: float
) -> Check:
    """Mixed lengths padded to the longest, against each at its own."""

    def measure() -> tuple[float, str]:
        alone = asked(mixed, 1)
        largest = max(
            difference(alone, asked(mixed, batch)) for batch in _BATCHES
        )
        return largest, f"mixed lengths, padded, 7 and {len(mixed)} at once"

    check = tried("padding", tolerance, measure)
    if check.value is None or not tolerance < check.value < math.inf:
        return check
    what = f"{check.what}: {_MOVES}"
    return Check("padding", NOTE, check.value, tolerance, what)
