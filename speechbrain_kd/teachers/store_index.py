"""Which row of a store belongs to which utterance: digests in a file."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from speechbrain_kd.teachers.store_files import Descriptor, explained, write_at

_WIDTH = 8  # bytes of a digest


def digests_of(utterances: Iterable[str]) -> np.ndarray:
    """Gives 64-bit digests of utterance ids.

    Arguments
    ---------
    utterances : Iterable[str]
        The ids.

    Returns
    -------
    np.ndarray
        ``[utterances]``, uint64.

    Example
    -------
    >>> first, second, again = digests_of(["a", "b", "a"])
    >>> bool(first == again), bool(first == second)
    (True, False)
    """
    data = b"".join(map(_digest, utterances))
    return np.frombuffer(data, "<u8").astype(np.uint64)


def digest_of(utterance: str) -> int:
    """Gives the digest of one utterance id, as :func:`digests_of`.

    Arguments
    ---------
    utterance : str
        The id.

    Returns
    -------
    int
        64 bits.
    """
    return int.from_bytes(_digest(utterance), "little")


def _digest(utterance: str) -> bytes:
    """Hashes an id; file names need not be valid UTF-8."""
    data = utterance.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=_WIDTH).digest()


class Index:
    """Rows of utterances, in a file to which any number of processes append.

    The file holds digests of eight bytes; the row is the position. In memory
    lie sorted runs of digests, twelve bytes an utterance.

    Arguments
    ---------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def __getstate__(self) -> dict:
        """Leaves what was read to this process: another reads it anew."""
        return {"path": self.path}

    def __setstate__(self, state: dict) -> None:
        """Starts with nothing read."""
        self.__init__(**state)

    def row(self, digest: int) -> int:
        """Finds the row of one utterance; -1 where there is none."""
        key = np.uint64(digest)
        row = self._find_one(key)
        if row < 0 and self._refresh():
            row = self._find_one(key)
        return row

    def rows(self, digests: np.ndarray) -> np.ndarray:
        """Finds the rows ``[utterances]`` of digests; -1 where none is."""
        rows = self._find(digests)
        if (rows < 0).any() and self._refresh():
            rows = self._find(digests)
        return rows

    def register(self, digests: np.ndarray) -> None:
        """Gives a row to each digest that has none."""
        if (self.rows(digests) >= 0).all():
            return
        folder, needed = self.path.parent, _WIDTH * len(digests)
        with explained(folder, needed), self._locked() as (number, size):
            self._refresh()
            new = digests[self._find(digests) < 0]
            new = new[np.sort(np.unique(new, return_index=True)[1])]
            try:
                write_at(number, new.astype("<u8").tobytes(), size)
            except OSError:
                os.ftruncate(number, size)
                raise

    def stored(self, start: int, rows: int) -> np.ndarray:
        """Reads digests from the file: fewer than asked for at its end."""
        try:
            file = Descriptor(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return np.empty(0, np.uint64)
        data = os.pread(file.number, rows * _WIDTH, start * _WIDTH)
        whole = len(data) // _WIDTH * _WIDTH
        return np.frombuffer(data[:whole], "<u8").astype(np.uint64)

    def __len__(self) -> int:
        """Counts the rows of the file."""
        try:
            return self.path.stat().st_size // _WIDTH
        except FileNotFoundError:
            return 0

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        """Keeps others from appending, and cuts off a torn end.

        The lock is the open file's, so it holds between threads as well, and
        ends with the process.
        """
        file = Descriptor(self.path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(file.number, fcntl.LOCK_EX)
        size = os.fstat(file.number).st_size
        if size % _WIDTH:
            size -= size % _WIDTH
            os.ftruncate(file.number, size)
        try:
            yield file.number, size
        finally:
            fcntl.flock(file.number, fcntl.LOCK_UN)

    def _refresh(self) -> bool:
        """Reads what has been appended; says whether that was anything."""
        rows = len(self)
        if rows < self._known:  # it was truncated: nothing known holds
            self._forget()
        if rows == self._known:
            return False
        new = self.stored(self._known, rows - self._known)
        places = np.arange(self._known, self._known + len(new), dtype=np.uint32)
        self._known += len(new)
        self._runs.append(_sorted(new, places))
        # Merged as in a binary counter: few runs, and few merges.
        while len(self._runs) > 1 and (
            len(self._runs[-2][0]) < 2 * len(self._runs[-1][0])
        ):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(
                _sorted(
                    np.concatenate([before[0], last[0]]),
                    np.concatenate([before[1], last[1]]),
                )
            )
        return True

    def _forget(self) -> None:
        """Starts anew."""
        self._known = 0
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def _find(self, digests: np.ndarray) -> np.ndarray:
        """Looks digests up in what has been read."""
        found = np.full(len(digests), -1, np.int64)
        for keys, rows in reversed(self._runs):
            places = keys.searchsorted(digests).clip(max=len(keys) - 1)
            same = keys[places] == digests
            found[same] = rows[places[same]]
        return found

    def _find_one(self, digest: np.uint64) -> int:
        """As ``_find``, faster for one."""
        for keys, rows in self._runs:
            place = keys.searchsorted(digest)
            if place < len(keys) and keys[place] == digest:
                return int(rows[place])
        return -1


def _sorted(
    digests: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sorts by digest; of one that stands twice, the first row leads."""
    order = np.argsort(digests, kind="stable")
    return digests[order], rows[order]
