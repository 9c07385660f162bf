"""Work shared out among processes that know nothing of each other."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechbrain_kd.teachers.store_files import Descriptor, explained


class Claims:
    """Locks of the kernel's on the bytes of a file, one a piece of work.

    A lock is given back when its process ends, however it ends. Claims share
    out work and protect nothing: the records protect themselves. Threads of
    one process do not exclude each other.

    Arguments
    ---------
    path : Path
        The file, which stays empty.

    Example
    -------
    >>> claims = Claims(getfixture("tmp_path") / "claims")
    >>> with claims.claim(7) as ours:
    ...     ours
    True
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Descriptor | None = None

    def __getstate__(self) -> dict:
        """Leaves the open file to this process."""
        return {"path": self.path, "_file": None}

    @contextmanager
    def claim(self, block: int, wait: bool = False) -> Iterator[bool]:
        """Asks for a piece of work; see :meth:`TeacherStore.claim`."""
        if self._file is None:  # and then kept: closing it ends all claims
            with explained(self.path.parent, 0):
                self._file = Descriptor(self.path, os.O_RDWR | os.O_CREAT)
        ours = self._lock(block, wait)
        try:
            yield ours
        finally:
            if ours:
                fcntl.lockf(self._file.number, fcntl.LOCK_UN, 1, block)

    def _lock(self, block: int, wait: bool) -> bool:
        """Locks the byte of a block; False if another process has it."""
        kind = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.lockf(self._file.number, kind, 1, block)
        except (BlockingIOError, PermissionError):
            return False
        return True
