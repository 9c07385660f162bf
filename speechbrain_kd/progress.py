"""Progress a person can follow and stop: loss terms in the bar, Ctrl-C."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import speechbrain.core
from tqdm.contrib import tqdm

logger = logging.getLogger(__name__)


class TermBar(tqdm):
    """SpeechBrain's training bar with every loss term behind the sum.

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
        super().__init__(*args, **kwargs)

    def set_postfix(self, *args: Any, **kwargs: Any) -> None:
        """As ``tqdm.set_postfix``, with the terms added."""
        if not self.disable:
            super().set_postfix(*args, **kwargs, **self.terms())


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
