"""One record of a store: an embedding, bound to what it was made from."""

import struct
import zlib

import numpy as np

_HEAD = struct.Struct("<II")  # crop_sum, checksum
_BOUND = struct.Struct("<QQII")  # store, utterance, view, crop_sum
_START = 0x5BC0FFEE  # so that zeros do not check


def record_size(dim: int) -> int:
    """Gives the bytes of one record.

    Arguments
    ---------
    dim : int
        Size of an embedding.

    Returns
    -------
    int
        Eight bytes, and two a value.

    Example
    -------
    >>> record_size(192)
    392
    """
    return _HEAD.size + 2 * dim


def encode(
    digest: int, view: int, crop_sum: int, values: bytes, store: int = 0
) -> bytes:
    """Makes a record that is good for one view of one utterance only.

    Arguments
    ---------
    digest : int
        Digest of the utterance, 64 bits.
    view : int
        Number of the view.
    crop_sum : int
        CRC-32 of the audio.
    values : bytes
        The embedding.
    store : int
        Number of the store, 64 bits.

    Returns
    -------
    bytes
        The record.

    Example
    -------
    >>> record = encode(5, 0, 77, b"value")
    >>> [decode(record, *which) for which in ((5, 0), (6, 0), (5, 1))]
    [77, None, None]
    """
    bound = _BOUND.pack(store, digest, view, crop_sum)
    head = _HEAD.pack(crop_sum, _checksum(bound, values))
    return head + values


def decode(record: bytes, digest: int, view: int, store: int = 0) -> int | None:
    """Checks a record and gives the CRC-32 of its audio.

    Arguments
    ---------
    record : bytes
        What lies at the utterance's row.
    digest : int
        Digest of the utterance.
    view : int
        Number of the view.
    store : int
        Number of the store.

    Returns
    -------
    int | None
        None where the record is not whole, or another's.
    """
    if len(record) <= _HEAD.size or not record.strip(b"\0"):
        return None
    crop_sum, checksum = _HEAD.unpack_from(record)
    values = record[_HEAD.size :]
    bound = _BOUND.pack(store, digest, view, crop_sum)
    if checksum != _checksum(bound, values):
        return None
    return crop_sum


def values_of(record: bytes) -> np.ndarray:
    """Gives a copy of the embedding of a record, float16."""
    return np.frombuffer(record, "<f2", offset=_HEAD.size).astype(np.float16)


def _checksum(bound: bytes, values: bytes) -> int:
    """CRC-32 over all that a record must agree with."""
    return zlib.crc32(values, zlib.crc32(bound, _START))
