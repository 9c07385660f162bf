"""Which utterance goes into which shard, before any audio is decoded.

The list of utterances lies in a file, so that a plan of a million of them
takes 16 bytes of memory each.
"""

import hashlib
import json
import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechbrain_kd.data.layout import Root, Utterance, list_utterances
from speechbrain_kd.data.packed.access import SAMPLES
from speechbrain_kd.data.packed.index import VERSION, shard_name
from speechbrain_kd.data.scan import Listing, read_records
from speechbrain_kd.data.scan_file import ScanFile

_LINES = "plan.jsonl"
_SEED = 1986


class Job(NamedTuple):
    """A shard to write.

    Arguments
    ---------
    shard : Path
        The file.
    kind : str
        ``SAMPLES`` or ``TAR``.
    work : Path
        Folder of the plan and of the indices of single shards.
    offsets : np.ndarray
        Where its utterances stand in the plan's file.
    positions : np.ndarray
        Their places in the sorted corpus.
    digest : str
        Changes with any of its files.
    on_broken : str
        ``error`` or ``drop``.
    """

    shard: Path
    kind: str
    work: Path
    offsets: np.ndarray
    positions: np.ndarray
    digest: str
    on_broken: str

    @property
    def index(self) -> Path:
        """The shard's own index; where it is, the shard is finished."""
        return self.work / f"{self.shard.stem}.npz"

    def utterances(self) -> Iterator[Utterance]:
        """The utterances in the order of the shard."""
        with open(self.work / _LINES, "rb") as file:
            for offset in self.offsets.tolist():
                file.seek(offset)
                yield Utterance(*json.loads(file.readline()))


class Plan:
    """The shards of a corpus.

    Arguments
    ---------
    roots : list[Root]
        The folders of speakers.
    listings : list[Listing]
        Of the speakers, sorted.
    scan_file : ScanFile
        Their headers.
    work : Path
        Where the list of utterances is written.
    kind : str
        ``SAMPLES``: in order. ``TAR``: shuffled by a fixed seed, so that who
        reads in sequence sees speakers mixed.
    shard_bytes : float
        Most bytes of a shard's audio before it is compressed, but for the
        length of an utterance.
    """

    def __init__(
        self,
        roots: list[Root],
        listings: list[Listing],
        scan_file: ScanFile,
        work: Path,
        kind: str,
        shard_bytes: float,
    ):
        self.work, self.kind = work, kind
        self.broken: list[str] = []
        offsets, samples = array("q"), array("q")
        with open(work / _LINES, "wb") as file:
            for record in read_records(roots, listings, scan_file):
                self.broken += [why for _, why in record["broken"]]
                for item in _with_lengths(roots, record):
                    _check_key(item)
                    offsets.append(file.tell())
                    samples.append(item.samples)
                    file.write(json.dumps(item).encode() + b"\n")
        self._offsets = np.frombuffer(offsets, "i8")
        self.samples = np.frombuffer(samples, "i8")
        self._order = np.arange(len(samples))
        if kind != SAMPLES:
            np.random.default_rng(_SEED).shuffle(self._order)
        self._bounds = _bounds(2 * self.samples[self._order], shard_bytes)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self._bounds) - 1

    def jobs(self, output: Path, on_broken: str) -> Iterator[Job]:
        """The shards, one at a time."""
        for shard in range(self.shards):
            first, last = self._bounds[shard : shard + 2]
            positions = self._order[first:last]
            offsets = self._offsets[positions]
            yield Job(
                output / shard_name(shard, self.kind),
                self.kind,
                self.work,
                offsets,
                positions,
                self._digest(offsets, positions),
                on_broken,
            )

    def _digest(self, offsets: np.ndarray, positions: np.ndarray) -> str:
        digest = hashlib.blake2b(f"{VERSION}{self.kind}".encode())
        digest.update(positions.tobytes())
        with open(self.work / _LINES, "rb") as file:
            for offset in offsets.tolist():
                file.seek(offset)
                digest.update(file.readline())
        return digest.hexdigest()[:32]


def _with_lengths(roots: list[Root], record: dict) -> Iterator[Utterance]:
    """The utterances of a speaker whose headers can be read."""
    lengths = {header.path: header.frames for header in record["headers"]}
    for item in list_utterances(roots, record["speaker"])[0]:
        if item.path in lengths:
            yield item._replace(samples=lengths[item.path])


def _check_key(item: Utterance) -> None:
    """Ids join the parts by ``--``; the last must be found again."""
    number = item.key.rsplit("/", 1)[1]
    if "\n" in item.key or "--" in number or number.startswith("-"):
        raise ValueError(
            f"{item.path}: expected a file name without a line break, '--' or "
            f"'-' at its beginning, got {number!r}; rename it"
        )


def _bounds(sizes: np.ndarray, most: float) -> list[int]:
    """Where shards begin and end, all of about the same size."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    shards = max(1, math.ceil(total / most))
    targets = total / shards * np.arange(1, shards)
    bounds = np.searchsorted(ends, targets, side="right").tolist()
    return sorted({0, *bounds, len(sizes)})
