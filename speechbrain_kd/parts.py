"""What a student hears of a crop that its teacher hears whole."""

import hashlib
from collections.abc import Sequence

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE

#: Lengths are multiples of this, in samples: 0.1 s.
_STEP = SAMPLE_RATE // 10


class StudentParts:
    """A part of every crop, of another length in every step.

    A student that has to decide on one second learns on parts as short,
    while the target is what the teacher says of the whole crop. Length and
    place are drawn once for a batch, from (seed, epoch, step) alone: the
    same on every rank and after a resume. The places are as random as if
    each utterance had its own, since the crops are.

    Arguments
    ---------
    student_len : Sequence[float]
        Shortest and longest part in seconds; rounded to tenths.
    seed : int
        The run's seed.

    Raises
    ------
    ValueError
        If they are not two lengths in order, of 0.1 s or more.

    Example
    -------
    >>> parts = StudentParts([0.5, 1.0], seed=1)
    >>> wavs, lens = parts(torch.rand(4, 32000), None, epoch=1, step=3)
    >>> 8000 <= wavs.shape[1] <= 16000, wavs.shape[1] % 1600, lens
    (True, 0, None)
    """

    def __init__(self, student_len: Sequence[float], seed: int) -> None:
        self.shortest, self.longest = check_student_len(student_len)
        self.seed = seed

    @property
    def lasting(self) -> bool:
        """Whether all parts are of one length."""
        return self.shortest == self.longest

    def __call__(
        self,
        wavs: torch.Tensor,
        lens: torch.Tensor | None,
        epoch: int,
        step: int,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The part of a step.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples].
        lens : torch.Tensor | None
            Relative lengths [batch]; ``None`` where nothing is padded.
        epoch, step : int
            Of the training.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor | None]
            Shape [batch, samples of the part], and relative lengths.
        """
        most = wavs.shape[1]
        first, second = self._draw(epoch, step)
        choices = (self.longest - self.shortest) // _STEP + 1
        size = min(self.shortest + int(first * choices) * _STEP, most)
        # Where waveforms are padded, the part ends before the shortest does.
        spoken = most if lens is None else int(lens.min() * most)
        start = int(second * (max(spoken - size, 0) + 1))
        part = wavs[:, start : start + size].contiguous()
        if lens is None:
            return part, None
        return part, ((lens * most - start) / size).clamp(max=1.0)

    def _draw(self, epoch, step):
        """Two numbers from 0 to 1, without 1."""
        key = f"{self.seed}/part/{epoch}/{step}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        halves = digest[:4], digest[4:]
        return [int.from_bytes(half, "big") / 2**32 for half in halves]


def check_student_len(student_len: Sequence[float]) -> tuple[int, int]:
    """Shortest and longest part, as the yaml gives them.

    Arguments
    ---------
    student_len : Sequence[float]
        In seconds.

    Returns
    -------
    tuple[int, int]
        In samples, multiples of 0.1 s.

    Raises
    ------
    ValueError
        If they are not two lengths in order, of 0.1 s or more.

    Example
    -------
    >>> check_student_len([0.5, 2])
    (8000, 32000)
    """
    try:
        shortest, longest = (
            round(float(seconds) * SAMPLE_RATE / _STEP) * _STEP
            for seconds in student_len
        )
    except (TypeError, ValueError):
        shortest, longest = 0, 0
    if not 0 < shortest <= longest:
        raise ValueError(
            "student_len must be null or [shortest, longest] in seconds, 0.1 "
            f"or more; got {student_len!r}"
        )
    return shortest, longest
