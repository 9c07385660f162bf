"""Speech to check teachers with, where no recording is given."""

from collections.abc import Sequence

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE

_LENGTHS = 16  # different lengths among those of mixed length


def synthetic_speech(count: int = 64, seconds: float = 3.0) -> list:
    """Voiced sounds of different pitch and timbre in noise, always the same.

    Arguments
    ---------
    count : int
        How many, each of another voice.
    seconds : float
        Length of each.

    Returns
    -------
    list[torch.Tensor]
        Waveforms [samples] at 16 kHz.

    Example
    -------
    >>> one, two = synthetic_speech(2, seconds=0.5)
    >>> len(one), bool(one.abs().max() <= 1), torch.equal(one, two)
    (8000, True, False)
    """
    random = torch.Generator().manual_seed(1986)
    times = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wavs = []
    for _ in range(count):
        draw = torch.rand(24, generator=random)
        pitch = 80 + 170 * draw[0]
        wander = 0.1 * torch.sin(2 * torch.pi * (1 + 3 * draw[1]) * times)
        phase = 2 * torch.pi * pitch * torch.cumsum(1 + wander, 0) / SAMPLE_RATE
        harmonics = torch.arange(1, 23).unsqueeze(1)
        wav = (draw[2:].unsqueeze(1) * torch.sin(harmonics * phase)).sum(0)
        loudness = 0.5 + 0.5 * torch.sin(2 * torch.pi * (2 + draw[1]) * times)
        noise = torch.randn(len(times), generator=random)
        wavs.append(0.3 * loudness * wav / wav.abs().max() + 0.01 * noise)
    return wavs


def crops(
    speech: Sequence[torch.Tensor], samples: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The same speech at one length, and at mixed lengths.

    Arguments
    ---------
    speech : Sequence[torch.Tensor]
        Waveforms [samples]; shorter ones are repeated end to end.
    samples : int
        Length of the longest crop.

    Returns
    -------
    equal : list[torch.Tensor]
        Crops of that length.
    mixed : list[torch.Tensor]
        Their beginnings, of 40 % to 100 % of it.

    Example
    -------
    >>> equal, mixed = crops(synthetic_speech(8, 1.0), 32000)
    >>> {len(wav) for wav in equal}, len({len(wav) for wav in mixed}) > 1
    ({32000}, True)
    """
    wavs = [wav.repeat(-(-samples // len(wav)))[:samples] for wav in speech]
    random = torch.Generator().manual_seed(0)
    shares = torch.linspace(0.4, 1.0, _LENGTHS)
    order = torch.randint(_LENGTHS, (len(wavs),), generator=random)
    lengths = (shares[order] * samples).round().long().tolist()
    mixed = [wav[:own] for wav, own in zip(wavs, lengths, strict=True)]
    return wavs, mixed
