"""Rows, objects and means of all ranks; without ranks, one's own."""

from collections.abc import Mapping
from typing import Any

import torch
from speechbrain.utils.distributed import ddp_prevent_block


def ranks() -> tuple[int, int]:
    """This process's rank and the number of ranks.

    Returns
    -------
    tuple[int, int]
        0 and 1 where there are no others, and inside a function that
        SpeechBrain's ``run_on_main`` runs on the main process alone.

    Example
    -------
    >>> ranks()
    (0, 1)
    """
    if ddp_prevent_block():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def gather_objects(own: Any) -> list[Any]:
    """What every rank has, in the order of the ranks.

    Arguments
    ---------
    own : Any
        Can be pickled, and holds nothing that lies on a GPU.

    Returns
    -------
    list
        An object a rank.

    Example
    -------
    >>> gather_objects("mine")
    ['mine']
    """
    world = ranks()[1]
    if world == 1:
        return [own]
    gathered = [None] * world
    torch.distributed.all_gather_object(gathered, own)
    return gathered


def mean_over_ranks(
    values: Mapping[str, float], weight: float = 1.0
) -> dict[str, float]:
    """Weighted means over the ranks, the same on every rank.

    Arguments
    ---------
    values : Mapping[str, float]
        The same names on every rank.
    weight : float
        What this rank's values count, for example its utterances. With 0
        the values do not matter; they may be not a number.

    Returns
    -------
    dict[str, float]
        A mean a name; not a number where all weights are 0.

    Example
    -------
    >>> mean_over_ranks({"loss": 0.1}, weight=3)
    {'loss': 0.1}
    """
    if ranks()[1] == 1:
        return {
            name: float(value) if weight else float("nan")
            for name, value in values.items()
        }
    sums = [
        weight * float(value) if weight else 0.0 for value in values.values()
    ]
    totals = torch.tensor(
        [*sums, weight], dtype=torch.float64, device=_device()
    )
    torch.distributed.all_reduce(totals)
    *means, _ = (totals / totals[-1]).tolist()
    return dict(zip(values, means, strict=True))


def _device() -> torch.device:
    """Where the process group wants its tensors."""
    if torch.distributed.get_backend() == torch.distributed.Backend.NCCL:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Sum of a tensor over the ranks, with gradient.

    A rank's loss may depend on the sum and so on what other ranks put in:
    backward sums the gradients of all ranks' losses.

    Arguments
    ---------
    tensor : torch.Tensor
        The same shape on every rank.

    Returns
    -------
    torch.Tensor
        The same on every rank.
    """
    return tensor if ranks()[1] == 1 else _Sum.apply(tensor)


def share_of_rows(rows: int, device: torch.device) -> torch.Tensor | float:
    """What a mean over some of this rank's rows counts among all ranks'.

    DDP takes the mean of the ranks' gradients; a mean over rows of which
    ranks have different numbers must be multiplied by this before.

    Arguments
    ---------
    rows : int
        This rank's.
    device : torch.device
        Where the ranks meet.

    Returns
    -------
    torch.Tensor | float
        More than 1 where this rank has more rows than others.

    Example
    -------
    >>> share_of_rows(3, torch.device("cpu"))
    1.0
    """
    world = ranks()[1]
    if world == 1:
        return 1.0
    own = torch.tensor(float(rows), device=device)
    return world * own / sum_over_ranks(own).clamp(min=1)


class _Sum(torch.autograd.Function):
    """``torch.distributed.nn.all_reduce``, which torch has deprecated."""

    @staticmethod
    def forward(ctx, tensor):
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(tensor)
        return tensor

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(gradient)
        return gradient


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """The rows of all ranks, with gradient to this rank's own.

    For a loss that every rank computes of all rows, so that it is the same
    number everywhere. The gradient to the own rows is multiplied by the
    number of ranks: DDP takes the mean of the ranks' gradients, and each
    parameter then gets the gradient that one process would give it, which
    is the sum over all rows. No communication in backward.

    Arguments
    ---------
    rows : torch.Tensor
        Shape [rows, dim]; the ranks may have different numbers of rows.

    Returns
    -------
    torch.Tensor
        Shape [rows of all ranks, dim], in the order of the ranks.

    Example
    -------
    >>> rows = torch.ones(2, 3)
    >>> gather_rows(rows) is rows
    True
    """
    return rows if ranks()[1] == 1 else _GatherRows.apply(rows)


class _GatherRows(torch.autograd.Function):
    """All ranks' rows; backward takes this rank's part."""

    @staticmethod
    def forward(ctx, rows):
        rank, world = ranks()
        counts = torch.zeros(world, dtype=torch.int64, device=rows.device)
        counts[rank] = len(rows)
        torch.distributed.all_reduce(counts)
        sizes = counts.tolist()
        own = rows.new_zeros(max(sizes), *rows.shape[1:])
        own[: len(rows)] = rows
        parts = [torch.empty_like(own) for _ in sizes]
        torch.distributed.all_gather(parts, own)
        ctx.world, ctx.first, ctx.rows = world, sum(sizes[:rank]), len(rows)
        return torch.cat(
            [part[:size] for part, size in zip(parts, sizes, strict=True)]
        )

    @staticmethod
    def backward(ctx, gradient):
        return ctx.world * gradient[ctx.first : ctx.first + ctx.rows]
