"""A manifest as a few arrays: memory stays flat at a million utterances.

SpeechBrain keeps a manifest as a dict of dicts, some 670 bytes an utterance,
and every object that a loader's worker looks at has its reference count
written: the memory that a fork shares is copied little by little, once for
each worker. Here an utterance costs about 110 bytes, in arrays, in which
nothing is written when they are read.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import DataPipeline

from speechbrain_kd.data.columns import Columns, Texts, lines_of, read_columns

_KEYS = ("id", "duration", "wav", "start", "stop", "spk_id")


class ManifestTable(Mapping):
    """A manifest in columns; as a mapping it gives rows by their ids.

    ``from_csv`` makes one.

    Arguments
    ---------
    columns : Columns
        What the manifest says.
    data_root : str
        Folder of the files.
    """

    def __init__(self, columns: Columns, data_root: str) -> None:
        self.data_root = data_root
        self._columns = columns
        ids = columns.ids
        digests = np.fromiter(map(_digest, ids), np.uint64, len(ids))
        self._order = np.argsort(digests, kind="stable").astype(np.int32)
        self._digests = digests[self._order]

    @classmethod
    def from_csv(
        cls, path: str | Path, data_root: str | Path | None
    ) -> "ManifestTable":
        """Reads a manifest, a row at a time.

        Arguments
        ---------
        path : str | Path
            A csv with the columns ID, duration, wav, start, stop, spk_id;
            others are passed over.
        data_root : str | Path | None
            What ``$data_root`` stands for.

        Returns
        -------
        ManifestTable
            Its rows in the order of the file. ValueError where a column is
            missing, a value is not what it should be, or an id comes twice.
        """
        table = cls(read_columns(path), str(data_root or ""))
        twice = table._first_twice()
        if twice is not None:
            lines = ", ".join(map(str, lines_of(path, twice)))
            raise ValueError(
                f"{path}: expected each ID once, got {twice!r} in the lines "
                f"{lines}"
            )
        return table

    def _first_twice(self) -> str | None:
        same = np.flatnonzero(self._digests[1:] == self._digests[:-1]) + 1
        for index in sorted(self._order[same].tolist()):
            if self.position(self.ids[index]) != index:
                return self.ids[index]
        return None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __getitem__(self, utterance: str) -> dict[str, str | float]:
        return self.row(self.position(utterance))

    @property
    def ids(self) -> Texts:
        """The utterances' names, in the order of the manifest."""
        return self._columns.ids

    @property
    def durations(self) -> np.ndarray:
        """Seconds [utterances], float64."""
        return self._columns.durations

    @property
    def speakers(self) -> list[str]:
        """In the order of their first utterances."""
        return self._columns.speakers

    @property
    def speaker_index(self) -> np.ndarray:
        """Places in ``speakers`` [utterances], int32."""
        return self._columns.speaker_index

    def utterances_by_speaker(self) -> dict[str, int]:
        """How many utterances each speaker has."""
        counts = np.bincount(self.speaker_index, minlength=len(self.speakers))
        return dict(zip(self.speakers, counts.tolist(), strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of all columns and of the index."""
        arrays = (*self._columns[:-1], self._order, self._digests)
        return sum(column.nbytes for column in arrays)

    def row(self, index: int) -> dict[str, str | float]:
        """An utterance by its place.

        Arguments
        ---------
        index : int
            The place; negative ones count from the end.

        Returns
        -------
        dict[str, str | float]
            id, duration, wav, start, stop and spk_id, as SpeechBrain reads
            them: all but the duration are strings.
        """
        columns = self._columns
        wav = columns.wavs[index]
        start, stop = columns.bounds[index]
        return {
            "id": columns.ids[index],
            "duration": float(columns.durations[index]),
            "wav": f"{self.data_root}/{wav}"
            if columns.under_root[index]
            else wav,
            "start": str(start),
            "stop": str(stop),
            "spk_id": columns.speakers[columns.speaker_index[index]],
        }

    def position(self, utterance: str) -> int:
        """The place of an utterance; KeyError where it is not there."""
        digest = np.uint64(_digest(utterance))
        place = int(np.searchsorted(self._digests, digest))
        # Two names may share a digest, though hardly ever.
        while place < len(self) and self._digests[place] == digest:
            index = int(self._order[place])
            if self.ids[index] == utterance:
                return index
            place += 1
        raise KeyError(utterance)


class TableDataset(DynamicItemDataset):
    """SpeechBrain's dataset over a table.

    Arguments
    ---------
    table : ManifestTable
        The utterances.
    output_keys : Sequence[str]
        Keys to include in an item.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> head = "ID,duration,wav,start,stop,spk_id"
    >>> row = "id1--a--1,1.5,$data_root/id1/a/1.wav,0,24000,id1"
    >>> _ = path.write_text(head + chr(10) + row)
    >>> ours = TableDataset(ManifestTable.from_csv(path, "/data"))
    >>> theirs = DynamicItemDataset.from_csv(path, {"data_root": "/data"})
    >>> keys = ["id", "duration", "wav", "start", "stop", "spk_id"]
    >>> for dataset in (ours, theirs):
    ...     dataset.set_output_keys(keys)
    >>> ours[0] == theirs[0]
    True
    """

    def __init__(
        self, table: ManifestTable, output_keys: Sequence[str] = ()
    ) -> None:
        # The parent's would make a list of all ids.
        self.data = table
        self.data_ids = table.ids
        self.pipeline = DataPipeline(list(_KEYS))
        self.set_output_keys(list(output_keys))

    def __getitem__(self, index: int) -> dict:
        return self.pipeline.compute_outputs(self.data.row(index))


def _digest(utterance: str) -> int:
    digest = hashlib.blake2b(utterance.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
