"""Recording channels: what lies between a synthetic speaker and the file.

A channel belongs to a recording and is drawn without looking at the speaker,
so that it tells nothing about identity. Everything linear (resampling to
16 kHz, room, microphone and its noise) is one multiplication of spectra.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

SAMPLE_RATE = 16000
# 441 samples at espeak's 22050 Hz last as long as 320 at 16 kHz, so that a
# transform of 441 k samples, cut to 320 k, is an exact change of rate.
IN_BLOCK, OUT_BLOCK = 441, 320
NOISES = ("white", "pink", "hum", "babble")


@dataclass(frozen=True)
class ChannelSpace:
    """The ranges that channels are drawn from.

    Arguments
    ---------
    rt60_s : tuple of float
        Time in which the room's sound falls by 60 dB.
    direct_db : tuple of float
        Level of the direct sound above the room's.
    low_cut_hz, high_cut_hz : tuple of float
        The band that the recording keeps.
    tilt_db : tuple of float
        Slope of the microphone's response, in dB an octave.
    snr_db : tuple of float
        Speech over noise.
    level_db : tuple of float
        Root mean square of the file below full scale.
    """

    rt60_s: tuple[float, float] = (0.1, 0.6)
    direct_db: tuple[float, float] = (0.0, 15.0)
    low_cut_hz: tuple[float, float] = (30.0, 300.0)
    high_cut_hz: tuple[float, float] = (3400.0, 7800.0)
    tilt_db: tuple[float, float] = (-2.5, 2.5)
    snr_db: tuple[float, float] = (5.0, 25.0)
    level_db: tuple[float, float] = (-32.0, -20.0)


@dataclass(frozen=True)
class Channel:
    """One recording's channel.

    Arguments
    ---------
    response : numpy.ndarray
        The room's impulse response [samples] at 16 kHz.
    low_cut_hz, high_cut_hz, tilt_db, snr_db, level_db : float
        As in `ChannelSpace`.
    noise : str
        One of `NOISES`.
    """

    response: np.ndarray
    low_cut_hz: float
    high_cut_hz: float
    tilt_db: float
    snr_db: float
    level_db: float
    noise: str


def draw_channel(space: ChannelSpace, rng: np.random.Generator) -> Channel:
    """Draws one recording's channel.

    Arguments
    ---------
    space : ChannelSpace
        Where from.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    Channel
    """
    rt60_s = rng.uniform(*space.rt60_s)
    tail = rng.standard_normal(int(rt60_s * SAMPLE_RATE))
    tail *= 10.0 ** (-3.0 * np.arange(len(tail)) / len(tail))
    # Reflections come after the direct sound: the walls are metres away.
    tail[: int(0.003 * SAMPLE_RATE)] = 0.0
    direct = 10.0 ** (rng.uniform(*space.direct_db) / 20.0)
    tail /= np.sqrt(np.sum(tail**2)) * direct
    tail[0] = 1.0
    return Channel(
        response=tail.astype(np.float32),
        low_cut_hz=rng.uniform(*space.low_cut_hz),
        high_cut_hz=rng.uniform(*space.high_cut_hz),
        tilt_db=rng.uniform(*space.tilt_db),
        snr_db=rng.uniform(*space.snr_db),
        level_db=rng.uniform(*space.level_db),
        noise=NOISES[rng.integers(len(NOISES))],
    )


def record(
    speech: np.ndarray, channel: Channel, rng: np.random.Generator
) -> np.ndarray:
    """Records speech through a channel.

    Arguments
    ---------
    speech : numpy.ndarray
        Dry speech [samples] at 22050 Hz, of any scale.
    channel : Channel
        What it passes through.
    rng : numpy.random.Generator
        Draws the noise, anew for every utterance.

    Returns
    -------
    numpy.ndarray
        16-bit samples at 16 kHz, as long in seconds as ``speech``.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> channel = draw_channel(ChannelSpace(), rng)
    >>> record(rng.standard_normal(22050), channel, rng).shape
    (16000,)
    """
    length = len(speech) * OUT_BLOCK // IN_BLOCK
    # Room for the tail, or it would wrap round to the beginning.
    blocks = -(-(length + len(channel.response)) // OUT_BLOCK)
    blocks = fft.next_fast_len(blocks + blocks % 2, real=True)
    samples = OUT_BLOCK * blocks
    bins = samples // 2 + 1
    dry = fft.rfft(speech.astype(np.float32), IN_BLOCK * blocks)[:bins]
    wet = dry * fft.rfft(channel.response, samples)
    noise = _noise_spectrum(channel.noise, samples, rng)
    gain = _rms(wet, samples, length) / _rms(noise, samples, samples)
    wet += noise * np.float32(gain * 10.0 ** (-channel.snr_db / 20.0))
    wet *= _band(channel, bins)
    out = fft.irfft(wet, samples)[:length]
    out *= 10.0 ** (channel.level_db / 20.0) / np.sqrt(np.mean(out**2))
    return np.round(32767 * np.clip(out, -1.0, 1.0)).astype(np.int16)


def _rms(spectrum: np.ndarray, samples: int, length: int) -> float:
    """Root mean square in time of a signal given by its spectrum."""
    power = np.square(spectrum.real).sum() + np.square(spectrum.imag).sum()
    return float(np.sqrt(2.0 * power / (samples * length))) + 1e-9


def _band(channel: Channel, bins: int) -> np.ndarray:
    """The microphone's response: fourth-order edges and a tilt."""
    hz = np.linspace(0.0, SAMPLE_RATE / 2, bins, dtype=np.float32)
    hz[0] = 1.0
    low = 1.0 / np.sqrt(1.0 + (channel.low_cut_hz / hz) ** 8)
    high = 1.0 / np.sqrt(1.0 + (hz / channel.high_cut_hz) ** 16)
    return low * high * 10.0 ** (channel.tilt_db * octaves(hz) / 20.0)


def octaves(hz: np.ndarray) -> np.ndarray:
    """Octaves above 1 kHz, of frequencies from 100 Hz to 8 kHz."""
    return np.log2(np.clip(hz, 100.0, 8000.0) / 1000.0)


def coloured(kind: str, spectrum: np.ndarray) -> np.ndarray:
    """White noise's spectrum [bins] up to 8 kHz, made that of a kind.

    Arguments
    ---------
    kind : str
        One of `NOISES`; ``babble`` has the long-term spectrum of speech.
    spectrum : numpy.ndarray
        Float32 or complex64; may be changed in place.

    Returns
    -------
    numpy.ndarray
        Its scale is of no account.
    """
    if kind == "white":
        return spectrum
    hz = np.linspace(0.0, SAMPLE_RATE / 2, len(spectrum), dtype=np.float32)
    if kind == "pink":
        return spectrum / np.sqrt(np.maximum(hz, 50.0))
    if kind == "hum":
        return spectrum / (1.0 + (hz / 200.0) ** 2)
    spectrum *= np.minimum(hz / 200.0, 1.0) / (1.0 + (hz / 700.0) ** 1.5)
    return spectrum


def _noise_spectrum(
    kind: str, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Spectrum [bins] of a stretch of noise; its scale is of no account."""
    noise = rng.standard_normal(samples, dtype=np.float32)
    spectrum = coloured(kind, fft.rfft(noise))
    if kind != "babble":
        return spectrum
    # Babble also has the rhythm of syllables.
    knots = rng.uniform(0.3, 1.0, 2 + samples // (SAMPLE_RATE // 8))
    times = np.linspace(0.0, len(knots) - 1.0, samples)
    swell = np.interp(times, np.arange(len(knots)), knots)
    return fft.rfft(fft.irfft(spectrum, samples) * swell.astype(np.float32))
