"""Whose turn it is among the workers of a loader that goes on."""


def shares_given(
    number: int, sizes: list[int | None], batch_size: int
) -> tuple[list[int], int]:
    """How much of what was given each worker gave, and whose turn it is.

    A loader asks its workers in turn, each for a batch, and passes over those
    that have nothing left.

    Arguments
    ---------
    number : int
        Utterances given.
    sizes : list[int | None]
        What each worker has; None where it is not known.
    batch_size : int
        Utterances in a batch.

    Returns
    -------
    tuple[list[int], int]
        Utterances of each worker, and a worker.

    Example
    -------
    >>> shares_given(7, [2, 9], batch_size=1)
    ([2, 5], 0)
    >>> shares_given(8, [None, None], batch_size=4)
    ([4, 4], 0)
    """
    taken, turn = [0] * len(sizes), 0
    left = number
    while left and any(x is None or x > y for x, y in zip(sizes, taken)):
        size, had = sizes[turn], taken[turn]
        rest = batch_size if size is None else min(batch_size, size - had)
        taken[turn] += min(left, rest)
        left -= min(left, rest)
        turn = (turn + 1) % len(sizes)
    return taken, turn
