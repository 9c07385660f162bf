"""Times of several things that are to be compared."""

import time
from collections.abc import Callable, Mapping

import torch


def best_of_each(
    functions: Mapping[str, Callable[[], object]],
    device: str = "cpu",
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The shortest time of each function, called in turn.

    What else runs on a machine comes and goes. Called in turn, all functions
    get the same of it; one after the other, the last may get all of it.

    Arguments
    ---------
    functions : Mapping[str, Callable[[], object]]
        What to time, by name.
    device : str
        Where they compute; a GPU is waited for.
    repeats : int
        Calls of each that count, after one that does not.
    clock : Callable[[], float]
        In seconds; ``time.process_time`` leaves out what else runs.

    Returns
    -------
    dict[str, float]
        Seconds by name.

    Example
    -------
    >>> calls = []
    >>> best = best_of_each(
    ...     {name: lambda name=name: calls.append(name) for name in "ab"},
    ...     repeats=2,
    ... )
    >>> "".join(calls), list(best)
    ('ababab', ['a', 'b'])
    """
    best = dict.fromkeys(functions, float("inf"))
    for turn in range(repeats + 1):
        for name, function in functions.items():
            wait_for(device)
            began = clock()
            function()
            wait_for(device)
            if turn:
                best[name] = min(best[name], clock() - began)
    return best


def wait_for(device: str) -> None:
    """Waits until a GPU has done what it was told."""
    if device != "cpu":
        torch.cuda.synchronize()
