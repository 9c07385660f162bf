"""Audio files: what their headers say, and crops of them as tensors.

``.wav`` and ``.flac`` go through soundfile, which seeks; ``.m4a`` (the AAC of
VoxCeleb2) through PyAV, which is asked for only when such a file turns up. An
utterance of a packed corpus is named ``<shard>#<start>+<size>``.
"""

import logging
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torchaudio

from speechbrain_kd.data.decoders import (
    SAMPLE_RATE,
    AudioInfo,
    av_info,
    check_length,
    import_av,
    is_av,
    open_av,
    open_soundfile,
    soundfile_info,
)
from speechbrain_kd.data.packed.access import (
    SAMPLES,
    parse_reference,
    read_samples,
)

logger = logging.getLogger(__name__)

_SAID: set[str] = set()


def audio_info(path: str | Path) -> AudioInfo:
    """Reads the header of an audio file; the audio is not decoded.

    Arguments
    ---------
    path : str | Path
        A file that soundfile reads, or ``.m4a``, ``.aac``, ``.mp4``, or an
        utterance of a packed corpus.

    Returns
    -------
    AudioInfo
        Rate, length and channels. FileNotFoundError where there is no file,
        ValueError where it is empty, unreadable or cut short.
    """
    if is_av(path):
        with open_av(path) as (_, stream):
            return av_info(path, stream)
    reference = parse_reference(path)
    if reference is not None and reference.kind == SAMPLES:
        return AudioInfo(str(path), SAMPLE_RATE, reference.size, channels=1)
    with open_soundfile(path) as file:
        return soundfile_info(path, file)


def load_audio(
    path: str | Path,
    start: int = 0,
    frames: int = -1,
    sample_rate: int = SAMPLE_RATE,
) -> torch.Tensor:
    """Reads a file, or a crop of it, as mono at the rate asked for.

    A crop of a file at another rate equals the same crop of the whole file
    resampled: some context is read on either side.

    Arguments
    ---------
    path : str | Path
        The file, or an utterance of a packed corpus.
    start : int
        First sample of the crop, counted at ``sample_rate``.
    frames : int
        Samples of the crop, counted at ``sample_rate``; -1 means to the end.
        Where the file ends sooner, the crop does too.
    sample_rate : int
        Rate in Hz of what is returned.

    Returns
    -------
    torch.Tensor
        ``[samples]``, float32 in [-1, 1]. ValueError where the file is
        unreadable, holds less than its header says, or ends before ``start``.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.linspace(-0.5, 0.5, 8000), 8000)
    >>> whole = load_audio(path)
    >>> crop = load_audio(path, start=5001, frames=1000)
    >>> len(whole), torch.allclose(crop, whole[5001:6001], atol=1e-6)
    (16000, True)
    """
    if start < 0 or frames < -1:
        raise ValueError(
            f"{path}: expected start >= 0 and frames >= 0 (or -1 for the "
            f"rest), got start {start} and frames {frames}"
        )
    read = _read_av if is_av(path) else _read_soundfile
    samples, info, skip = read(path, start, frames, sample_rate)
    wav = torch.from_numpy(samples)
    if info.channels > 1:
        _say_once("mix", "Mixing %d channels to one", info.channels, path)
        wav = wav.mean(dim=1)
    else:
        wav = wav[:, 0]
    if info.sample_rate != sample_rate:
        _say_once("rate", "Resampling from %d Hz", info.sample_rate, path)
        wav = _resampler(info.sample_rate, sample_rate)(wav)
        # A view of the context would keep it in memory.
        wav = wav[skip : None if frames < 0 else skip + frames].clone()
    return wav


def _window(
    info: AudioInfo, start: int, frames: int, sample_rate: int
) -> tuple[int, int, int]:
    """First source sample, their number, resampled samples to skip."""
    total = info.frames_at(sample_rate)
    if start >= total:
        raise ValueError(
            f"{info.path}: a crop from sample {start} was asked for, but the "
            f"file has {total} at {sample_rate} Hz: it was changed since it "
            "was prepared; prepare the data again"
        )
    end = total if frames < 0 else min(start + frames, total)
    common = math.gcd(info.sample_rate, sample_rate)
    source, target = info.sample_rate // common, sample_rate // common
    if source == target:
        return start, end - start, 0
    # Whole periods of the ratio keep the filter's phase; the margin is the
    # reach of torchaudio's filter (6 zero crossings, 0.99 of the band).
    margin = math.ceil(6 / (0.99 * min(source, target))) + 1
    first = max(0, start // target - margin)
    last = -(-end // target) + margin
    count = min(last * source, info.frames) - first * source
    return first * source, count, start - first * target


@lru_cache(maxsize=8)
def _resampler(source: int, target: int) -> torchaudio.transforms.Resample:
    """The filter of a pair of rates, computed once per process."""
    return torchaudio.transforms.Resample(source, target)


def _read_soundfile(
    path: str | Path, start: int, frames: int, sample_rate: int
) -> tuple[np.ndarray, AudioInfo, int]:
    """Samples ``[frames, channels]`` of a window, info, samples to skip."""
    reference = parse_reference(path)
    if reference is not None and reference.kind == SAMPLES:
        info = audio_info(path)
        first, count, skip = _window(info, start, frames, sample_rate)
        return read_samples(reference, first, count)[:, None], info, skip
    with open_soundfile(path) as file:
        info = soundfile_info(path, file)
        first, count, skip = _window(info, start, frames, sample_rate)
        file.seek(first)
        samples = file.read(count, dtype="float32", always_2d=True)
    check_length(info, first + len(samples), first + count)
    return samples, info, skip


def _read_av(
    path: str | Path, start: int, frames: int, sample_rate: int
) -> tuple[np.ndarray, AudioInfo, int]:
    """The same through PyAV: decoded from the beginning, then cut."""
    av = import_av(path)
    with open_av(path) as (container, stream):
        info = av_info(path, stream)
        first, count, skip = _window(info, start, frames, sample_rate)
        planar = av.AudioResampler(format="fltp", rate=info.sample_rate)
        blocks, decoded = [], 0
        for frame in container.decode(stream):
            for part in planar.resample(frame):
                blocks.append(part.to_ndarray().T)
                decoded += part.samples
            if decoded >= first + count:
                break
    check_length(info, decoded, first + count)
    samples = np.concatenate(blocks)[first : first + count]
    return samples.astype(np.float32, copy=False), info, skip


def _say_once(kind: str, text: str, value: int, path: str | Path) -> None:
    """Logs the first case of a kind in this process."""
    if kind not in _SAID:
        _SAID.add(kind)
        logger.info(f"{text} (said once; first file: %s)", value, path)
