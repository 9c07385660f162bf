"""Headers and crops of audio files."""

import logging
import sys

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.data import audio
from speechbrain_kd.data.audio import SAMPLE_RATE, audio_info, load_audio

av = pytest.importorskip("av")


def noise(samples, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    wav = 0.1 * rng.standard_normal((samples, channels))
    return wav.astype(np.float32)


def write(path, samples=3200, rate=16000, channels=1):
    wav = noise(samples, channels)
    soundfile.write(path, wav, rate, subtype="PCM_16")
    return wav


def write_m4a(path, samples=8000, rate=16000, layout="mono", faststart=False):
    """A tone of 440 Hz as AAC."""
    wav = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    wav = np.tile(wav, (2 if layout == "stereo" else 1, 1)).astype("float32")
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(wav, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return torch.from_numpy(wav[0])


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(audio, "_SAID", set())


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_header_and_whole_file(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    wav = write(path, samples=4000)
    info = audio_info(path)
    assert (info.sample_rate, info.frames, info.channels) == (16000, 4000, 1)
    assert info.duration_s == 0.25 and info.path == str(path)
    loaded = load_audio(path)
    assert loaded.dtype == torch.float32 and loaded.shape == (4000,)
    np.testing.assert_allclose(loaded, wav[:, 0], atol=1e-4)


@pytest.mark.parametrize("start, frames", [(0, 7), (1000, 500), (3999, -1)])
def test_crop_equals_slice(tmp_path, start, frames):
    path = tmp_path / "a.flac"
    write(path, samples=4000)
    end = None if frames < 0 else start + frames
    crop = load_audio(path, start, frames)
    assert torch.equal(crop, load_audio(path)[start:end])


def test_crop_over_the_end_is_shorter(tmp_path):
    write(tmp_path / "a.wav", samples=4000)
    assert len(load_audio(tmp_path / "a.wav", start=3900, frames=500)) == 100


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampled_crop_equals_slice_of_whole(tmp_path, rate):
    path = tmp_path / "a.wav"
    write(path, samples=rate // 2 + 13, rate=rate)
    whole = load_audio(path)
    assert len(whole) == audio_info(path).frames_at(SAMPLE_RATE)
    for start, frames in [(0, 300), (1, 1), (4001, 2500), (7000, -1)]:
        end = None if frames < 0 else start + frames
        crop = load_audio(path, start, frames)
        assert crop.shape == whole[start:end].shape
        torch.testing.assert_close(crop, whole[start:end], atol=1e-6, rtol=0)


def test_resampling_keeps_a_tone(tmp_path):
    seconds = np.arange(4000) / 8000
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * seconds), 8000)
    loaded = load_audio(path)[1000:7000].numpy()
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1000, 7000) / 16000)
    np.testing.assert_allclose(loaded, expected, atol=5e-3)


def test_stereo_is_averaged_and_said_once(tmp_path, caplog):
    wav = write(tmp_path / "a.wav", channels=2, rate=8000)
    write(tmp_path / "b.wav", channels=2)
    caplog.set_level(logging.INFO)
    mono = load_audio(tmp_path / "a.wav", sample_rate=8000)
    np.testing.assert_allclose(mono, wav.mean(1), atol=1e-4)
    for name in ("a.wav", "b.wav", "a.wav"):
        load_audio(tmp_path / name)
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "Mixing 2 channels" in said[0] and "a.wav" in said[0]
    assert "Resampling from 8000 Hz" in said[1]


@pytest.mark.parametrize("rate, layout", [(16000, "mono"), (44100, "stereo")])
def test_m4a(tmp_path, rate, layout):
    path = tmp_path / "a.m4a"
    write_m4a(path, samples=rate, rate=rate, layout=layout)
    info = audio_info(path)
    assert (info.sample_rate, info.duration_s) == (rate, pytest.approx(1, 0.01))
    whole = load_audio(path)
    assert len(whole) == info.frames_at(SAMPLE_RATE)
    middle = whole[4000:12000].double()
    spectrum = torch.fft.rfft(middle * torch.hann_window(8000)).abs()
    assert spectrum.argmax() * 2 == 440
    assert 0.2 < middle.abs().max() < 0.4
    crop = load_audio(path, start=5001, frames=1234)
    torch.testing.assert_close(crop, whole[5001:6235], atol=1e-6, rtol=0)


@pytest.mark.parametrize("extension", ["wav", "flac", "m4a"])
@pytest.mark.parametrize("read", [audio_info, load_audio])
def test_empty_broken_and_missing_files(tmp_path, extension, read):
    path = tmp_path / f"a.{extension}"
    with pytest.raises(FileNotFoundError, match=f"a.{extension}: no such"):
        read(path)
    path.touch()
    with pytest.raises(ValueError, match=f"a.{extension}: empty"):
        read(path)
    path.write_bytes(b"no audio in here" * 100)
    with pytest.raises(ValueError, match=f"a.{extension}: not readable"):
        read(path)


def test_a_file_of_no_frames(tmp_path):
    write(tmp_path / "a.wav", samples=0)
    with pytest.raises(ValueError, match="a.wav: empty, it holds no audio"):
        audio_info(tmp_path / "a.wav")


def cut_in_half(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_wav_cut_short(tmp_path):
    path = tmp_path / "a.wav"
    write(path, samples=16000)
    cut_in_half(path)
    for read in (audio_info, load_audio):
        with pytest.raises(ValueError, match="a.wav: cut short: .*32000 bytes"):
            read(path)


def test_wav_of_a_pipe_is_not_cut_short(tmp_path):
    path = tmp_path / "a.wav"
    write(path, samples=4000)
    data = path.read_bytes()
    place = data.index(b"data") + 4
    path.write_bytes(data[:place] + b"\xff" * 4 + data[place + 4 :])
    assert len(load_audio(path)) == 4000


def test_flac_cut_short(tmp_path):
    path = tmp_path / "a.flac"
    write(path, samples=48000)
    cut_in_half(path)
    assert audio_info(path).frames == 48000
    with pytest.raises(ValueError, match="a.flac: (cut short|not readable)"):
        load_audio(path)


def test_m4a_cut_short(tmp_path):
    path = tmp_path / "a.m4a"
    write_m4a(path, samples=48000, faststart=True)
    cut_in_half(path)
    with pytest.raises(ValueError, match="a.m4a: (cut short|not readable)"):
        load_audio(path)


def test_m4a_without_audio_track(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), "uint8"))
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(ValueError, match="a.m4a: no audio track"):
        audio_info(path)


def test_m4a_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="a.m4a: .* pip install av"):
        audio_info(tmp_path / "a.m4a")


def test_a_crop_that_is_not_there(tmp_path):
    write(tmp_path / "a.wav", samples=4000)
    with pytest.raises(ValueError, match="from sample 4000 .* file has 4000"):
        load_audio(tmp_path / "a.wav", start=4000)
    with pytest.raises(ValueError, match="start -1 and frames 5"):
        load_audio(tmp_path / "a.wav", start=-1, frames=5)
    with pytest.raises(ValueError, match="frames -2"):
        load_audio(tmp_path / "a.wav", frames=-2)


def test_real_speech(realvox):
    path = min((realvox / "wav").glob("*/*/*.flac"))
    info = audio_info(path)
    assert 1.4 < info.duration_s <= 5.01
    wav = load_audio(path)
    assert len(wav) == info.frames and 0.01 < wav.abs().max() <= 1
