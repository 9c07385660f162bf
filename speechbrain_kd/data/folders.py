"""One folder of speakers, plain or packed: who is in it, and which files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speechbrain_kd.data.packed.index import (
    PackedUtterance,
    PackIndex,
    open_index,
)


class Root(NamedTuple):
    """A folder of speakers, or a packed corpus.

    Arguments
    ---------
    path : Path
        The folder.
    is_test : bool
        Whether it is set apart for testing (``test/aac``, ``vox1_test_wav``).
    """

    path: Path
    is_test: bool


class Utterance(NamedTuple):
    """A file of a speaker as the listing shows it, or one of a pack.

    Arguments
    ---------
    key : str
        ``<speaker>/<recording>/<number>``.
    path : str
        The file, or ``<shard>#<start>+<size>``.
    size : int
        Bytes; -1 where it cannot be looked at (a broken link). Of a packed
        utterance its checksum, which stands for it.
    mtime_ns : int
        Time of its last change; 0 for a packed utterance.
    extension : str
        ``.wav`` or what it is, or was before it was packed.
    samples : int
        Its length at 16 kHz where the index says it, or -1.
    """

    key: str
    path: str
    size: int
    mtime_ns: int
    extension: str
    samples: int = -1


def speakers_of(root: Path) -> list[str]:
    """The speakers of a root, sorted."""
    index = open_index(root)
    if index is not None:
        return index.speakers
    return [os.path.basename(child) for child in subfolders(root)]


def files_of(
    root: Path, speaker: str
) -> Iterator[tuple[str, str, os.DirEntry | PackedUtterance]]:
    """Key, extension and place of every file of a speaker in a root."""
    index = open_index(root)
    if index is not None:
        for item in index.utterances(speaker):
            yield item.key, item.extension, item
        return
    folder = root / speaker
    for recording in subfolders(folder) if folder.is_dir() else ():
        prefix = f"{speaker}/{os.path.basename(recording)}/"
        for entry in _entries(recording):
            stem, extension = os.path.splitext(entry.name)
            yield prefix + stem, extension, entry


def look_at(key: str, entry: os.DirEntry | PackedUtterance) -> Utterance:
    """What the file system, or the index, says of a file."""
    if isinstance(entry, PackedUtterance):
        _, extension, reference, samples, crc = entry
        return Utterance(key, str(reference), crc, 0, extension, samples)
    extension = os.path.splitext(entry.name)[1]
    try:
        stat = entry.stat()
    except OSError:
        # Reading its header will say what is wrong with it.
        return Utterance(key, entry.path, -1, 0, extension)
    return Utterance(key, entry.path, stat.st_size, stat.st_mtime_ns, extension)


def pack_with(roots: list[Root], speaker: str) -> PackIndex | None:
    """The packed corpus in which all of a speaker lies; None without one.

    Arguments
    ---------
    roots : list[Root]
        What ``find_roots`` found, of all data folders.
    speaker : str
        Name of the speaker.
    """
    found = None
    for root in roots:
        index = open_index(root.path)
        if index is not None and not index.count(speaker):
            continue
        if index is None and not (root.path / speaker).is_dir():
            continue
        if index is None or found is not None:
            return None
        found = index
    return found


def _entries(folder: str | Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def subfolders(folder: str | Path) -> list[str]:
    """The folders in a folder, sorted; hidden ones are passed over."""
    return sorted(entry.path for entry in _entries(folder) if entry.is_dir())
