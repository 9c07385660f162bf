"""Front ends as the published models' own code computes them, and axes."""

import pytest
import torch
from speechbrain.lobes.features import Fbank
from torchaudio.compliance.kaldi import fbank

from speechbrain_kd.teachers.frontend import FrontEnd
from speechbrain_kd.teachers.layout import read_layout


def test_wespeaker(wavs):
    """As wespeaker/bin/infer_onnx.py, without its dither."""
    feats = FrontEnd(waveform_scale=32768.0, window="hamming")(wavs)
    for ours, wav in zip(feats, wavs, strict=True):
        theirs = fbank(
            wav.unsqueeze(0) * (1 << 15),
            num_mel_bins=80,
            dither=0.0,
            energy_floor=0.0,
            window_type="hamming",
            htk_compat=True,
        )
        theirs = theirs - theirs.mean(dim=0)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0.0)


def test_3dspeaker(wavs):
    """As 3D-Speaker's FBank, whose waveforms are in [-1, 1]."""
    feats = FrontEnd()(wavs)
    for ours, wav in zip(feats, wavs, strict=True):
        theirs = fbank(wav.unsqueeze(0), num_mel_bins=80, dither=0.0)
        theirs = theirs - theirs.mean(dim=0, keepdim=True)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0.0)


def test_speechbrain_and_waveform(wavs):
    feats = FrontEnd("speechbrain", n_mels=24, mean_norm=False)(wavs)
    torch.testing.assert_close(feats, Fbank(n_mels=24)(wavs))
    scaled = FrontEnd("waveform", waveform_scale=2.0)(wavs)
    torch.testing.assert_close(scaled, 2.0 * wavs)


@pytest.mark.parametrize("kind", ["kaldi", "speechbrain", "waveform"])
@pytest.mark.parametrize("samples", [400, 559, 560, 16000, 16001])
def test_frames(kind, samples):
    frontend = FrontEnd(kind, n_mels=24)
    frames = frontend.frames(samples)
    assert frontend(torch.rand(1, samples)).shape[1] == frames
    least = frontend.samples(frames)
    assert frontend.frames(least) == frames != frontend.frames(least - 1)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"kind": "odd"}, "one of kaldi, speechbrain, waveform; got 'odd'"),
        ({"window": "odd"}, "povey or hamming, got 'odd'"),
        ({"waveform_scale": 0}, "above 0 .1 or 32768., got 0"),
    ],
)
def test_bad_settings(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        FrontEnd(**wrong)


@pytest.mark.parametrize(
    "shape, mels_first, batch, length, turned",
    [
        (["N", "T", 80], None, None, None, False),
        ([1, "T", 80], None, 1, None, False),
        (["N", 200, 80], None, None, 200, False),
        (["N", 80, None], None, None, None, True),
        ([4, 80, 300], None, 4, 300, True),
        ([4, 80, 80], None, 4, 80, False),
        ([4, 80, 80], True, 4, 80, True),
        (["N", None, None], True, None, None, True),
        (["N", None, None], None, None, None, False),
    ],
)
def test_axes_of_features(shape, mels_first, batch, length, turned):
    layout = read_layout(shape, 80, "feats", mels_first)
    assert (layout.batch, layout.length) == (batch, length)
    assert layout.mels_first is turned


@pytest.mark.parametrize(
    "shape, n_mels, problem",
    [
        (["N", "T", 80], 24, "feats has 80 mel bins"),
        (["N", 80, "T"], 24, "feats has 80 mel bins"),
        (["N", "T"], 80, "has 2 axes.*batch, frames, 80"),
        (["N", 2, "T"], None, "has 3 axes.*batch, samples"),
    ],
)
def test_axes_that_cannot_serve(shape, n_mels, problem):
    with pytest.raises(ValueError, match=problem):
        read_layout(shape, n_mels, "feats")


def test_axes_of_waveforms(wavs):
    plain = read_layout(["N", "T"], None, "wav")
    assert plain.arrange(wavs) is wavs
    channel = read_layout(["N", 1, 32000], None, "wav")
    assert channel.length == 32000
    assert channel.arrange(wavs).shape == (4, 1, 32000)
