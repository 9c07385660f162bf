"""The batched Kaldi fbank equals torchaudio's."""

import pytest
import torch
from torchaudio.compliance.kaldi import fbank

from speechbrain_kd.teachers.kaldi import KaldiFbank


@pytest.mark.parametrize("n_mels", [24, 80])
@pytest.mark.parametrize("samples", [400, 559, 560, 32000])
@pytest.mark.parametrize("scale", [1.0, 32768.0])
def test_equals_torchaudio(n_mels, samples, scale):
    noise = torch.Generator().manual_seed(samples)
    wavs = scale * 0.1 * torch.randn(3, samples, generator=noise)
    feats = KaldiFbank(n_mels)(wavs)
    for ours, wav in zip(feats, wavs, strict=True):
        theirs = fbank(wav.unsqueeze(0), num_mel_bins=n_mels, dither=0.0)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0.0)


def test_equals_torchaudio_on_speech(realvox):
    from speechbrain.dataio import audio_io

    for path in sorted(realvox.glob("wav/*/*/*.flac"))[:40:10]:
        wav, _ = audio_io.load(str(path))
        theirs = fbank(wav, num_mel_bins=80, dither=0.0)
        ours = KaldiFbank(80)(wav)[0]
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0.0)


def test_silence_is_finite():
    feats = KaldiFbank(80)(torch.zeros(1, 1600))
    assert torch.isfinite(feats).all()


def test_dither_is_noise():
    fbank_ = KaldiFbank(80, dither=1.0)
    wavs = torch.zeros(1, 1600)
    assert not torch.equal(fbank_(wavs), fbank_(wavs))


def test_too_short():
    with pytest.raises(ValueError, match="400 samples .* got 399"):
        KaldiFbank(80)(torch.zeros(1, 399))
