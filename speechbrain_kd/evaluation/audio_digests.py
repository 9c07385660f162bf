"""What tells one recording from another: digests of the bytes of files.

A digest is 96 bits of BLAKE2b over the file's bytes, so the same audio under
two names is the same, and a file that changed is another. Reading all files
of a large list takes a while, so digests are noted with what the system says
of the file: size, times of change of content and of inode, and inode number.
The time of change of the inode cannot be set by any program, so a file that
was changed and given its old size and date is seen all the same. A file
changed within the last two seconds is not noted: it could change again within
one tick of the clock.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.packed.access import (
    SAMPLES,
    parse_reference,
    read_bytes,
)

logger = logging.getLogger(__name__)

#: A digest: what the index knows it by, and what the record adds.
DIGEST = np.dtype([("key", "<u8"), ("check", "<u4")])
_STAT = [("size", "<i8"), ("mtime", "<i8"), ("ctime", "<i8"), ("inode", "<u8")]
_NOTE = np.dtype([("path", "<u8"), *_STAT, *DIGEST.descr])
_KNOWN_BY = ["path", *(name for name, _ in _STAT)]
_BLOCK = 4096  # files hashed between two savings
_SETTLED_NS = 2_000_000_000
_THREADS = 4


class AudioDigests:
    """Digests of files, with a note of those that were computed before.

    Arguments
    ---------
    notes : str | Path
        The file of the notes, which need not exist. A damaged one is begun
        anew; it saves time and decides nothing else.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name, data in (("a", b"1"), ("b", b"2"), ("c", b"1")):
    ...     _ = (folder / name).write_bytes(data)
    >>> first, second, again = AudioDigests(folder / "notes.npy").of(
    ...     [folder / name for name in "abc"], progressbar=False
    ... )
    >>> bool(first == again), bool(first == second)
    (True, False)
    """

    def __init__(self, notes: str | Path) -> None:
        self._file = Path(notes)
        self._notes = _read_notes(self._file)

    def of(
        self, paths: Sequence[str | Path], progressbar: bool = True
    ) -> np.ndarray:
        """Gives the digests of files.

        Arguments
        ---------
        paths : Sequence[str | Path]
            Files, or utterances of a packed corpus.
        progressbar : bool
            Whether to show one where files must be read.

        Returns
        -------
        np.ndarray
            [files], of the type ``DIGEST``.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        """
        seen = np.zeros(len(paths), _NOTE)
        for at, path in enumerate(paths):
            seen[at] = _look_at(path)
        new = self._recall(seen)
        with tqdm(
            total=len(new),
            unit="file",
            desc="read",
            disable=not progressbar or not len(new),
        ) as bar:
            for start in range(0, len(new), _BLOCK):
                block = new[start : start + _BLOCK]
                for at, digest in zip(
                    block, _hashed([paths[at] for at in block]), strict=True
                ):
                    seen["key"][at], seen["check"][at] = digest
                    bar.update()
                self._note(seen[block])
        digests = np.empty(len(paths), DIGEST)
        digests["key"], digests["check"] = seen["key"], seen["check"]
        return digests

    def _recall(self, seen: np.ndarray) -> np.ndarray:
        """Fills in what is noted; gives the positions of the rest."""
        if not len(self._notes):
            return np.arange(len(seen))
        places = self._notes["path"].searchsorted(seen["path"])
        found = self._notes[places.clip(max=len(self._notes) - 1)]
        same = np.logical_and.reduce(
            [found[name] == seen[name] for name in _KNOWN_BY]
        )
        for name in DIGEST.names:
            seen[name][same] = found[name][same]
        return np.flatnonzero(~same)

    def _note(self, seen: np.ndarray) -> None:
        """Keeps digests of files that have been left alone for a while."""
        settled = seen[seen["ctime"] < time.time_ns() - _SETTLED_NS]
        if not len(settled):
            return
        # Another process may have written notes meanwhile.
        both = np.concatenate([settled, self._notes, _read_notes(self._file)])
        self._notes = both[np.unique(both["path"], return_index=True)[1]]
        with atomic_path(self._file) as part, open(part, "wb") as file:
            np.save(file, self._notes, allow_pickle=False)


def _look_at(path: str | Path) -> tuple[int, ...]:
    """A path's own number and what the system says of its file."""
    reference = parse_reference(path)
    try:
        stat = os.stat(path if reference is None else reference.shard)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such file") from error
    name = os.path.abspath(path).encode("utf-8", "surrogateescape")
    number = hashlib.blake2b(name, digest_size=8).digest()
    return (
        int.from_bytes(number, "little"),
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
        stat.st_ino,
        0,
        0,
    )


def _hashed(paths: list[str | Path]) -> Iterator[tuple[int, int]]:
    """Digests of files that are read, a few at a time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(_hash, paths)


def _hash(path: str | Path) -> tuple[int, int]:
    """Key and check of one file, or of one utterance of a pack."""
    digest = hashlib.blake2b(digest_size=12)
    reference = parse_reference(path)
    if reference is None:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    else:
        # Bare samples have no header to tell them from a file.
        digest.update(b"samples" if reference.kind == SAMPLES else b"")
        digest.update(read_bytes(reference))
    data = digest.digest()
    return int.from_bytes(data[:8], "little"), int.from_bytes(
        data[8:], "little"
    )


def _read_notes(path: Path) -> np.ndarray:
    """Notes sorted by path; none where the file is missing or damaged."""
    try:
        notes = np.load(path, allow_pickle=False)
        if notes.dtype == _NOTE and notes.ndim == 1:
            return notes[np.argsort(notes["path"], kind="stable")]
        reason = f"it holds {notes.dtype}, expected {_NOTE}"
    except FileNotFoundError:
        return np.empty(0, _NOTE)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error)
    logger.warning("%s is damaged and begun anew (%s)", path, reason)
    return np.empty(0, _NOTE)
