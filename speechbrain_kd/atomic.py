"""Write beside, then rename: nothing that fails leaves half a file behind."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary sibling of a path, renamed onto it on success.

    Arguments
    ---------
    path : str | Path
        The file (or folder) to write. Parent folders are made. A folder that
        stands at ``path`` is replaced.

    Yields
    ------
    Path
        A path in a private folder on the same file system, of the same name.
        It does not exist yet.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> with atomic_path(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        part = beside / path.name
        yield part
        if path.is_dir() and part.is_dir():
            os.replace(path, beside / ".old")
        os.replace(part, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def one_at_a_time(path: str | Path) -> Iterator[None]:
    """Waits until no other process is in here with the same file.

    Arguments
    ---------
    path : str | Path
        An empty file, which is made and stays; the lock on it ends with its
        process. On systems without ``fcntl`` nobody waits.

    Yields
    ------
    None
        When it is this process's turn.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with open(path, "a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def is_foreign(folder: Path, ours: Callable[[Path], bool]) -> bool:
    """Whether something stands where a folder is to be, that is not ours.

    Arguments
    ---------
    folder : Path
        What is to be written.
    ours : Callable[[Path], bool]
        Whether a folder is one that we wrote.

    Returns
    -------
    bool
        False for what is not there and for an empty folder.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> is_foreign(folder, lambda _: False)
    False
    >>> _ = (folder / "a.txt").write_text("a")
    >>> is_foreign(folder, lambda _: False), is_foreign(folder, lambda _: True)
    (True, False)
    """
    if not folder.is_dir():
        return folder.exists()
    return any(folder.iterdir()) and not ours(folder)
