"""Average linkage of many embeddings at one threshold."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering

_AT_ONCE = 1 << 24  # cosines, in 128 MB

#: Rows that hold together by pairs alone; of so many a matrix is made.
_MOST_TOGETHER = 20_000


def linked(unit: np.ndarray, threshold: float) -> Iterator[list[int]]:
    """Places of rows that belong together, two or more.

    Two groups are joined while the mean cosine of one's rows to the other's
    reaches the threshold, the most alike first. Such a group holds together
    by pairs that reach it, so it lies within one component of their graph:
    no matrix of all pairs is kept.

    Arguments
    ---------
    unit : np.ndarray
        Shape [rows, dim], each of norm 1.
    threshold : float
        A cosine.

    Yields
    ------
    list[int]
        Places in rising order; the groups in no order.

    Raises
    ------
    ValueError
        If more than 20,000 rows hold together by pairs.

    Reference
    ---------
    Sokal and Michener, "A statistical method for evaluating systematic
    relationships", University of Kansas Science Bulletin 38, 1958.

    Example
    -------
    >>> list(linked(np.eye(3)[[0, 1, 0, 2]], 0.5))
    [[0, 2]]
    """
    pairs = [np.empty((0, 2), dtype=int)]
    block = max(1, _AT_ONCE // max(1, len(unit)))
    for start in range(0, len(unit), block):
        cosines = unit[start : start + block] @ unit[start:].T
        rows, columns = np.nonzero(cosines >= threshold)
        alike = np.stack([rows, columns], axis=1)[columns > rows]
        pairs.append(alike + start)
    ones, others = np.concatenate(pairs).T
    graph = coo_array(
        (np.ones(len(ones)), (ones, others)), shape=(len(unit),) * 2
    )
    _, component = connected_components(graph, directed=False)
    sizes = np.bincount(component)
    if sizes.max(initial=0) > _MOST_TOGETHER:
        raise ValueError(
            f"{sizes.max():,} of {len(unit):,} hold together by pairs of a "
            f"cosine of at least {threshold:.3f}, and {_MOST_TOGETHER:,} can "
            "be told apart: give a higher threshold, or fewer at once"
        )
    for label in np.flatnonzero(sizes > 1):
        members = np.flatnonzero(component == label)
        distances = 1 - unit[members] @ unit[members].T
        groups = AgglomerativeClustering(
            n_clusters=None,
            metric="precomputed",
            linkage="average",
            distance_threshold=1 - threshold + 1e-9,
        ).fit(distances.clip(0))
        for one in np.unique(groups.labels_):
            group = members[groups.labels_ == one]
            if len(group) > 1:
                yield group.tolist()
