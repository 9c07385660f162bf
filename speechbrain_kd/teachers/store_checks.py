"""What may be stored, and whether what is stored is whole."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from speechbrain_kd.teachers.store_files import Shards
from speechbrain_kd.teachers.store_index import Index

logger = logging.getLogger(__name__)

_BLOCK = 4096  # rows checked at once
_LARGEST = 65504.0  # of fp16
_LIMIT = 1 << 32  # of views and sums


@dataclass(frozen=True)
class ViewReport:
    """The records of one view.

    Arguments
    ---------
    view : int
        Number of the view.
    whole, absent, damaged : int
        Records that check, that were never written (or cut off), and that
        hold something else.
    """

    view: int
    whole: int
    absent: int
    damaged: int


def verify_view(index: Index, shards: Shards, view: int) -> ViewReport:
    """Checks the records of one view, block by block.

    Arguments
    ---------
    index : Index
        The rows.
    shards : Shards
        The records.
    view : int
        Number of the view.

    Returns
    -------
    ViewReport
        Over all rows of the index.
    """
    whole = damaged = start = 0
    while start < len(index):
        # Records first: whatever they hold, its row is in the index by then.
        rows = np.arange(start, start + _BLOCK)
        records = shards.read_all(rows, view)
        digests = index.stored(start, _BLOCK).tolist()
        for digest, record in zip(digests, records, strict=False):
            good = shards.decode(record, digest, view) is not None
            whole += good
            damaged += not good and bool(record.strip(b"\0"))
        start += len(digests)
    return ViewReport(view, whole, start - whole - damaged, damaged)


def held_rows(
    index: Index, shards: Shards, digests: np.ndarray, view: int
) -> np.ndarray:
    """Says of which utterances a whole record of a view is stored.

    Arguments
    ---------
    index : Index
        The rows.
    shards : Shards
        The records.
    digests : np.ndarray
        Of the utterances.
    view : int
        Number of the view.

    Returns
    -------
    np.ndarray
        ``[utterances]``, bool.
    """
    rows = index.rows(digests)
    known = np.flatnonzero(rows >= 0)
    held = np.zeros(len(digests), bool)
    for start in range(0, len(known), _BLOCK):
        block = known[start : start + _BLOCK]
        records = shards.read_all(rows[block], view)
        for at, record in zip(block.tolist(), records, strict=True):
            digest = int(digests[at])
            held[at] = shards.decode(record, digest, view) is not None
    return held


class Refused:
    """Counts the records that a process read and did not use.

    The first of each kind is told of; a thousand lines would say no more.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self.changed = 0

    def note_damaged(self, file: Path, utterance: str, view: int) -> None:
        """Counts a record that does not check."""
        self.damaged += 1
        if self.damaged == 1:
            logger.warning(
                "%s is damaged: the record of view %d of %s does not check. "
                "The teacher is asked again for this and any other that "
                "does not",
                file,
                view,
                utterance,
            )

    def note_changed(self, folder: Path, utterance: str, view: int) -> None:
        """Counts a record of other audio."""
        self.changed += 1
        if self.changed == 1:
            logger.warning(
                "The audio of %s (view %d) has changed since it was stored "
                "in %s: the teacher is asked again for this and any other "
                "that has",
                utterance,
                view,
                folder,
            )


class Limits(Protocol):
    """What of a store decides whether a batch can be stored."""

    teacher_name: str
    dim: int


def check_batch(
    store: Limits,
    utterances: Sequence[str],
    views: list[int],
    sums: list[int],
    embeddings: torch.Tensor,
) -> None:
    """Refuses what records cannot hold.

    Arguments
    ---------
    store : Limits
        The store.
    utterances : Sequence[str]
        ``[n]`` ids.
    views, sums : list[int]
        ``[n]`` each.
    embeddings : torch.Tensor
        ``[n, dim]``

    Raises
    ------
    ValueError
        With what was expected and what came; for a value that fp16 cannot
        hold naming teacher and utterance.
    """
    count = len(utterances)
    if list(embeddings.shape) != [count, store.dim]:
        raise ValueError(
            f"Expected embeddings [{count}, {store.dim}], got the shape "
            f"{list(embeddings.shape)}"
        )
    for name, values in (("view", views), ("crop_sum", sums)):
        wrong = [one for one in values if not 0 <= one < _LIMIT]
        if len(values) != count or wrong:
            raise ValueError(
                f"Expected a {name} from 0 to {_LIMIT - 1} for each of "
                f"{count} utterances, got {wrong[:1] or len(values)}"
            )
    largest = embeddings.detach().abs().amax(dim=1).tolist()
    for utterance, view, one in zip(utterances, views, largest, strict=True):
        if not one <= _LARGEST:  # also where it is not a number
            raise ValueError(
                f"The teacher {store.teacher_name} gave view {view} of "
                f"{utterance} an embedding with the value {one}: fp16 holds "
                f"finite values up to {_LARGEST:g}. Nothing of this batch is "
                "stored"
            )
