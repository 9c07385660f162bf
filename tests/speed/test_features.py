"""Features that are SpeechBrain's, made faster."""

import pytest
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.speed.features import FastFeatures, feature_key


def sentence_mean():
    return InputNormalization(norm_type="sentence", std_norm=False)


@pytest.fixture(scope="module")
def wavs():
    """Noise, silence, a click in silence, and a loud sine."""
    torch.manual_seed(0)
    wavs = torch.zeros(4, 24000)
    wavs[0] = 0.1 * torch.randn(24000)
    wavs[2, 12000] = 1.0
    wavs[3] = torch.sin(torch.arange(24000) / 9)
    return wavs


@pytest.mark.parametrize(
    "options",
    [
        {"n_mels": 80},
        {"n_mels": 24, "n_fft": 512, "win_length": 32, "hop_length": 8},
        {"n_mels": 40, "f_min": 50, "f_max": 7000},
        {"n_mels": 40, "filter_shape": "gaussian"},
    ],
)
def test_they_equal_speechbrains(options, wavs):
    fbank, norm = Fbank(**options), sentence_mean()
    fast = FastFeatures(fbank, norm)
    assert fast.is_fast and fast.mean_only
    expected = norm(fbank(wavs), torch.ones(4))
    assert torch.allclose(fast(wavs), expected, atol=1e-4)
    lens = torch.tensor([1.0, 0.5, 0.75, 0.9])
    expected = norm(fbank(wavs), lens)
    assert torch.allclose(fast(wavs, lens), expected, atol=1e-4)


@pytest.mark.parametrize(
    "fbank, norm",
    [
        (Fbank(deltas=True, n_mels=20), sentence_mean()),
        (Fbank(context=True, n_mels=20), sentence_mean()),
        (Fbank(n_mels=20, param_rand_factor=0.1).eval(), sentence_mean()),
        (Fbank(n_mels=20), InputNormalization(norm_type="sentence")),
    ],
)
def test_what_is_not_plain_is_left_to_speechbrain(fbank, norm, wavs):
    fast = FastFeatures(fbank, norm)
    assert not (fast.is_fast and fast.mean_only)
    assert feature_key(fbank, norm) is None
    expected = norm(fbank(wavs), torch.ones(4))
    assert torch.allclose(fast(wavs), expected, atol=1e-4)


def test_learnt_filters_get_their_gradient(wavs):
    fbank = Fbank(n_mels=20, requires_grad=True)
    FastFeatures(fbank, sentence_mean())(wavs).sum().backward()
    assert fbank.compute_fbanks.band.grad is not None


def test_fp32_under_autocast(wavs):
    fast = FastFeatures(Fbank(n_mels=80), sentence_mean())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        feats = fast(wavs)
    assert feats.dtype == torch.float32
    assert torch.equal(feats, fast(wavs))


def test_keys_tell_front_ends_apart():
    keys = [
        feature_key(Fbank(**options), sentence_mean())
        for options in ({"n_mels": 80}, {"n_mels": 40}, {"hop_length": 8}, {})
    ]
    assert keys[1] == keys[3] and len(set(keys)) == 3
