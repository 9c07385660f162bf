"""Spectra of waveforms in batches, and shapes of noises in them."""

from functools import lru_cache

import torch
from scipy import fft

from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.minivox_channel import NOISES, coloured, octaves


def rfft(wavs: torch.Tensor, size: int) -> torch.Tensor:
    """Spectra [batch, size // 2 + 1] of waveforms [batch, samples].

    On a CPU they are scipy's, which is twice as fast.
    """
    if wavs.device.type == "cpu":
        return torch.from_numpy(fft.rfft(wavs.numpy(), size))
    return torch.fft.rfft(wavs, size)


def irfft(spectra: torch.Tensor, size: int) -> torch.Tensor:
    """Waveforms [batch, size] of spectra [batch, size // 2 + 1]."""
    if spectra.device.type == "cpu":
        return torch.from_numpy(fft.irfft(spectra.numpy(), size))
    return torch.fft.irfft(spectra, size)


@lru_cache(maxsize=16)
def shapes(
    bins: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What filters and noises are made of, up to 8 kHz.

    Arguments
    ---------
    bins : int
        Of the spectra.
    device : torch.device
        Where they lie.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor, torch.Tensor]
        Hz [bins], octaves above 1 kHz [bins], amplitudes of `NOISES`
        [kinds, bins].
    """
    hz = torch.linspace(0, SAMPLE_RATE / 2, bins)
    ones = torch.ones(bins).numpy()
    gains = [torch.from_numpy(coloured(x, ones.copy())) for x in NOISES]
    above = torch.from_numpy(octaves(hz.numpy()))
    return hz.to(device), above.to(device), torch.stack(gains).to(device)
