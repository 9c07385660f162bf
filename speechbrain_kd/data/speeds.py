"""Speech at another speed is another speaker's: pseudo-speakers.

Reference: Wang et al., "The DKU-DukeECE Systems for the VoxCeleb Speaker
Recognition Challenge 2020", and Yamamoto et al., "Speaker augmentation and
bandwidth extension for deep speaker embedding" (Interspeech 2019): resampling
changes pitch, formants and tempo together, and so makes voices that are in no
corpus.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torchaudio.transforms import Resample

_SLOWEST, _FASTEST = 0.5, 2.0
_STEPS = 100  # speeds are hundredths


def check_speeds(speeds: Sequence[float]) -> tuple[float, ...]:
    """The speeds that utterances are heard at, as the yaml gives them.

    Arguments
    ---------
    speeds : Sequence[float]
        Factors of the tempo: 1.1 is faster. One that comes twice is heard
        twice as often.

    Returns
    -------
    tuple[float, ...]
        The same.

    Raises
    ------
    ValueError
        If 1.0 is not among them, or one is no hundredth from 0.5 to 2.

    Example
    -------
    >>> check_speeds([1.0, 1.0, 0.9, 1.1])
    (1.0, 1.0, 0.9, 1.1)
    """
    right = isinstance(speeds, Sequence) and all(map(_is_speed, speeds))
    if isinstance(speeds, str) or not right or 1.0 not in speeds:
        raise ValueError(
            f"speeds: expected a list of hundredths from {_SLOWEST} to "
            f"{_FASTEST} with 1.0 among them, such as [1.0, 0.9, 1.1]; got "
            f"{speeds!r}"
        )
    return tuple(float(speed) for speed in speeds)


def _is_speed(speed: object) -> bool:
    """Whether it is a number of hundredths within the bounds."""
    if isinstance(speed, bool) or not isinstance(speed, (int, float)):
        return False
    hundredths = speed * _STEPS
    return _SLOWEST <= speed <= _FASTEST and (
        abs(hundredths - round(hundredths)) < 1e-6
    )


def pseudo_speaker(speaker: str, speed: float) -> str:
    """Whose speech it is at a speed.

    Arguments
    ---------
    speaker : str
        Who speaks.
    speed : float
        How fast it is heard.

    Returns
    -------
    str
        The speaker at 1.0, else another's name.

    Example
    -------
    >>> pseudo_speaker("id1", 1.0), pseudo_speaker("id1", 0.9)
    ('id1', 'id1@0.9')
    """
    return speaker if speed == 1.0 else f"{speaker}@{speed:g}"


def speed_classes(
    speakers: Sequence[str], speeds: Sequence[float] = (1.0,)
) -> list[str]:
    """The classes of a training: speakers times speeds.

    Arguments
    ---------
    speakers : Sequence[str]
        Training speakers.
    speeds : Sequence[float]
        What their utterances are heard at.

    Returns
    -------
    list[str]
        The speakers in the order of their names, as without speeds; then as
        many pseudo-speakers for each other speed.

    Raises
    ------
    ValueError
        If a speaker has the name of another's pseudo-speaker.

    Example
    -------
    >>> speed_classes(["b", "a"], [1.0, 1.1])
    ['a', 'b', 'a@1.1', 'b@1.1']
    """
    ordered = [1.0, *dict.fromkeys(x for x in speeds if x != 1.0)]
    classes = [
        pseudo_speaker(speaker, speed)
        for speed in ordered
        for speaker in sorted(speakers)
    ]
    twice = set(classes[: len(speakers)]) & set(classes[len(speakers) :])
    if twice:
        raise ValueError(
            f"speeds: the speaker {min(twice)} has the name that is given to "
            "another's speech at that speed: rename the speaker's folder"
        )
    return classes


def source_frames(frames: int, speed: float) -> int:
    """Samples to read, so that so many are left at a speed."""
    ratio = _ratio(speed)
    return -(-frames * ratio.numerator // ratio.denominator)


def change_speed(wav: torch.Tensor, speed: float) -> torch.Tensor:
    """Resamples speech, so that it is heard faster or slower.

    Arguments
    ---------
    wav : torch.Tensor
        Shape [samples].
    speed : float
        1.1: faster and higher by a tenth.

    Returns
    -------
    torch.Tensor
        Shape [samples / speed], rounded up.

    Example
    -------
    >>> hum = torch.sin(2 * torch.pi * 100 * torch.arange(17600) / 16000)
    >>> faster = change_speed(hum, 1.1)
    >>> len(faster), int(torch.fft.rfft(faster).abs().argmax())
    (16000, 110)
    """
    if speed == 1.0:
        return wav
    # A view would keep the filter's whole output in memory.
    return _resampler(_ratio(speed))(wav).clone()


def _ratio(speed: float) -> Fraction:
    """A speed as samples read by samples made."""
    return Fraction(round(speed * _STEPS), _STEPS)


@lru_cache(maxsize=16)
def _resampler(ratio: Fraction) -> Resample:
    """The filter of a speed, computed once per process."""
    return Resample(ratio.numerator, ratio.denominator)
