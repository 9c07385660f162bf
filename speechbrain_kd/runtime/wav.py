"""WAV files, by Python's own library."""

import wave
from pathlib import Path

import numpy as np

_KINDS = {2: np.dtype("<i2"), 4: np.dtype("<i4")}


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """Reads a WAV file of one channel, of 16 or 32 bit PCM.

    Arguments
    ---------
    path : str | Path
        The file. Other formats are for a library such as ``soundfile``.

    Returns
    -------
    waveform : np.ndarray
        int16 or int32, [samples]; as ``SpeakerVerifier`` takes it.
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such WAV file.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "a.wav"
    >>> _ = path.write_bytes(b"ID3 of an mp3")
    >>> read_wav(path)
    Traceback (most recent call last):
    ...
    ValueError: .../a.wav is no WAV file of PCM: file does not start with RIFF id
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with wave.open(str(path), "rb") as file:
            channels, width = file.getnchannels(), file.getsampwidth()
            sample_rate = file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        reason = str(error) or "it ends within its header"
        raise ValueError(f"{path} is no WAV file of PCM: {reason}") from error
    if channels != 1 or width not in _KINDS:
        raise ValueError(
            f"{path}: expected one channel of 16 or 32 bits, came {channels} "
            f"of {8 * width} bits"
        )
    whole = len(data) // width  # of a file that was cut off
    return np.frombuffer(data, _KINDS[width], whole), sample_rate
