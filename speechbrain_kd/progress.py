"""Progress a person can follow and stop: loss terms in the bar, Ctrl-C."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import speechbrain.core
import torch
from tqdm.contrib import tqdm

logger = logging.getLogger(__name__)


class RunningMean:
    """A mean whose sum stays on the device until someone reads it.

    Reading a number from a GPU waits for all the work that was given to it;
    adding does not. What is not finite is left out.

    Arguments
    ---------
    mean : float
        Mean of what came before.
    count : float
        How much came before.

    Example
    -------
    >>> mean = RunningMean(mean=4.0, count=1)
    >>> mean.add(torch.tensor(1.0)).add(torch.tensor(float("nan")))
    RunningMean(2.5)
    >>> float(mean.add(torch.tensor(0.5), weight=2))
    1.5
    """

    def __init__(self, mean: float = 0.0, count: float = 0.0) -> None:
        self._total: torch.Tensor | float = mean * count
        self._count: torch.Tensor | float = count

    def add(self, value: torch.Tensor, weight: float = 1.0) -> "RunningMean":
        """Takes one more value; returns itself.

        Arguments
        ---------
        value : torch.Tensor
            A scalar.
        weight : float
            What it counts.
        """
        value = value.detach()
        finite = value.isfinite()
        value = value.nan_to_num(0.0, 0.0, 0.0).to(torch.float64)
        self._total = self._total + weight * value
        self._count = self._count + weight * finite
        return self

    @property
    def count(self) -> float:
        """How much was added."""
        return float(self._count)

    def __float__(self) -> float:
        return float(self._total) / (self.count or 1.0)

    def __repr__(self) -> str:
        return f"RunningMean({float(self)})"


class TermBar(tqdm):
    """SpeechBrain's training bar with every loss term behind the sum.

    The numbers are read when the bar is drawn, once a second, and not at
    every step: SpeechBrain draws its bar at each, and so waits for a GPU.

    Arguments
    ---------
    *args : Any
        As ``tqdm``.
    terms : Callable[[], dict[str, float]]
        The present means.
    **kwargs : Any
        As ``tqdm``.

    Example
    -------
    >>> bar = TermBar(range(2), terms=lambda: {"embedding": 0.5}, disable=True)
    >>> len(list(bar))
    2
    """

    def __init__(self, *args: Any, terms: Callable, **kwargs: Any) -> None:
        self.terms = terms
        self.latest: dict[str, Any] = {}
        super().__init__(*args, **{"mininterval": 1.0} | kwargs)

    def set_postfix(self, **latest: Any) -> None:
        """Notes what to write when the bar is drawn next.

        Arguments
        ---------
        **latest : Any
            Numbers, or what ``float`` makes a number of.
        """
        self.latest = latest

    def display(self, *args: Any, **kwargs: Any) -> Any:
        """Draws the bar with the numbers of this moment."""
        if self.latest:
            numbers = {key: float(mean) for key, mean in self.latest.items()}
            super().set_postfix(refresh=False, **numbers, **self.terms())
        return super().display(*args, **kwargs)


@contextmanager
def terms_in_bar(terms: Callable[[], dict[str, float]]) -> Iterator[None]:
    """Lets SpeechBrain's loops draw a ``TermBar``.

    ``Brain._fit_train`` makes its bar from the name ``tqdm`` of its module
    and writes the mean loss alone; the name is exchanged for the time of
    the loop, which is shorter than a copy of the loop.

    Arguments
    ---------
    terms : Callable[[], dict[str, float]]
        The present means of the loss terms.
    """
    before = speechbrain.core.tqdm
    speechbrain.core.tqdm = partial(TermBar, terms=terms)
    try:
        yield
    finally:
        speechbrain.core.tqdm = before


@contextmanager
def interrupt_sets(flag: Callable[[], None]) -> Iterator[None]:
    """Lets the first Ctrl-C finish the step; the second stops at once.

    Arguments
    ---------
    flag : Callable[[], None]
        Called at the first interrupt.
    """

    def first(signum: int, frame: Any) -> None:
        logger.warning(
            "Interrupted: saving a checkpoint after this step (once more to "
            "stop at once, back to the last checkpoint)"
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        flag()

    try:
        before = signal.signal(signal.SIGINT, first)
    except ValueError:  # not in the main thread: leave interrupts alone
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
