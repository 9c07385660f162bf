"""Who reads what: ranks and workers, and whose turn it is when one goes on."""

import random


def divide(
    shards: int, key: str, ranks: int, workers: int
) -> list[list[list[int]]]:
    """Divides shards among ranks, then among their loader workers.

    Arguments
    ---------
    shards : int
        Their number.
    key : str
        The order follows from it.
    ranks : int
        Number of processes.
    workers : int
        Loader workers of each.

    Returns
    -------
    list[list[list[int]]]
        The shards of each worker of each rank.

    Example
    -------
    >>> parts = divide(7, "1/1", ranks=2, workers=2)
    >>> sorted(shard for rank in parts for part in rank for shard in part)
    [0, 1, 2, 3, 4, 5, 6]
    """
    order = list(range(shards))
    random.Random(key).shuffle(order)
    orders = [order[rank::ranks] for rank in range(ranks)]
    return [[x[place::workers] for place in range(workers)] for x in orders]


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


def even_shares(sizes: list[list[int]], batch_size: int) -> list[list[int]]:
    """What each worker gives, so that all ranks give as many full batches.

    Arguments
    ---------
    sizes : list[list[int]]
        What each worker of each rank has.
    batch_size : int
        Utterances in a batch.

    Returns
    -------
    list[list[int]]
        Utterances of each worker of each rank, in full batches.

    Example
    -------
    >>> even_shares([[7, 9], [4, 5]], batch_size=2)
    [[4, 4], [4, 4]]
    """
    full = [[x - x % batch_size for x in rank] for rank in sizes]
    least = min(map(sum, full))
    return [shares_given(least, rank, batch_size)[0] for rank in full]
