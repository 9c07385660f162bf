"""The two decoders behind ``audio``: soundfile and PyAV.

Each opens a file (soundfile also the FLAC member of a packed tar shard), gives its header and turns every failure into an error that
names the file.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import soundfile

from speechbrain_kd.data.packed.access import parse_reference, read_bytes

SAMPLE_RATE = 16000
"""The rate, in Hz, that the package works at."""

AV_EXTENSIONS = (".m4a", ".aac", ".mp4")
"""Read with PyAV; everything else with soundfile."""

# A WAV written to a pipe cannot know its length and declares a huge one.
_STREAMED_BYTES = 0x7FFFF000
_SPARE_BYTES = 1024


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says.

    Arguments
    ---------
    path : str
        The file.
    sample_rate : int
        Its own rate in Hz.
    frames : int
        Samples per channel at that rate.
    channels : int
        Number of channels.

    Example
    -------
    >>> info = AudioInfo("a.wav", sample_rate=8000, frames=4000, channels=1)
    >>> info.duration_s, info.frames_at(16000)
    (0.5, 8000)
    """

    path: str
    sample_rate: int
    frames: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def frames_at(self, sample_rate: int = SAMPLE_RATE) -> int:
        """Samples that ``load_audio`` gives for the whole file."""
        return -(-self.frames * sample_rate // self.sample_rate)


def soundfile_info(path: str | Path, file: soundfile.SoundFile) -> AudioInfo:
    """The header of an open file; ValueError if empty or cut short."""
    info = AudioInfo(str(path), file.samplerate, file.frames, file.channels)
    # libsndfile shortens a WAV whose end is missing and only logs it.
    cut = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.M)
    if cut:
        said, found = int(cut[1]), int(cut[2])
        if found + _SPARE_BYTES < said < _STREAMED_BYTES:
            raise ValueError(
                f"{path}: cut short: its header says {said} bytes of audio, "
                f"it holds {found}; copy it again or remove it"
            )
    return _not_empty(info)


def av_info(path: str | Path, stream) -> AudioInfo:
    """The header of an open PyAV stream; ValueError if empty."""
    seconds = (stream.duration or 0) * (stream.time_base or 0)
    frames = round(seconds * stream.rate)
    return _not_empty(
        AudioInfo(str(path), stream.rate, frames, stream.channels)
    )


def _not_empty(info: AudioInfo) -> AudioInfo:
    if info.frames < 1:
        raise ValueError(f"{info.path}: empty, it holds no audio; remove it")
    return info


def check_length(info: AudioInfo, found: int, expected: int) -> None:
    if found < expected:
        raise ValueError(
            f"{info.path}: cut short: its header says {info.frames} samples, "
            f"reading stopped at {found}; copy it again or remove it"
        )


@contextmanager
def open_soundfile(path: str | Path) -> Iterator[soundfile.SoundFile]:
    """Opens with soundfile; its errors become ours, with the file's name."""
    reference = parse_reference(path)
    if reference is None:
        _check_exists(path)
        source = str(path)
    else:
        source = io.BytesIO(read_bytes(reference))
    try:
        with soundfile.SoundFile(source) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error) from error


@contextmanager
def open_av(path: str | Path) -> Iterator[tuple]:
    """Opens with PyAV: the container and its first audio stream."""
    av = import_av(path)
    _check_exists(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ValueError(f"{path}: no audio track; remove the file")
            yield container, container.streams.audio[0]
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from error


def import_av(path: str | Path):
    """PyAV, or an ImportError that says what needs it."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"{path}: reading {Path(path).suffix} files needs PyAV: "
            "pip install av"
        ) from error
    return av


def is_av(path: str | Path) -> bool:
    """Whether a file is PyAV's to read."""
    return os.path.splitext(path)[1].lower() in AV_EXTENSIONS


def _check_exists(path: str | Path) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such audio file")
    if os.path.getsize(path) == 0:
        raise ValueError(f"{path}: empty, it holds no bytes; remove it")


def _unreadable(path: str | Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path}: not readable as audio ({error}); copy it again or remove it"
    )
