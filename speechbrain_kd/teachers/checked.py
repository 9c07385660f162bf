"""What checks of a teacher have in common: verdicts, questions, errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from speechbrain_kd.teachers.base import Teacher

PASS, FAIL, NOTE = "PASS", "FAIL", "NOTE"


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Arguments
    ---------
    name : str
        What should hold.
    verdict : str
        ``"PASS"``, ``"FAIL"``, or ``"NOTE"`` for what is good to know.
    value : float | None
        What was measured: as a rule the largest difference of two embeddings
        that should be equal, relative to their length.
    limit : float | None
        What it may be.
    what : str
        How it was measured, or why it failed.
    """

    name: str
    verdict: str
    value: float | None
    limit: float | None
    what: str


class Asked:
    """A teacher that is asked about waveforms of any lengths at once.

    Arguments
    ---------
    teacher : Teacher
        On its device.
    device : torch.device
        Where it is.
    """

    def __init__(self, teacher: Teacher, device: torch.device) -> None:
        self.teacher = teacher
        self.device = device

    def __call__(
        self, wavs: Sequence[torch.Tensor], batch: int = 64
    ) -> torch.Tensor:
        """Embeds waveforms, those of a batch padded to its longest.

        Arguments
        ---------
        wavs : Sequence[torch.Tensor]
            Each [samples].
        batch : int
            Most at once.

        Returns
        -------
        torch.Tensor
            On the CPU, [waveforms, dim].
        """
        parts = []
        for start in range(0, len(wavs), batch):
            some = list(wavs[start : start + batch])
            lens = torch.tensor([len(wav) for wav in some]) / max(
                map(len, some)
            )
            padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
            output = self.teacher(padded.to(self.device), lens.to(self.device))
            parts.append(output.embeddings.cpu())
        return torch.cat(parts)


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest relative difference of embeddings that should be equal.

    Arguments
    ---------
    one, other : torch.Tensor
        ``[utterances, dim]``

    Returns
    -------
    float
        Infinite where one of them holds what is no number.

    Example
    -------
    >>> one = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    >>> difference(one, one + torch.tensor([[0.0, 0.5], [0.0, 0.0]]))
    0.1...
    """
    apart = (one - other).norm(dim=1) / one.norm(dim=1).clamp(min=1e-12)
    return float(apart.nan_to_num(nan=torch.inf).max())


def failed(name: str, limit: float | None, error: Exception) -> Check:
    """The check that could not be made, with the first line of why.

    Arguments
    ---------
    name : str
        What should hold.
    limit : float | None
        What the value may be.
    error : Exception
        What was raised.

    Returns
    -------
    Check
        A ``FAIL`` without a value.

    Example
    -------
    >>> failed("repeats", None, ZeroDivisionError("by what?")).what
    'ZeroDivisionError: by what?'
    """
    text = (str(error) or "without a reason").splitlines()[0]
    if not isinstance(error, ValueError):
        text = f"{type(error).__name__}: {text}"
    return Check(name, FAIL, None, limit, text)


def tried(
    name: str, limit: float, measure: Callable[[], tuple[float, str]]
) -> Check:
    """A difference that may not be above a limit, nor fail to be measured.

    Arguments
    ---------
    name : str
        What should hold.
    limit : float
        What the value may be.
    measure : Callable[[], tuple[float, str]]
        Gives the value, and how it was measured.

    Returns
    -------
    Check
        The check.

    Example
    -------
    >>> tried("equal", 0.1, lambda: (0.2, "twice")).verdict
    'FAIL'
    """
    try:
        value, what = measure()
    except Exception as error:  # whatever a foreign model may raise
        return failed(name, limit, error)
    verdict = PASS if value <= limit else FAIL
    return Check(name, verdict, value, limit, what)
