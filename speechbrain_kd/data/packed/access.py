"""Reading an utterance of a shard: only the bytes asked for are touched.

Shards are mapped into memory, once a process; a map has no position, so that
loader workers may inherit it.
"""

import mmap
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SAMPLES = ".i16"
"""Shards of 16-bit little-endian samples at 16 kHz; counted in samples."""

TAR = ".tar"
"""WebDataset shards with FLAC members; counted in bytes."""

_REFERENCE = re.compile(r"(.+(\.i16|\.tar))#(\d+)\+(\d+)", re.DOTALL)
# Every map holds a file handle, of which a process may have 1024.
_MOST_MAPS = 256


class Reference(NamedTuple):
    """Where an utterance lies.

    Arguments
    ---------
    shard : str
        The shard's file.
    kind : str
        ``SAMPLES`` or ``TAR``.
    start : int
        First sample, or first byte, in the shard.
    size : int
        Number of samples, or bytes.
    """

    shard: str
    kind: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}#{self.start}+{self.size}"


def parse_reference(path: str | Path) -> Reference | None:
    """Reads ``<shard>#<start>+<size>``.

    Arguments
    ---------
    path : str | Path
        What a manifest names.

    Returns
    -------
    Reference | None
        None where it is a plain file.

    Example
    -------
    >>> str(parse_reference("a/shard-00000.i16#32+16000"))
    'a/shard-00000.i16#32+16000'
    >>> parse_reference("a/b#1.wav") is None
    True
    """
    found = _REFERENCE.fullmatch(os.fspath(path))
    if found is None:
        return None
    return Reference(found[1], found[2], int(found[3]), int(found[4]))


def read_samples(reference: Reference, first: int, count: int) -> np.ndarray:
    """Reads samples of an utterance in an ``.i16`` shard.

    Arguments
    ---------
    reference : Reference
        The utterance.
    first : int
        First sample, counted from the utterance's.
    count : int
        Number of samples.

    Returns
    -------
    np.ndarray
        ``[count]``, float32 in [-1, 1). ValueError where they are not in the
        utterance or not in the shard.
    """
    if first < 0 or first + count > reference.size:
        raise ValueError(
            f"{reference}: expected samples within the utterance's "
            f"{reference.size}, got {first} to {first + count}"
        )
    start = reference.start + first
    samples = _within(reference, start, count)
    # The same bits as libsndfile makes of 16 bits.
    return np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)


def read_bytes(reference: Reference) -> bytes:
    """Reads an utterance as it lies in its shard; ValueError if it does not."""
    return _within(reference, reference.start, reference.size).tobytes()


def forget_maps() -> None:
    """Closes the shards, as whoever writes them anew must."""
    _map.cache_clear()


def _within(reference: Reference, start: int, count: int) -> np.ndarray:
    shard = _map(reference.shard, reference.kind)
    if start + count > len(shard):
        unit = "samples" if reference.kind == SAMPLES else "bytes"
        raise ValueError(
            f"{reference}: expected {unit} up to {start + count}, the shard "
            f"has {len(shard)}: it was cut short, or packed anew since the "
            "data were prepared; check it with speechbrain-kd pack --verify"
        )
    return shard[start : start + count]


@lru_cache(maxsize=_MOST_MAPS)
def _map(shard: str, kind: str) -> np.ndarray:
    dtype = np.dtype("<i2" if kind == SAMPLES else "u1")
    try:
        with open(shard, "rb") as file:
            count = os.fstat(file.fileno()).st_size // dtype.itemsize
            if count == 0:  # what cannot be mapped
                return np.empty(0, dtype)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{shard}: no such shard") from error
    return np.frombuffer(mapped, dtype, count)
