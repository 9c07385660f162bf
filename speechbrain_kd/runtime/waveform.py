"""What comes in as a waveform: checked, scaled, and cut into windows."""

from collections.abc import Iterator

import numpy as np

#: Full scale is 1; below this (-80 dB) around its mean, there is no speech.
SILENCE = 1e-4
_PCM = (np.dtype(np.int16), np.dtype(np.int32))


def check_waveform(
    waveform: object, sample_rate: int, shortest_s: float
) -> np.ndarray:
    """Takes a waveform, or says why it is none.

    Arguments
    ---------
    waveform : object
        One channel [samples]: floats of full scale 1, or 16 or 32 bit PCM.
    sample_rate : int
        In Hz, for messages and the shortest duration.
    shortest_s : float
        In seconds.

    Returns
    -------
    np.ndarray
        As it came, [samples]; ``pieces`` converts it.

    Raises
    ------
    ValueError
        If it is no array of numbers, has several channels, or is too short.

    Example
    -------
    >>> check_waveform(np.zeros((2, 16000)), 16000, 0.3)
    Traceback (most recent call last):
    ...
    ValueError: expected a waveform of one channel [samples], came ...
    """
    kind = type(waveform).__name__
    try:
        wave = np.asarray(waveform)
    except ValueError:
        wave = np.empty((), dtype=object)
    if wave.dtype.kind not in "fiu":
        raise ValueError(
            "expected a waveform, an array of numbers [samples], came "
            f"{kind}. A file is to be read first, for one with soundfile.read"
        )
    if wave.ndim != 1:
        raise ValueError(
            "expected a waveform of one channel [samples], came an array of "
            f"shape {list(wave.shape)}"
        )
    if wave.dtype.kind != "f" and wave.dtype not in _PCM:
        raise ValueError(
            "expected samples as floats of full scale 1, or as int16 or int32, "
            f"came {wave.dtype}"
        )
    if len(wave) < round(shortest_s * sample_rate):
        raise ValueError(
            f"the waveform has {1000 * len(wave) / sample_rate:.0f} ms "
            f"({len(wave)} samples at {sample_rate} Hz); expected at least "
            f"{1000 * shortest_s:.0f} ms"
        )
    return wave


def pieces(
    wave: np.ndarray, sample_rate: int, longest_s: float
) -> Iterator[np.ndarray]:
    """Cuts a waveform into equal windows and leaves out those of silence.

    Arguments
    ---------
    wave : np.ndarray
        Of ``check_waveform``.
    sample_rate : int
        In Hz.
    longest_s : float
        What a window must not exceed, in seconds.

    Yields
    ------
    np.ndarray
        float32 of full scale 1, [samples].

    Raises
    ------
    ValueError
        If a sample is NaN or infinite, or there is nothing but silence.

    Example
    -------
    >>> wave = np.sin(np.arange(50))
    >>> [len(piece) for piece in pieces(wave, 10, 2.0)]
    [17, 17, 16]
    """
    count = -(-len(wave) // int(longest_s * sample_rate))
    heard = False
    # Window by window: a recording of hours is never converted as a whole.
    for piece in np.array_split(wave, count):
        scaled = _scaled(piece)
        bad = int((~np.isfinite(scaled)).sum())
        if bad:
            raise ValueError(
                f"the waveform has samples that are NaN or infinite: {bad} of "
                f"{len(piece)} in the first window that has any"
            )
        mean = scaled.mean()
        if max(scaled.max() - mean, mean - scaled.min()) >= SILENCE:
            heard = True
            yield scaled
    if not heard:
        raise ValueError(
            f"the waveform is silent: no sample is {SILENCE} of full scale "
            "from its mean. Was the microphone on?"
        )


def _scaled(piece: np.ndarray) -> np.ndarray:
    """Samples in float32, of full scale 1."""
    scaled = piece.astype(np.float32)
    if piece.dtype.kind != "f":
        scaled /= -float(np.iinfo(piece.dtype).min)
    return scaled
