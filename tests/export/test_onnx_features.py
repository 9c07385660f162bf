"""Features of matrix products against SpeechBrain's own."""

import pytest
import torch
from speechbrain.lobes.features import MFCC, Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.export.onnx_encoder import WaveformEncoder
from speechbrain_kd.export.onnx_features import PlainFbank

SETTINGS = {
    "usual": {"n_mels": 80},
    "window shorter than the transform": {"n_mels": 40, "n_fft": 512},
    "odd hop": {"n_mels": 24, "hop_length": 12.5},
    "prime transform": {"n_mels": 24, "n_fft": 401},
    "8 kHz": {"n_mels": 24, "sample_rate": 8000, "n_fft": 200},
    "gaussian": {"n_mels": 24, "filter_shape": "gaussian", "f_min": 60},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("samples", [4800, 8159])
def test_features_are_speechbrains(name, samples):
    fbank = Fbank(**SETTINGS[name])
    wavs = 0.1 * torch.randn(2, samples)
    wavs[0, 2000:3500] = 0  # below the floor
    expected = fbank(wavs)
    came = PlainFbank(fbank)(wavs)
    assert came.shape == expected.shape
    torch.testing.assert_close(came, expected, atol=2e-3, rtol=0)


def test_an_utterance_is_alone_in_its_batch():
    """As in SpeechBrain: a loud neighbour does not raise the floor."""
    features, quiet = PlainFbank(Fbank(n_mels=24)), 1e-4 * torch.randn(1, 8000)
    together = features(torch.cat([torch.randn(1, 8000), quiet]))
    torch.testing.assert_close(together[1:], features(quiet), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["sentence", "global"])
@pytest.mark.parametrize("std_norm", [True, False])
def test_normalisations(kind, std_norm):
    fbank = Fbank(n_mels=16)
    norm = InputNormalization(norm_type=kind, std_norm=std_norm)
    norm.train()(3 + 2 * torch.randn(4, 50, 16), torch.ones(4))
    norm.eval()
    graph = WaveformEncoder(fbank, norm, torch.nn.Flatten())
    wavs = torch.randn(2, 4800)
    expected = norm(fbank(wavs), torch.ones(2)).flatten(1)
    expected = torch.nn.functional.normalize(expected, dim=1)
    torch.testing.assert_close(graph(wavs), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "features",
    [Fbank(deltas=True), Fbank(requires_grad=True), MFCC()],
)
def test_other_features_are_refused(features):
    with pytest.raises(ValueError, match="compute_features: expected"):
        PlainFbank(features)


def test_other_normalisations_are_refused():
    norm = InputNormalization(norm_type="batch")
    with pytest.raises(ValueError, match="came InputNormalization of batch"):
        WaveformEncoder(Fbank(), norm, torch.nn.Flatten())
