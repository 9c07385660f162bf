"""The file that a scan of headers writes: a JSON line a speaker.

It is only ever appended to while a scan runs, so that an interruption costs
at most one speaker; records are found by their place in the file, so that
memory does not grow with the number of files.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.decoders import SAMPLE_RATE


class Header(NamedTuple):
    """What the header of an utterance says.

    Arguments
    ---------
    path : str
        The file.
    frames : int
        Samples at 16 kHz.
    sample_rate : int
        The file's own rate.
    channels : int
        Number of channels.
    name : str
        ``<speaker>/<recording>/<number>`` where the path does not say it, as
        that of a packed utterance.
    """

    path: str
    frames: int
    sample_rate: int
    channels: int
    name: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / SAMPLE_RATE

    @property
    def key(self) -> str:
        """``<speaker>/<recording>/<number>``."""
        if self.name:
            return self.name
        return "/".join(os.path.splitext(self.path)[0].split(os.sep)[-3:])


class ScanFile:
    """The file of results, read a speaker at a time.

    Arguments
    ---------
    path : Path
        The file; it need not exist. A torn last line, as an interruption
        leaves it, is passed over.
    """

    def __init__(self, path: Path):
        self.path = path
        self.digests: dict[str, str] = {}
        self._offsets: dict[str, int] = {}
        self._lines = 0
        self._torn = False
        if path.is_file():
            self._index()

    def _index(self) -> None:
        offset = 0
        with open(self.path, "rb") as file:
            for line in file:
                self._torn = not line.endswith(b"\n")
                self._lines += 1
                try:
                    record = json.loads(line)
                except ValueError:
                    record = None
                if isinstance(record, dict):
                    self._note(record, offset)
                offset += len(line)

    def _note(self, record: dict, offset: int) -> None:
        speaker = record["speaker"]
        self._offsets[speaker] = offset
        # What could not be read may be readable now.
        broken = bool(record["broken"])
        self.digests[speaker] = "" if broken else record["digest"]

    def extend(self, records: Iterable[dict]) -> Iterator[dict]:
        """Appends records as they come, and passes them on."""
        with open(self.path, "ab") as file:
            if self._torn:
                file.write(b"\n")
                self._torn = False
            for record in records:
                offset = file.tell()
                file.write(json.dumps(record).encode() + b"\n")
                file.flush()
                self._lines += 1
                self._note(record, offset)
                yield record

    def read(self, speakers: Iterable[str]) -> Iterator[dict]:
        """Gives the records of the speakers, in their order."""
        with open(self.path, "rb") as file:
            for speaker in speakers:
                file.seek(self._offsets[speaker])
                record = json.loads(file.readline())
                record["headers"] = [Header(*row) for row in record["headers"]]
                yield record

    def compact(self) -> None:
        """Drops lines that later ones replaced."""
        if self._lines == len(self._offsets):
            return
        with atomic_path(self.path) as part, open(part, "wb") as file:
            with open(self.path, "rb") as source:
                for offset in sorted(self._offsets.values()):
                    source.seek(offset)
                    file.write(source.readline())
        self.__init__(self.path)
