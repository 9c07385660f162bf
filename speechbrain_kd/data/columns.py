"""Reading a manifest into arrays, a row at a time."""

import csv
import io
import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechbrain_kd.data.manifest import COLUMNS, DATA_ROOT

_MOST_SAMPLES = 2**31 - 1


class Texts(Sequence):
    """Strings in one block of bytes; one is decoded when it is asked for.

    Arguments
    ---------
    blob : bytes
        All of them in UTF-8, end to end.
    ends : np.ndarray
        Where each ends in it [number], int64.

    Example
    -------
    >>> texts = Texts(b"id1id2a", np.array([3, 7]))
    >>> list(texts), texts[-1], texts[:1], "id1" in texts
    (['id1', 'id2a'], 'id2a', ['id1'], True)
    """

    def __init__(self, blob: bytes, ends: np.ndarray) -> None:
        self._blob = blob
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = self._ends[index - 1] if index else 0
        return self._blob[start : self._ends[index]].decode()

    @property
    def nbytes(self) -> int:
        """Bytes of the block and of the ends."""
        return len(self._blob) + self._ends.nbytes


class Columns(NamedTuple):
    """What a manifest says.

    Arguments
    ---------
    ids : Texts
        The utterances' names.
    wavs : Texts
        Their files; those under the data root without it.
    under_root : np.ndarray
        Which are under the data root [utterances], bool.
    durations : np.ndarray
        Seconds [utterances], float64.
    bounds : np.ndarray
        First sample and the one after the last [utterances, 2], int32.
    speaker_index : np.ndarray
        Places in the list of speakers [utterances], int32.
    speakers : list[str]
        In the order of their first utterances.
    """

    ids: Texts
    wavs: Texts
    under_root: np.ndarray
    durations: np.ndarray
    bounds: np.ndarray
    speaker_index: np.ndarray
    speakers: list[str]


def read_columns(path: str | Path) -> Columns:
    """Reads a csv with the columns ID, duration, wav, start, stop, spk_id.

    Arguments
    ---------
    path : str | Path
        The manifest. Further columns are passed over.

    Returns
    -------
    Columns
        Its rows, in their order. ValueError where a column is missing or a
        value is not what it should be.
    """
    gathered = _Gathered(path)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = [x for x in COLUMNS if x not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: expected the columns {', '.join(COLUMNS)}; "
                f"{', '.join(missing)} missing"
            )
        for row in reader:
            gathered.add(row, reader.line_num)
    return gathered.columns()


def lines_of(path: str | Path, utterance: str) -> list[int]:
    """The lines of a csv that hold an utterance."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        return [reader.line_num for row in reader if row["ID"] == utterance]


class _TextsWriter:
    """Strings that are added one by one."""

    def __init__(self) -> None:
        self._blob = io.BytesIO()
        self._ends = array("q")

    def add(self, text: str) -> None:
        self._blob.write(text.encode())
        self._ends.append(self._blob.tell())

    def texts(self) -> Texts:
        # A BytesIO hands its buffer over without a copy.
        return Texts(self._blob.getvalue(), _frozen(self._ends, np.int64))


class _Gathered:
    """The rows read so far, as compact as the columns are."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._ids = _TextsWriter()
        self._wavs = _TextsWriter()
        self._under_root = bytearray()
        self._durations = array("d")
        self._bounds = array("i")
        self._speaker_index = array("i")
        self._speakers: dict[str, int] = {}

    def add(self, row: dict[str, str | None], line: int) -> None:
        """Adds a row; ValueError names the line where it is wrong."""
        for key in COLUMNS:
            if not row[key]:
                raise ValueError(f"{self._path}, line {line}: no {key}")
        wav = row["wav"]
        under_root = wav.startswith(DATA_ROOT)
        if wav.startswith("$") and not under_root:
            raise ValueError(
                f"{self._path}, line {line}: wav: expected a path, or one that "
                f"starts with {DATA_ROOT}, got {wav!r}"
            )
        duration, start, stop = self._numbers(row, line)
        speakers = self._speakers
        speaker = speakers.setdefault(row["spk_id"], len(speakers))
        self._ids.add(row["ID"])
        self._wavs.add(wav[len(DATA_ROOT) :] if under_root else wav)
        self._under_root.append(under_root)
        self._durations.append(duration)
        self._bounds.extend((start, stop))
        self._speaker_index.append(speaker)

    def _numbers(self, row: dict, line: int) -> tuple[float, int, int]:
        try:
            duration = float(row["duration"])
            start, stop = int(row["start"]), int(row["stop"])
            right = 0 <= start < stop <= _MOST_SAMPLES
        except ValueError:
            right = False
        if not right or not math.isfinite(duration) or duration <= 0:
            raise ValueError(
                f"{self._path}, line {line}: expected duration > 0 in seconds "
                f"and whole samples 0 <= start < stop <= {_MOST_SAMPLES}, got "
                f"duration {row['duration']!r}, start {row['start']!r}, stop "
                f"{row['stop']!r}"
            )
        return duration, start, stop

    def columns(self) -> Columns:
        return Columns(
            self._ids.texts(),
            self._wavs.texts(),
            _frozen(self._under_root, bool),
            _frozen(self._durations, np.float64),
            _frozen(self._bounds, np.int32).reshape(-1, 2),
            _frozen(self._speaker_index, np.int32),
            list(self._speakers),
        )


def _frozen(values: array | bytearray, dtype: type) -> np.ndarray:
    """The values as an array that nothing can be written into."""
    return np.frombuffer(bytes(values), dtype)
