"""Speech to calibrate a quantised model on: of its own training."""

import logging
import random
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.data.corpus import load_corpus
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.data.unlabelled import audio_files
from speechbrain_kd.export.onnx_facts import SHORTEST_S

logger = logging.getLogger(__name__)

#: Of an utterance; ranges are found in seconds, not in minutes.
_LONGEST_S = 10.0
_INSTEAD = "give --calibration FOLDER, a folder of such audio"


def training_audio(
    place: str | Path, count: int = 80, seed: int = 1986
) -> list[torch.Tensor]:
    """Draws utterances that a model was trained on.

    Arguments
    ---------
    place : str | Path
        A run folder, whose training manifest is read; or a folder with audio
        files in it or below it.
    count : int
        How many to draw; of fewer, all are taken.
    seed : int
        Of the draw.

    Returns
    -------
    list[torch.Tensor]
        At 16 kHz, each [samples], of 0.3 to 10 s.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no manifest in a run, or its audio is not
        on this machine.
    ValueError
        If there is no audio that is long enough.

    Example
    -------
    >>> training_audio("no/such/run")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no/such/run: expected a run folder ... there is none
    """
    files = _files(Path(place))
    random.Random(seed).shuffle(files)
    wavs = []
    for file in files:
        if len(wavs) == count:
            break
        wav = _read(file, Path(place))
        if len(wav) >= SHORTEST_S * SAMPLE_RATE:
            wavs.append(wav)
    if not wavs:
        raise ValueError(
            f"{place}: expected audio of at least {SHORTEST_S} s, came none "
            f"in {len(files)} files; {_INSTEAD}"
        )
    if len(wavs) < count:
        logger.info("%s: %d utterances, fewer than %d", place, len(wavs), count)
    return wavs


def _files(place: Path) -> list[Path]:
    """The audio of a run or in a folder, sorted."""
    if not place.is_dir():
        raise FileNotFoundError(
            f"{place}: expected a run folder or a folder of audio to calibrate "
            "on, there is none"
        )
    save = place / "save"
    if (save / "train.csv").is_file():
        corpus = load_corpus(save)
        found = read_paths(corpus.train_csv, corpus.data_root)
        return sorted(found.values())
    files = sorted(audio_files(place))
    if not files:
        raise FileNotFoundError(
            f"{place}: expected audio to calibrate on, or a run with its "
            f"save/train.csv; there is neither. If it is a model, {_INSTEAD}"
        )
    return [place / name for name in files]


def _read(file: Path, place: Path) -> torch.Tensor:
    """The beginning of an utterance."""
    try:
        return load_audio(file, frames=round(_LONGEST_S * SAMPLE_RATE))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{place}: its training audio is not on this machine ({file}); "
            f"{_INSTEAD}"
        ) from error


def held_apart(
    wavs: Sequence[torch.Tensor], share: float = 0.2
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Parts utterances into those that ranges come from and the others.

    Arguments
    ---------
    wavs : Sequence[torch.Tensor]
        At least two.
    share : float
        Of the others.

    Returns
    -------
    tuple[list[torch.Tensor], list[torch.Tensor]]
        To calibrate on, and to measure on.

    Raises
    ------
    ValueError
        If there are fewer than two.

    Example
    -------
    >>> one, other = held_apart([torch.zeros(1)] * 10)
    >>> len(one), len(other)
    (8, 2)
    """
    if len(wavs) < 2:
        raise ValueError(
            "expected at least 2 utterances to calibrate on (some 80 are "
            f"good), came {len(wavs)}"
        )
    apart = max(1, round(share * len(wavs)))
    return list(wavs[:-apart]), list(wavs[-apart:])
