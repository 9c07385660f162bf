"""Embeddings of one model brought into the space of another, afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechbrain_kd.evaluation.cohort import centre
from speechbrain_kd.evaluation.scoring import unit_rows

#: Of the mean variance of a direction, added to each.
SHRINKAGE = 0.1


@dataclass(frozen=True)
class SpaceMap:
    """An affine map from unit-norm embeddings to those of another model.

    Arguments
    ---------
    mean : np.ndarray
        Of the model's unit-norm embeddings, [dim].
    matrix : np.ndarray
        [dim, other dim].
    other_mean : np.ndarray
        Of the other model's, [other dim]: what its embeddings lose before they
        are compared.
    """

    mean: np.ndarray
    matrix: np.ndarray
    other_mean: np.ndarray

    @classmethod
    def fit(
        cls, rows: np.ndarray, others: np.ndarray, names: Sequence[str]
    ) -> "SpaceMap":
        """Finds the map by ridge regression on utterances that both heard.

        What is enrolled by one model can then be verified by another that was
        never trained for it, of any dimension: the stored embeddings are mapped
        once, and a device does nothing but subtract a mean.

        Arguments
        ---------
        rows : np.ndarray
            Embeddings of the model, of any length, [utterances, dim].
        others : np.ndarray
            Those of the other model, of the same utterances, [utterances,
            other dim].
        names : Sequence[str]
            Of the utterances.

        Returns
        -------
        SpaceMap
            The map.

        Raises
        ------
        ValueError
            If an embedding is broken, their numbers differ, or there are fewer
            than two.

        Example
        -------
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.normal(size=(2000, 3))
        >>> turn = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
        >>> names = [str(number) for number in range(2000)]
        >>> found = SpaceMap.fit(rows, rows @ turn, names)
        >>> moved, placed = found.apply(rows[:1]), found.place(rows[:1] @ turn)
        >>> cosine = (moved @ placed.T).item()
        >>> norms = np.linalg.norm(moved) * np.linalg.norm(placed)
        >>> bool(cosine / norms > 0.999)
        True
        """
        if len(names) < 2:
            raise ValueError(
                f"a map between two models takes utterances that both heard, "
                f"two or more; got {len(names)}"
            )
        source = unit_rows(rows, list(names)).astype(np.float64)
        target = unit_rows(others, list(names)).astype(np.float64)
        mean, other_mean = source.mean(axis=0), target.mean(axis=0)
        source, target = source - mean, target - other_mean
        square = source.T @ source
        ridge = SHRINKAGE * np.trace(square) / len(square)
        if not ridge > 0:
            raise ValueError(
                f"all of {len(names)} utterances have one and the same "
                "embedding: no map can be found"
            )
        square[np.diag_indices_from(square)] += ridge
        matrix = np.linalg.solve(square, source.T @ target)
        return cls(
            mean.astype(np.float32),
            matrix.astype(np.float32),
            other_mean.astype(np.float32),
        )

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """The model's embeddings in the other space, less its mean.

        Arguments
        ---------
        rows : np.ndarray
            Of any length, [utterances, dim].

        Returns
        -------
        np.ndarray
            float32, [utterances, other dim], of any length.
        """
        return centre(rows, self.mean) @ self.matrix

    def place(self, rows: np.ndarray) -> np.ndarray:
        """The other model's embeddings, as they are compared with those.

        Arguments
        ---------
        rows : np.ndarray
            Of any length, [utterances, other dim].

        Returns
        -------
        np.ndarray
            float32, [utterances, other dim], of any length.
        """
        return centre(rows, self.other_mean)
