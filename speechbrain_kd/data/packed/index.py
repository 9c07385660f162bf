"""What is in a packed corpus: a table in sorted order, mapped into memory.

``pack.json`` says what the corpus is and is written last; ``index.npy`` has a
row an utterance, sorted by speaker and key; ``names.txt`` has their names in
the same order; ``speakers.npy`` has the first row of each speaker.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechbrain_kd.data.packed.access import SAMPLES, TAR, Reference

PACK_NAME = "pack.json"
INDEX_NAME = "index.npy"
NAMES_NAME = "names.txt"
SPEAKERS_NAME = "speakers.npy"
WORK_NAME = ".pack"
"""Folder of what an interrupted packing goes on with."""

VERSION = 1
"""Of the format."""

KINDS = {"int16": SAMPLES, "tar": TAR}
"""Extension of the shards of each format."""

ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("start", "<i8"),  # sample, or byte in a tar
        ("size", "<i8"),  # samples, or bytes in a tar
        ("samples", "<i8"),
        ("crc32", "<u4"),  # of its bytes in the shard
        ("name", "<i8"),  # byte in names.txt
    ]
)
"""A row of the index."""


class PackedUtterance(NamedTuple):
    """An utterance of a packed corpus.

    Arguments
    ---------
    key : str
        ``<speaker>/<recording>/<number>``.
    extension : str
        That its file had, such as ``.wav``.
    reference : Reference
        Where it lies.
    samples : int
        Its length at 16 kHz.
    crc32 : int
        Of its bytes in the shard.
    """

    key: str
    extension: str
    reference: Reference
    samples: int
    crc32: int


class PackIndex:
    """The index of a packed corpus; only what is asked for is read.

    Arguments
    ---------
    folder : str | Path
        A folder that ``speechbrain-kd pack`` finished. ValueError where it is
        of a newer version or its parts do not belong together.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        path = self.folder / PACK_NAME
        self.facts: dict = json.loads(path.read_text(encoding="utf-8"))
        if self.facts["version"] != VERSION:
            raise ValueError(
                f"{path}: expected version {VERSION}, got "
                f"{self.facts['version']}: made by another speechbrain_kd"
            )
        self.kind = KINDS[self.facts["format"]]
        self.rows = np.load(self.folder / INDEX_NAME, mmap_mode="r")
        self._names = np.memmap(self.folder / NAMES_NAME, "u1", mode="r")
        self._firsts = np.load(self.folder / SPEAKERS_NAME)
        counts = [len(self.rows), len(self._firsts) - 1]
        said = [self.facts["utterances"], self.facts["speakers"]]
        if counts != said or self._firsts[-1] != len(self.rows):
            raise ValueError(
                f"{path}: expected {said[0]} utterances of {said[1]} speakers, "
                f"the index has {counts[0]} of {counts[1]}; copy it again"
            )
        self.speakers = [
            self.names(x, x + 1)[0].split("/")[0] for x in self._firsts[:-1]
        ]
        self._number = {name: n for n, name in enumerate(self.speakers)}

    def shard_path(self, shard: int) -> Path:
        """The file of a shard."""
        return self.folder / shard_name(shard, self.kind)

    def digest(self, speaker: str) -> str:
        """Changes with the folder and with anything in the index."""
        first, last = self._range(speaker)
        parts = [str(self.folder), self.facts["index_crc32"], first, last]
        text = json.dumps(parts).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def count(self, speaker: str) -> int:
        """Number of utterances of a speaker; 0 where there is no such."""
        first, last = self._range(speaker)
        return last - first

    def utterances(self, speaker: str) -> list[PackedUtterance]:
        """The utterances of a speaker, sorted by key; maybe none."""
        return self.read(*self._range(speaker))

    def read(self, first: int, last: int) -> list[PackedUtterance]:
        """The utterances of a range of rows."""
        return [
            _utterance(
                f"{self.folder}/{shard_name(shard, self.kind)}",
                self.kind,
                name,
                start,
                size,
                samples,
                crc,
            )
            for name, (shard, start, size, samples, crc, _) in zip(
                self.names(first, last),
                self.rows[first:last].tolist(),
                strict=True,
            )
        ]

    def _range(self, speaker: str) -> tuple[int, int]:
        number = self._number.get(speaker)
        if number is None:
            return 0, 0
        return int(self._firsts[number]), int(self._firsts[number + 1])

    def names(self, first: int, last: int) -> list[str]:
        """``<speaker>/<recording>/<number>.<extension>`` of a range of rows."""
        if first == last:
            return []
        start = self.rows["name"][first]
        end = self.rows["name"][last] if last < len(self.rows) else None
        text = self._names[start:end].tobytes()
        return text.decode("utf-8", "surrogateescape").split("\n")[:-1]


def _utterance(shard, kind, name, start, size, samples, crc):
    key, dot, extension = name.rpartition(".")
    reference = Reference(shard, kind, start, size)
    return PackedUtterance(key, dot + extension, reference, samples, crc)


def shard_name(shard: int, kind: str) -> str:
    """Name of a shard's file.

    Example
    -------
    >>> shard_name(3, ".i16")
    'shard-00003.i16'
    """
    return f"shard-{shard:05d}{kind}"


def open_index(folder: str | Path) -> PackIndex | None:
    """The index of a packed corpus, read once a process.

    Arguments
    ---------
    folder : str | Path
        Any folder.

    Returns
    -------
    PackIndex | None
        None where the folder is not packed. ValueError where packing has not
        been finished there.
    """
    folder = Path(folder)
    path = folder / PACK_NAME
    if path.is_file():
        stat = path.stat()
        return _open(folder, stat.st_ino, stat.st_mtime_ns)
    if (folder / WORK_NAME).is_dir():
        raise ValueError(
            f"{folder}: packing has not been finished here: run the same "
            "speechbrain-kd pack again, it goes on where it stopped"
        )
    return None


@lru_cache(maxsize=8)
def _open(folder: Path, inode: int, mtime_ns: int) -> PackIndex:
    return PackIndex(folder)
