"""Labelled utterances in batches with unlabelled ones, by a share."""

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

from torch.utils.data import Dataset

from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.table import ManifestTable, TableDataset

#: What ``spk_id_encoded`` holds where no label is known, at most: each
#: utterance and speed has a number of its own, from here downwards.
NO_LABEL = -1


def check_share(share: float) -> Fraction:
    """How many unlabelled utterances come to a labelled one.

    Arguments
    ---------
    share : float
        Unlabelled utterances in all of a batch, 0-1.

    Returns
    -------
    Fraction
        Of a half, one. ValueError where it is no share.

    Example
    -------
    >>> check_share(0.5), check_share(0.75)
    (Fraction(1, 1), Fraction(3, 1))
    """
    right = isinstance(share, (int, float)) and 0 < share < 1
    if not right or isinstance(share, bool):
        raise ValueError(
            "unlabelled_share: expected a share of a batch between 0 and 1, "
            f"got {share!r}"
        )
    exact = Fraction(share).limit_denominator(100)
    return exact / (1 - exact)


class MixedDataset(Dataset):
    """A dataset whose batches have unlabelled utterances behind its own.

    It is as long as the labelled data, and an epoch is a pass over these: the
    ``batch_size`` of a loader counts labelled utterances, and unlabelled ones
    come on top. Which ones follows from (seed, epoch, labelled utterance), so
    it does not depend on workers, nor on where an epoch was resumed. Several
    ranks see what one process sees where ``batch_size`` times the unlabelled
    for each labelled utterance is a whole number.

    Unlabelled utterances come in turn: none a second time before all were
    drawn once.

    Arguments
    ---------
    labelled : TableDataset
        Of ``make_dataset``.
    unlabelled : TableDataset
        Likewise; its labels are below 0.
    crops : Crops
        Of both: its epoch is followed.
    share : float
        Unlabelled utterances in all of a batch.

    Raises
    ------
    ValueError
        If it is no share, or nothing is unlabelled.
    """

    def __init__(
        self,
        labelled: TableDataset,
        unlabelled: TableDataset,
        crops: Crops,
        share: float,
    ) -> None:
        self.labelled = labelled
        self.unlabelled = unlabelled
        self.crops = crops
        self.ratio = check_share(share)
        if not len(unlabelled):
            raise ValueError("expected unlabelled utterances, got none")

    def __len__(self) -> int:
        return len(self.labelled)

    @property
    def data(self) -> ManifestTable:
        """The labelled utterances."""
        return self.labelled.data

    def __getitem__(self, index: int) -> dict:
        return self.labelled[index]

    def __getitems__(self, indices: Sequence[int]) -> list[dict]:
        """A batch: torch's loaders call this where there is one.

        Arguments
        ---------
        indices : Sequence[int]
            Of labelled utterances.

        Returns
        -------
        list[dict]
            Their items, then those of unlabelled utterances.
        """
        items = [self.labelled[index] for index in indices]
        return items + [self.unlabelled[at] for at in self.beside(indices)]

    def beside(self, indices: Sequence[int]) -> Iterator[int]:
        """Which unlabelled utterances a batch has in the present epoch.

        Arguments
        ---------
        indices : Sequence[int]
            Of its labelled utterances.

        Yields
        ------
        int
            Indices of unlabelled utterances.
        """
        most = math.ceil(self.ratio)
        before = max(self.crops.epoch - 1, 0) * len(self) * most
        for place, index in enumerate(indices):
            # Of one and a half for each: one, two, one, two, …
            number = int((place + 1) * self.ratio) - int(place * self.ratio)
            for slot in range(index * most, index * most + number):
                turn, at = divmod(before + slot, len(self.unlabelled))
                step, start = self._order(turn)
                yield (step * at + start) % len(self.unlabelled)

    def _order(self, turn: int) -> tuple[int, int]:
        return _drawn_order(len(self.unlabelled), self.crops.seed, turn)


@lru_cache(maxsize=64)
def _drawn_order(size: int, seed: int, turn: int) -> tuple[int, int]:
    """Step and start of a walk that comes to each of so many once.

    Whatever the size, it takes no memory.
    """
    key = hashlib.blake2b(f"{seed}/{turn}/unlabelled".encode()).digest()
    draw = random.Random(key)
    step = draw.randrange(1, size + 1)
    while math.gcd(step, size) > 1:
        step = draw.randrange(1, size + 1)
    return step, draw.randrange(size)


def tables_of(dataset: TableDataset | MixedDataset) -> list[ManifestTable]:
    """The utterances that a dataset shows, labelled ones first.

    Arguments
    ---------
    dataset : TableDataset | MixedDataset
        Training data.

    Returns
    -------
    list[ManifestTable]
        One, or two.
    """
    if isinstance(dataset, MixedDataset):
        return [dataset.labelled.data, dataset.unlabelled.data]
    return [dataset.data]
