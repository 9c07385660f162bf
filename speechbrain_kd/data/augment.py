"""SpeechBrain's augmentations as functions of the random generators alone.

``AddNoise`` and ``AddReverb`` take their files from a loader that moves on from
batch to batch, so what an utterance gets depends on all that came before. Here
each file is drawn from torch's generator: who seeds it, gets the same noise.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise, AddReverb, Resample
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.legacy import ExtendedCSVDataset


class DrawnFiles:
    """Noises or impulse responses, each drawn from torch's generator.

    Arguments
    ---------
    augmentation : AddNoise | AddReverb
        Its ``csv_file`` lists the files.
    """

    def __init__(self, augmentation: AddNoise | AddReverb) -> None:
        self.dataset = ExtendedCSVDataset(
            csvpath=augmentation.csv_file,
            sorting="original",
            output_keys=getattr(augmentation, "csv_keys", None),
            replacements=augmentation.replacements,
        )

    def __iter__(self) -> "DrawnFiles":
        return self

    def __next__(self) -> PaddedBatch:
        index = int(torch.randint(len(self.dataset), (1,)))
        return PaddedBatch([self.dataset[index]])


def draw_files(augment: torch.nn.Module) -> None:
    """Lets noises and impulse responses be drawn, in place.

    Arguments
    ---------
    augment : torch.nn.Module
        An ``Augmenter`` or one augmentation; other classes are left alone.
    """
    for part in augmentations_of(augment):
        if not isinstance(part, (AddNoise, AddReverb)) or not part.csv_file:
            continue
        part.data_loader = DrawnFiles(part)
        if isinstance(part, AddReverb):
            part.rir_data = part.data_loader
            continue
        part.noise_data = part.data_loader
        if part.noise_sample_rate != part.clean_sample_rate:
            part.resampler = Resample(
                part.noise_sample_rate, part.clean_sample_rate
            )


def augmentations_of(augment: torch.nn.Module) -> list[torch.nn.Module]:
    """An augmenter and all that it combines."""
    parts = [augment, *augment.children()]
    if isinstance(augment, Augmenter):
        parts += augment.augmentations.values()
    return list(dict.fromkeys(parts))


def most_copies(augment: torch.nn.Module | None) -> int:
    """How many waveforms an augmenter makes of one, at most.

    Arguments
    ---------
    augment : torch.nn.Module | None
        SpeechBrain's ``Augmenter``; any other callable makes one.

    Returns
    -------
    int
        The copy that ``concat_original`` adds is counted.
    """
    if not isinstance(augment, Augmenter):
        return 1
    parallel = augment.max_augmentations if augment.parallel_augment else 1
    return parallel * augment.repeat_augment + bool(augment.concat_original)


def describe(augment: Any) -> Any:
    """What the result of an augmentation depends on, as plain values.

    Arguments
    ---------
    augment : Any
        An ``Augmenter``, an augmentation, or a value inside of one.

    Returns
    -------
    Any
        Names, numbers, and digests of the listed files' names and lengths;
        equal descriptions mean equal augmentations.
    """
    if augment is None or isinstance(augment, (bool, int, float, str)):
        return augment
    if isinstance(augment, (list, tuple)):
        return [describe(value) for value in augment]
    if isinstance(augment, dict):
        return {str(key): describe(value) for key, value in augment.items()}
    if not isinstance(augment, torch.nn.Module):
        return getattr(augment, "__qualname__", type(augment).__qualname__)
    values = {
        key: _file_digest(value) if key == "csv_file" else describe(value)
        for key, value in vars(augment).items()
        if not key.startswith("_") and key not in ("training", "device")
    }
    return {"class": type(augment).__qualname__, **values}


def _file_digest(path: str | None) -> str | None:
    """A digest of what a csv lists, wherever it lies."""
    if path is None:
        return None
    rows = sorted(
        "/".join(Path(cell).name for cell in line.split(","))
        for line in Path(path).read_text(encoding="utf-8").splitlines()
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@contextmanager
def seeded(*key: Any) -> Iterator[None]:
    """Seeds every generator by a key and gives them back afterwards.

    Arguments
    ---------
    *key : Any
        Whatever names the draw.

    Example
    -------
    >>> with seeded(1, "a"):
    ...     one = torch.rand(3)
    >>> with seeded(1, "a"):
    ...     other = torch.rand(3)
    >>> torch.equal(one, other)
    True
    """
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=4)
    seed = int.from_bytes(digest.digest(), "big")
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
