"""Which speakers of a corpus are one person, by a model's embeddings.

Corpora give one person several ids: who reads on another day is another
client. Where one of them is in the training and another in the test, a model
is tested on a voice that it has met, and rewarded for telling its days apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from speechbrain_kd.evaluation.linkage import linked
from speechbrain_kd.evaluation.unit_rows import group_sums, rows_of_speakers

#: Speakers from whose halves the threshold is found, at least, and the
#: utterances that such a speaker has.
_LEAST_SPEAKERS, _LEAST_UTTERANCES = 10, 4

#: Share of speakers whose two halves may be less alike than the threshold.
_QUANTILE = 0.05

#: A model by which more of the ids go is no judge of this corpus.
_MOST_SHARED = 0.5


@dataclass(frozen=True)
class SameVoices:
    """Speakers that a model hears as one.

    Arguments
    ---------
    groups : list[list[str]]
        Names, two or more in each, sorted.
    likeness : list[float]
        Of each group the least mean cosine of one of it to the others.
    threshold : float
        What the mean cosine between two parts of a group has to reach.
    """

    groups: list[list[str]]
    likeness: list[float]
    threshold: float

    def persons(self) -> dict[str, str]:
        """By name, the first name of its group; others are not in it."""
        return {name: group[0] for group in self.groups for name in group}


def same_voices(
    embeddings: torch.Tensor,
    speakers: Sequence[str],
    threshold: float | None = None,
) -> SameVoices:
    """Groups speakers whose centres are as alike as one speaker's halves.

    The centre of a speaker is the mean of the unit embeddings of its
    utterances. Groups are joined while the mean cosine between the centres
    of two of them reaches the threshold (average linkage). By default this
    is what 95 % of the speakers reach between the centres of every other
    utterance of theirs and of the rest: these share a room and a day, so it
    errs on the side of leaving ids apart.

    Arguments
    ---------
    embeddings : torch.Tensor
        A strong speaker model's, shape [utterances, dim].
    speakers : Sequence[str]
        Whose each is.
    threshold : float | None
        A cosine; ``None`` finds it.

    Returns
    -------
    SameVoices
        The groups, in the order of their first names.

    Raises
    ------
    ValueError
        If there is not a speaker for each embedding; if too few speakers
        have the four utterances that a threshold is found by; or if more
        than half of the speakers would go into groups, as with a model that
        cannot tell these voices apart.

    Reference
    ---------
    Average linkage: Sokal and Michener, "A statistical method for evaluating
    systematic relationships", University of Kansas Science Bulletin 38,
    1958. Labels that a model doubts: Qin et al., "Simple Attention Module
    based Speaker Verification with Iterative noisy label detection", ICASSP
    2022, arXiv 2110.06534.

    Example
    -------
    >>> voices = torch.eye(4).repeat(3, 1)
    >>> ids = ["ann", "bob", "cy", "di"] * 3
    >>> same_voices(voices, ids, threshold=0.9).groups
    []
    >>> voices[3::4] = voices[0]
    >>> same_voices(voices, ids, threshold=0.9).persons()
    {'ann': 'ann', 'di': 'ann'}
    """
    unit, index, names = rows_of_speakers("same_voices", embeddings, speakers)
    if threshold is None:
        threshold = _likeness_of_halves(unit, index, len(names))
    centres = _centres(unit, index, len(names))
    groups = sorted(linked(centres, threshold))
    shared = sum(map(len, groups))
    if shared > _MOST_SHARED * len(names):
        raise ValueError(
            f"{shared} of {len(names)} speakers would share a voice at a "
            f"cosine of {threshold:.3f}: this model does not tell the voices "
            "of this corpus apart"
        )
    return SameVoices(
        [[str(names[place]) for place in group] for group in groups],
        [_least_likeness(centres[group]) for group in groups],
        float(threshold),
    )


def _centres(unit: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Unit means of unit rows by index, [count, dim]."""
    sums = group_sums(unit, index, count)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-12)


def _likeness_of_halves(
    unit: np.ndarray, index: np.ndarray, count: int
) -> float:
    """The cosine that most speakers' halves reach with each other."""
    enough = np.bincount(index, minlength=count) >= _LEAST_UTTERANCES
    if enough.sum() < _LEAST_SPEAKERS:
        raise ValueError(
            f"{int(enough.sum())} speakers have {_LEAST_UTTERANCES} "
            f"utterances, and it takes {_LEAST_SPEAKERS} to find how alike "
            "one speaker's voice is to itself: give a threshold"
        )
    order = np.argsort(index, kind="stable")
    first = np.searchsorted(index[order], index)
    place = np.empty(len(index), dtype=int)
    place[order] = np.arange(len(index))
    even = (place - first) % 2 == 0
    one, other = (
        _centres(unit[half], index[half], count)[enough]
        for half in (even, ~even)
    )
    return float(np.quantile((one * other).sum(axis=1), _QUANTILE))


def _least_likeness(centres: np.ndarray) -> float:
    """The least mean cosine of one centre to the others."""
    cosines = centres @ centres.T
    means = (cosines.sum(axis=1) - 1) / (len(centres) - 1)
    return float(means.min())
