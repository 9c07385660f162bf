"""A two-dimensional map of what systems make of the same test speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.manifold import TSNE

from speechbrain_kd.evaluation.scoring import unit_rows


@dataclass
class SpeakerMap:
    """Utterances as points of a plane.

    Arguments
    ---------
    points : np.ndarray
        [utterances, 2], without a unit.
    speakers : list[str]
        The speaker of each point.
    utterances : list[str]
        The utterance of each point.
    how : str
        How the map was made, in a sentence.
    """

    points: np.ndarray
    speakers: list[str]
    utterances: list[str]
    how: str


def speaker_maps(
    rows: Mapping[str, torch.Tensor | np.ndarray],
    utterances: Sequence[str],
    speakers: Sequence[str],
    count: int = 20,
    per_speaker: int = 15,
    seed: int = 0,
) -> dict[str, SpeakerMap]:
    """Maps the same utterances by the embeddings of every system.

    t-SNE by scikit-learn on cosine distances, started from the principal
    components with a fixed seed: utterances that a system takes for alike
    come to lie together. Only neighbourhoods mean something in it; sizes of
    clusters and distances between them do not.

    Arguments
    ---------
    rows : Mapping[str, torch.Tensor | np.ndarray]
        Embeddings by system, [utterances, dim].
    utterances : Sequence[str]
        The utterance of each row.
    speakers : Sequence[str]
        The speaker of each row.
    count : int
        Most speakers on the map, drawn by the seed among those with at least
        three utterances.
    per_speaker : int
        Most utterances of a speaker.
    seed : int
        Seed of the draw and of t-SNE.

    Returns
    -------
    dict[str, SpeakerMap]
        A map for each system; empty where fewer than two speakers have three
        utterances.

    Raises
    ------
    ValueError
        If the rows, utterances and speakers do not fit each other.

    Reference
    ---------
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    """
    if len(utterances) != len(speakers):
        raise ValueError(
            f"expected a speaker for each of {len(utterances)} utterances, "
            f"got {len(speakers)}"
        )
    at = _drawn(np.asarray(speakers, str), count, per_speaker, seed)
    if not at.size:
        return {}
    names = [str(speakers[index]) for index in at]
    heard = [str(utterances[index]) for index in at]
    how = (
        f"t-SNE of {at.size} utterances of {len(set(names))} test speakers, "
        "by cosine distance, drawn and started with a fixed seed. Points that "
        "lie together sound alike to the system; sizes of clusters and "
        "distances between them mean nothing."
    )
    maps = {}
    for system, embeddings in rows.items():
        own = unit_rows(embeddings, list(utterances))[at]
        tsne = TSNE(
            perplexity=min(15.0, (at.size - 1) / 3),
            metric="cosine",
            init="pca",
            random_state=seed,
        )
        maps[system] = SpeakerMap(tsne.fit_transform(own), names, heard, how)
    return maps


def _drawn(
    speakers: np.ndarray, count: int, per_speaker: int, seed: int
) -> np.ndarray:
    """Positions of the utterances on the map, speaker after speaker."""
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(speakers, return_counts=True)
    able = names[sizes >= 3]
    if able.size < 2:
        return np.empty(0, dtype=np.int64)
    picked = np.sort(rng.permutation(able)[:count])
    parts = [np.flatnonzero(speakers == name) for name in picked]
    return np.concatenate(
        [np.sort(rng.permutation(part)[:per_speaker]) for part in parts]
    )
