"""The files of a store that hold its records, a shard and a view each.

Nothing here is mapped into memory. A write through a map on a full disk, and
a read of a map whose file was truncated, end the process with SIGBUS; with
``pwrite`` and ``pread`` both are errors that can be named. Reading is not
slower for it: 64 random records took 0.09 ms by ``pread``, checksum included,
and 0.24 ms by ``numpy.memmap`` with the check of the size that it needs.
Both carry their offset, so descriptors may be shared after a fork.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from speechbrain_kd.teachers.store_record import decode, record_size

ROWS = 65536  # of a shard
_OPEN = 64  # descriptors kept
_GAP = 8  # rows worth reading for nothing, to save a call
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


class StoreFull(OSError):
    """No room for what was to be stored; what is stored stays good."""


@contextmanager
def explained(folder: Path, needed: int) -> Iterator[None]:
    """Says of a failing write what happened to which store, and what to do.

    Arguments
    ---------
    folder : Path
        The folder that is written to.
    needed : int
        Bytes to be written.

    Raises
    ------
    StoreFull
        If the disk, a quota or a limit of the file size is reached.
    PermissionError
        If the folder may not be written to.
    """
    try:
        yield
    except OSError as error:
        reason = f"{os.strerror(error.errno or 0)}: {needed} bytes to write"
        if error.errno in _FULL:
            raise StoreFull(
                error.errno,
                f"The store of teacher embeddings {folder} is full ({reason}, "
                f"{_free(folder)} free on its disk). What is "
                "stored stays good: make room, or set `store_folder` to "
                "another disk, and start again",
            ) from error
        if error.errno in _REFUSED:
            raise PermissionError(
                error.errno,
                f"The store of teacher embeddings {folder} can be read but "
                f"not written ({reason}): make it writable, fill it "
                "elsewhere first, or set `store_folder` to another folder",
            ) from error
        raise


class Shards:
    """Records by row and view: ``shard-SSSSS.view-VVV.bin``, sparse.

    Arguments
    ---------
    folder : Path
        Where the files lie; its name is the store's key.
    dim : int
        Size of an embedding.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.size = record_size(dim)
        self.store = int(folder.name, 16)
        self._files: dict[tuple[int, int, bool], Descriptor] = {}

    def __getstate__(self) -> dict:
        """Leaves the open files to this process."""
        return {**self.__dict__, "_files": {}}

    def path(self, row: int, view: int) -> Path:
        """Gives the file that holds a row of a view."""
        return self.folder / f"shard-{row // ROWS:05d}.view-{view:03d}.bin"

    def views(self) -> list[int]:
        """Lists the views of which there is a file."""
        names = self.folder.glob("shard-*.view-*.bin")
        return sorted({int(name.stem.rpartition("-")[2]) for name in names})

    def read(self, row: int, view: int, rows: int = 1) -> bytes:
        """Reads rows of one shard; shorter, or empty, where the file ends."""
        try:
            file = self._open(row, view, write=False)
        except FileNotFoundError:
            return b""
        return os.pread(file.number, rows * self.size, self._offset(row))

    def read_all(self, rows: np.ndarray, view: int) -> list[bytes]:
        """Reads many rows, neighbours by one call; in the order asked for."""
        records = [b""] * len(rows)
        for group in _groups(rows, _GAP):
            first = int(rows[group[0]])
            data = self.read(first, view, int(rows[group[-1]]) - first + 1)
            for at in group.tolist():
                start = (int(rows[at]) - first) * self.size
                records[at] = data[start : start + self.size]
        return records

    def write(
        self, rows: np.ndarray, view: int, records: Sequence[bytes]
    ) -> None:
        """Writes records to rows, neighbours by one call."""
        if len(rows) and rows.min() < 0:
            raise RuntimeError(
                f"The index in {self.folder} lost what was just written to "
                "it: another program changes it"
            )
        with explained(self.folder, len(records) * self.size):
            for group in _groups(rows, 1):
                first = int(rows[group[0]])
                file = self._open(first, view, write=True)
                data = b"".join(records[at] for at in group.tolist())
                write_at(file.number, data, self._offset(first))

    def decode(self, record: bytes, digest: int, view: int) -> int | None:
        """Gives the sum of a record's audio; None if it is not its own."""
        if len(record) != self.size:
            return None
        return decode(record, digest, view, self.store)

    def _offset(self, row: int) -> int:
        """Gives the place of a row within its shard."""
        return row % ROWS * self.size

    def _open(self, row: int, view: int, write: bool) -> "Descriptor":
        """Opens a shard's file, or finds it open."""
        key = (row // ROWS, view, write)
        file = self._files.get(key)
        if file is None:
            flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
            file = Descriptor(self.path(row, view), flags)
            while len(self._files) >= _OPEN:
                self._files.pop(next(iter(self._files)))
            self._files[key] = file
        return file


class Descriptor:
    """An open file, closed when nobody uses it any more."""

    def __init__(self, path: Path, flags: int) -> None:
        self.number = os.open(path, flags | os.O_CLOEXEC, 0o666)

    def __del__(self) -> None:
        """Closes the file, if it was ever open."""
        if hasattr(self, "number"):
            os.close(self.number)


def write_at(number: int, data: bytes, offset: int) -> None:
    """Writes all of the data at an offset, in as many calls as it takes."""
    while data:
        written = os.pwrite(number, data, offset)
        data, offset = data[written:], offset + written


def _groups(rows: np.ndarray, gap: int) -> list[np.ndarray]:
    """Places of rows that lie together in one shard, ascending by row."""
    if not len(rows):
        return []
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    step = np.diff(ordered)
    apart = (step > gap) | (step == 0) | (np.diff(ordered // ROWS) > 0)
    return np.split(order, np.flatnonzero(apart) + 1)


def _free(folder: Path) -> int:
    """Gives the free bytes of the disk that a folder lies or would lie on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
