"""What the teacher said of each view, on disk, for this run and all later.

``<folder>/<key>/`` holds the embeddings of one teacher for one recipe of
views; the key is a digest of both, so another teacher or recipe has another
folder, and nothing is ever mixed. In it lie ``recipe.json`` (for people),
``index.bin`` (which row belongs to which utterance) and one file of records
for each view of 65,536 rows. How many views a run uses is not in the key: a
view is the same whatever their number, so a run with more re-uses them.

A record carries the checksum of the audio that the teacher heard, and one of
key, utterance, view, audio and embedding. It is used if both agree, and
otherwise counts as absent: a flipped byte, a truncated or shifted file, a
write that was cut off or audio that changed cost a question to the teacher,
and never give a wrong target.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_kd.teachers.store_checks import (
    Refused,
    ViewReport,
    check_batch,
    held_rows,
    verify_view,
)
from speechbrain_kd.teachers.store_claims import Claims
from speechbrain_kd.teachers.store_files import ROWS, Shards
from speechbrain_kd.teachers.store_index import Index, digest_of, digests_of
from speechbrain_kd.teachers.store_recipe import make_recipe, open_folder
from speechbrain_kd.teachers.store_record import encode, values_of


class TeacherStore:
    """Embeddings of a teacher by utterance and view, in fp16.

    Any number of processes may read and write at once. A store can be
    pickled: each process opens the files for itself.

    Arguments
    ---------
    folder : str | Path
        The folder of all stores; several runs may share it.
    teacher_name : str
        The teacher's source, for messages.
    fingerprint : str
        :meth:`Teacher.fingerprint`.
    dim : int
        Size of an embedding.
    view_recipe : Mapping[str, Any]
        All that decides what view number v of an utterance is, as plain
        values.

    Raises
    ------
    ValueError
        If the recipe that lies in the folder is another's.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> store = TeacherStore(folder, "t", "ab12", 2, {"sentence_len": 3.0})
    >>> heard = torch.tensor([[0.1, -2.0]])
    >>> store.write(["utt"], [0], [77], heard)
    >>> found = torch.from_numpy(store.read("utt", view=0, crop_sum=77))
    >>> torch.equal(found.float(), store.round(heard)[0])
    True
    >>> store.read("utt", view=1, crop_sum=77) is None
    True
    """

    def __init__(
        self,
        folder: str | Path,
        teacher_name: str,
        fingerprint: str,
        dim: int,
        view_recipe: Mapping[str, Any],
    ) -> None:
        recipe = make_recipe(teacher_name, fingerprint, dim, view_recipe)
        self.teacher_name, self.dim = str(teacher_name), int(dim)
        self.refused = Refused()
        self._path = open_folder(Path(folder), recipe)
        self._index = Index(self._path / "index.bin")
        self._shards = Shards(self._path, self.dim)
        self._claims = Claims(self._path / "claims")

    @property
    def path(self) -> Path:
        """The folder of this teacher and recipe."""
        return self._path

    def register(self, utterances: Iterable[str]) -> None:
        """Gives utterances their rows; those that have one keep it.

        Arguments
        ---------
        utterances : Iterable[str]
            Ids, at best all of a corpus at once and in its order.
        """
        waiting = iter(utterances)
        while part := list(islice(waiting, ROWS)):
            self._index.register(digests_of(part))

    def read(
        self, utterance: str, view: int, crop_sum: int
    ) -> np.ndarray | None:
        """Reads the embedding of a view.

        Arguments
        ---------
        utterance : str
            Its id.
        view : int
            Number of the view.
        crop_sum : int
            CRC-32 of the view's audio.

        Returns
        -------
        np.ndarray | None
            ``[dim]``, float16; None where the teacher must be asked.
        """
        digest = digest_of(utterance)
        row = self._index.row(digest)
        record = self._shards.read(row, view) if row >= 0 else b""
        heard = self._shards.decode(record, digest, view)
        if heard == crop_sum:
            return values_of(record)
        if heard is not None:
            self.refused.note_changed(self._path, utterance, view)
        elif len(record) == self._shards.size and record.strip(b"\0"):
            self.refused.note_damaged(
                self._shards.path(row, view), utterance, view
            )
        return None

    def write(
        self,
        utterances: Sequence[str],
        views: Sequence[int],
        crop_sums: Sequence[int],
        embeddings: torch.Tensor,
    ) -> None:
        """Stores embeddings of views.

        Arguments
        ---------
        utterances : Sequence[str]
            ``[n]`` ids; those without a row are given one.
        views, crop_sums : Sequence[int]
            ``[n]`` numbers of views, and the CRC-32 of their audio.
        embeddings : torch.Tensor
            ``[n, dim]``, on any device.

        Raises
        ------
        ValueError
            If an embedding is not finite or too large for fp16, or sizes
            disagree; nothing is stored then.
        StoreFull, PermissionError
            If the disk is full, or may not be written to.
        """
        views, sums = list(map(int, views)), list(map(int, crop_sums))
        check_batch(self, utterances, views, sums, embeddings)
        values = self.round(embeddings).half().cpu().numpy().astype("<f2")
        digests = digests_of(utterances)
        self._index.register(digests)
        rows = self._index.rows(digests)
        columns = zip(digests.tolist(), views, sums, values, strict=True)
        store = self._shards.store
        records = [
            encode(digest, view, crop_sum, value.tobytes(), store)
            for digest, view, crop_sum, value in columns
        ]
        for view in sorted(set(views)):
            own = [at for at, other in enumerate(views) if other == view]
            self._shards.write(rows[own], view, [records[at] for at in own])

    def round(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Rounds embeddings to what ``read`` gives back.

        Arguments
        ---------
        embeddings : torch.Tensor
            Of any shape.

        Returns
        -------
        torch.Tensor
            The same in float32, each the nearest value of fp16.
        """
        return embeddings.detach().half().float()

    def holds(self, utterances: Sequence[str], view: int) -> np.ndarray:
        """Says of which utterances a whole record of a view is stored.

        The audio is not compared: ``read`` does that.

        Arguments
        ---------
        utterances : Sequence[str]
            Their ids.
        view : int
            Number of the view.

        Returns
        -------
        np.ndarray
            ``[utterances]``, bool.
        """
        digests = digests_of(utterances)
        return held_rows(self._index, self._shards, digests, view)

    def claim(
        self, block: int, wait: bool = False
    ) -> AbstractContextManager[bool]:
        """Asks for a piece of work that no other process shall do as well.

        Arguments
        ---------
        block : int
            Number of the piece.
        wait : bool
            Whether to wait until no other process has it.

        Returns
        -------
        AbstractContextManager[bool]
            Gives whether the piece is ours, and hands it back at the end.
        """
        return self._claims.claim(block, wait)

    def verify(self) -> list[ViewReport]:
        """Checks every record of every view.

        Returns
        -------
        list[ViewReport]
            One a view of which there is a file.
        """
        index, shards = self._index, self._shards
        return [verify_view(index, shards, view) for view in shards.views()]
