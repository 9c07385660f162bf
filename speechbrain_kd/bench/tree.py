"""A corpus of many small files, for what does not depend on their audio."""

import os
from pathlib import Path

import numpy as np
import soundfile

_RECORDINGS, _FILES_EACH = 10, 17


def make_tree(folder: Path, files: int, duration_s: float = 0.1) -> int:
    """Makes a corpus of noise.

    Arguments
    ---------
    folder : Path
        Where ``wav/<speaker>/<recording>/<number>.wav`` go.
    files : int
        How many files; those of a speaker are hard links to one.
    duration_s : float
        Length of each.

    Returns
    -------
    int
        How many speakers: one for every 170 files.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> make_tree(folder, 200), len(list(folder.rglob("*.wav")))
    (2, 200)
    """
    rng = np.random.default_rng(1)
    noise = 0.1 * rng.standard_normal(round(16000 * duration_s))
    each = _RECORDINGS * _FILES_EACH
    for number in range(files):
        speaker, place = divmod(number, each)
        recording, utterance = divmod(place, _FILES_EACH)
        parent = folder / "wav" / f"id{speaker:05d}" / f"recording{recording}"
        path = parent / f"{utterance + 1:05d}.wav"
        if utterance == 0:
            parent.mkdir(parents=True)
        if place == 0:
            # One for each speaker: a file has at most 65,000 links.
            soundfile.write(path, noise, 16000, subtype="PCM_16")
            first = path
        else:
            os.link(first, path)
    return (files + each - 1) // each
