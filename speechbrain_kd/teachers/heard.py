"""What teachers say of a set of utterances, for those that learn from it.

A teacher's embeddings are kept on disk by its fingerprint and by a digest of
what it heard, and so is what is made of them: it is computed once, by the main
rank, and other ranks and resumed runs read the same bits.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.data.views import edge_sum
from speechbrain_kd.teachers.asking import Asking
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.remembered import Arrays, forget, remembered


class Heard:
    """Utterances of known speakers that teachers are asked about.

    Arguments
    ---------
    table : ManifestTable
        A manifest.
    folder : str | Path
        Where answers are kept; runs share it.
    device : str | torch.device
        Where teachers are asked.
    num_workers : int
        Processes that read audio; 0 reads in this one.
    seconds : float | None
        Most to hear of an utterance, from its middle; None hears all.
    rows : Sequence[int] | None
        Places in the manifest; by default all.
    progressbar : bool
        Whether to show one.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> rows = ["ID,duration,wav,start,stop,spk_id"]
    >>> for name in ("ann", "bob"):
    ...     soundfile.write(folder / f"{name}.wav", [0.5] * 16000, 16000)
    ...     rows.append(f"{name}-1,1.0,$data_root/{name}.wav,0,16000,{name}")
    >>> _ = (folder / "train.csv").write_text(chr(10).join(rows))
    >>> class Level(Teacher):
    ...     def encode(self, wavs, lens):
    ...         return wavs.mean(dim=1, keepdim=True)
    >>> table = ManifestTable.from_csv(folder / "train.csv", folder)
    >>> heard = Heard(table, folder / "heard", progressbar=False)
    >>> heard.speakers, heard.embeddings(Level("level", 1).freeze())
    (['ann', 'bob'], tensor([[0.5000],
            [0.5000]]))
    """

    def __init__(
        self,
        table: ManifestTable,
        folder: str | Path,
        device: str | torch.device = "cpu",
        num_workers: int = 0,
        seconds: float | None = None,
        rows: Sequence[int] | None = None,
        progressbar: bool = True,
    ) -> None:
        self.table = table
        self.folder = Path(folder)
        self.device = device
        self.num_workers = num_workers
        self.seconds = seconds
        self.rows = list(range(len(table)) if rows is None else rows)
        self.progressbar = progressbar
        self._digest = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def utterances(self) -> list[str]:
        """Their ids."""
        return [self.table.ids[row] for row in self.rows]

    @property
    def speakers(self) -> list[str]:
        """The speaker of each utterance."""
        index = self.table.speaker_index[self.rows].tolist()
        return [self.table.speakers[one] for one in index]

    def some(
        self, per_speaker: int | None = None, seconds: float | None = None
    ) -> "Heard":
        """Some utterances of each speaker, evenly over the manifest.

        Neighbours in a manifest are of one recording, so that this hears a
        speaker in as many recordings as may be.

        Arguments
        ---------
        per_speaker : int | None
            Most utterances of a speaker; None takes all.
        seconds : float | None
            Most to hear of an utterance; None hears all.

        Returns
        -------
        Heard
            The same utterances for the same manifest.
        """
        index = self.table.speaker_index[self.rows]
        order = np.argsort(index, kind="stable")
        _, first, sizes = np.unique(
            index[order], return_index=True, return_counts=True
        )
        picked = []
        for start, size in zip(first.tolist(), sizes.tolist(), strict=True):
            most = min(size, per_speaker or size)
            places = np.linspace(0, size - 1, most).round().astype(int)
            picked += order[start + places].tolist()
        return self._of([self.rows[place] for place in sorted(picked)], seconds)

    def part(self, start: int, stop: int) -> "Heard":
        """Some that stand beside each other.

        Arguments
        ---------
        start, stop : int
            As of a slice.

        Returns
        -------
        Heard
            As much is heard of each.
        """
        return self._of(self.rows[start:stop], self.seconds)

    def _of(self, rows, seconds):
        """The same for other rows of the manifest."""
        return Heard(
            self.table,
            self.folder,
            self.device,
            self.num_workers,
            seconds,
            rows,
            self.progressbar,
        )

    def embeddings(self, teacher: Teacher) -> torch.Tensor:
        """What a teacher says of the utterances; asked once.

        What was asked before a stop is not asked again after it.

        Arguments
        ---------
        teacher : Teacher
            On the device of this object.

        Returns
        -------
        torch.Tensor
            fp32 on the CPU, ``[utterances, dim]``, not normalised.

        Raises
        ------
        ValueError
            If it says what is no number, or a file cannot be read.
        """
        asking = Asking(self, teacher)
        found = self.remembered("embeddings", asking.settings, asking.all)
        asking.forget()
        return torch.from_numpy(found["embeddings"])

    def remembered(
        self,
        what: str,
        settings: Mapping[str, Any],
        make: Callable[[], Arrays],
    ) -> Arrays:
        """Arrays that follow from these utterances, made once.

        Arguments
        ---------
        what : str
            Their name.
        settings : Mapping[str, Any]
            All else that they follow from, of plain kinds.
        make : Callable[[], dict[str, np.ndarray]]
            Makes them.

        Returns
        -------
        dict[str, np.ndarray]
            As they were made, also by another process or run.
        """
        return remembered(self.folder, what, self._key(settings), make)

    def forget(self, what: str, settings: Mapping[str, Any]) -> None:
        """Takes away what was remembered.

        Arguments
        ---------
        what, settings : str, Mapping[str, Any]
            As it was made with.
        """
        forget(self.folder, what, self._key(settings))

    def _key(self, settings):
        """All that arrays of these utterances follow from."""
        return {"heard": self.digest(), **settings}

    def digest(self) -> str:
        """Identifies utterances, speakers, audio and how much is heard."""
        if not self._digest:
            digest = hashlib.sha256(repr(self.seconds).encode())
            for row in map(self.table.row, self.rows):
                known = (row["id"], row["spk_id"], row["stop"])
                digest.update(repr((*known, edge_sum(row["wav"]))).encode())
            self._digest = digest.hexdigest()
        return self._digest
