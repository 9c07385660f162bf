"""Embeddings of whole utterances on disk, for this evaluation and all later.

``<folder>/<key>/`` holds those of one model; the key is a digest of the
model's fingerprint and of how utterances are read, so nothing is ever mixed.
An embedding is found by the digest of its audio, whatever the file is called.
The files are those of a store of teachers' answers (``teachers/store*.py``),
with float32 values: a record carries a checksum, so that one that is damaged
or half-written counts as absent and is made again.
"""

from pathlib import Path

import numpy as np

from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.teachers.store_claims import Claims
from speechbrain_kd.teachers.store_files import Shards
from speechbrain_kd.teachers.store_index import Index
from speechbrain_kd.teachers.store_recipe import make_recipe, open_folder
from speechbrain_kd.teachers.store_record import encode

MIN_DURATION_S = 0.1
_READ = 4096  # records read by one call
_HEAD = 8  # bytes of a record before its values


class EmbeddingCache:
    """Embeddings of one model by the digest of the audio, float32.

    Any number of processes may read and write at once.

    Arguments
    ---------
    folder : str | Path
        The folder of all models' embeddings.
    source : str
        Where the model is from, for people to read.
    fingerprint : str
        :meth:`Teacher.fingerprint` of the model.
    dim : int
        Size of an embedding.

    Raises
    ------
    ValueError
        If the recipe that lies in the folder is another's.

    Example
    -------
    >>> from speechbrain_kd.evaluation.audio_digests import DIGEST
    >>> cache = EmbeddingCache(getfixture("tmp_path"), "m", "ab12", 2)
    >>> heard = np.array([(7, 1), (8, 1)], DIGEST)
    >>> cache.write(heard[:1], np.array([[0.1, -2.0]], np.float32))
    >>> rows, found = cache.read(heard)
    >>> found.tolist(), rows[0].tolist() == [np.float32(0.1), -2.0]
    ([True, False], True)
    """

    def __init__(
        self, folder: str | Path, source: str, fingerprint: str, dim: int
    ) -> None:
        heard = {
            "utterance": "whole",
            "values": "float32",
            "sample_rate": SAMPLE_RATE,
            "min_duration_s": MIN_DURATION_S,
        }
        recipe = make_recipe(source, fingerprint, dim, heard)
        self.dim = int(dim)
        self.path = open_folder(Path(folder), recipe)
        self._index = Index(self.path / "index.bin")
        # A shard counts values of two bytes: a float32 is two of them.
        self._shards = Shards(self.path, 2 * self.dim)
        self.claims = Claims(self.path / "claims")

    def read(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reads embeddings.

        Arguments
        ---------
        digests : np.ndarray
            Of the audio, [utterances], of the type ``DIGEST``.

        Returns
        -------
        rows : np.ndarray
            float32, [utterances, dim]; zeros where there is none.
        found : np.ndarray
            bool, [utterances]: of which a whole record is stored.
        """
        rows = np.zeros((len(digests), self.dim), np.float32)
        found = np.zeros(len(digests), bool)
        places = self._index.rows(digests["key"].astype(np.uint64))
        known = np.flatnonzero(places >= 0)
        known = known[np.argsort(places[known], kind="stable")]
        for start in range(0, len(known), _READ):
            part = known[start : start + _READ]
            records = self._shards.read_all(places[part], 0)
            for at, record in zip(part.tolist(), records, strict=True):
                key, check = digests[at].item()
                if self._shards.decode(record, key, 0) == check:
                    rows[at] = np.frombuffer(record, "<f4", offset=_HEAD)
                    found[at] = True
        return rows, found

    def holds(self, digests: np.ndarray) -> np.ndarray:
        """Says of which utterances a whole record is stored.

        Arguments
        ---------
        digests : np.ndarray
            Of the audio, [utterances], of the type ``DIGEST``.

        Returns
        -------
        np.ndarray
            bool, [utterances].
        """
        parts = [
            self.read(digests[start : start + _READ])[1]
            for start in range(0, len(digests), _READ)
        ]
        return np.concatenate([np.empty(0, bool), *parts])

    def write(self, digests: np.ndarray, rows: np.ndarray) -> None:
        """Stores embeddings.

        Arguments
        ---------
        digests : np.ndarray
            Of the audio, [utterances], of the type ``DIGEST``.
        rows : np.ndarray
            Their embeddings, [utterances, dim].

        Raises
        ------
        ValueError
            If the rows do not fit; nothing is stored then.
        StoreFull, PermissionError
            If the disk is full, or may not be written to.
        """
        if rows.shape != (len(digests), self.dim):
            raise ValueError(
                f"expected embeddings [{len(digests)}, {self.dim}], got shape "
                f"{list(rows.shape)}"
            )
        keys = digests["key"].astype(np.uint64)
        self._index.register(keys)
        values = np.ascontiguousarray(rows, "<f4")
        records = [
            encode(key, 0, check, value.tobytes(), self._shards.store)
            for (key, check), value in zip(
                digests.tolist(), values, strict=True
            )
        ]
        self._shards.write(self._index.rows(keys), 0, records)
