"""Asks a teacher about many utterances, and keeps what was said so far.

Where it is stopped in the middle, by a file that is damaged or by somebody,
the next try goes on from there.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.speed.threads import start_method
from speechbrain_kd.teachers.ask import ask
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.remembered import Arrays

if TYPE_CHECKING:
    from speechbrain_kd.teachers.heard import Heard

_AT_ONCE = 256  # waveforms held in memory
_KEPT = 4  # as many times that are kept together
_LEAST = SAMPLE_RATE // 10  # shorter ones are repeated up to this


class Asking:
    """What a teacher says of utterances, in parts that outlive a stop.

    Arguments
    ---------
    heard : Heard
        The utterances. Parts are kept in its folder.
    teacher : Teacher
        On the device of the utterances.
    """

    def __init__(self, heard: "Heard", teacher: Teacher) -> None:
        self.heard = heard
        self.teacher = teacher
        self.settings = {"teacher": teacher.fingerprint()}
        self._answers: Iterator[np.ndarray] = iter(())
        self._next = -1  # the first utterance of what comes next from them
        self._kept: list[Heard] = []

    def all(self) -> Arrays:
        """Asks about all that was not asked yet.

        Returns
        -------
        dict[str, np.ndarray]
            ``embeddings`` [utterances, dim], fp32, not normalised. ValueError
            where a file cannot be read, or what the teacher says is no number.
        """
        size, count = _AT_ONCE * _KEPT, len(self.heard)
        with tqdm(
            total=count,
            unit="utt",
            desc="ask",
            disable=not self.heard.progressbar,
        ) as bar:
            parts = []
            for start in range(0, count, size):
                stop = min(start + size, count)
                parts.append(self._part(start, stop, bar))
                bar.update(stop - bar.n)
        embeddings = np.concatenate(parts)
        bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1)).tolist()
        if bad:
            self.forget()
            names = ", ".join(self.heard.utterances[row] for row in bad[:3])
            raise ValueError(
                f"The teacher {self.teacher.source} gives what is no number "
                f"for {len(bad)} of {count} utterances: {names} …"
            )
        return {"embeddings": embeddings}

    def forget(self) -> None:
        """Takes the parts away, once all is kept in one."""
        for part in self._kept:
            part.forget("asked", self.settings)
        self._kept.clear()

    def _part(self, start: int, stop: int, bar: tqdm) -> np.ndarray:
        """What it says of some; by what they are, wherever they stand."""
        part = self.heard.part(start, stop)
        self._kept.append(part)

        def make() -> Arrays:
            if start != self._next:  # the parts between were kept
                self._answers = self._ask_from(start, bar)
            self._next = stop
            return {
                "embeddings": np.concatenate([*islice(self._answers, _KEPT)])
            }

        return part.remembered("asked", self.settings, make)["embeddings"]

    def _ask_from(self, start: int, bar: tqdm) -> Iterator[np.ndarray]:
        """What it says of all from a place on, some at once."""
        heard = self.heard
        wavs = DataLoader(
            _Middles(heard.table, heard.rows[start:], heard.seconds),
            batch_size=_AT_ONCE,
            collate_fn=list,
            num_workers=heard.num_workers,
            **start_method(heard.num_workers),
        )
        for some in wavs:
            answers = ask(self.teacher, some, heard.device)
            bar.update(len(some))
            yield self.teacher.target(answers).float().cpu().numpy()


class _Middles(Dataset):
    """The middles of utterances, [samples] each."""

    def __init__(
        self, table: ManifestTable, rows: list[int], seconds: float | None
    ) -> None:
        self.table, self.rows = table, rows
        self.most = None if seconds is None else round(seconds * SAMPLE_RATE)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        row = self.table.row(self.rows[index])
        stop = int(row["stop"])
        if self.most is None or stop <= self.most:
            wav = load_audio(row["wav"])
        else:
            start = (stop - self.most) // 2
            wav = load_audio(row["wav"], start, self.most)
        if not len(wav):
            raise ValueError(f"{row['wav']}: no audio in the file")
        return wav.repeat(-(-_LEAST // len(wav))) if len(wav) < _LEAST else wav
