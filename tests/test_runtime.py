"""Verification without torch, on a tiny exported model."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_onnx import write

from speechbrain_kd.runtime import Enrolment, SpeakerVerifier

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]
_ALONE = """
import sys, importlib.abc
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from speechbrain_kd.runtime import SpeakerVerifier
wave = np.load(sys.argv[2])
np.save(sys.argv[3], SpeakerVerifier(sys.argv[1]).embed(wave))
"""
_REFUSED = (
    *("torch", "torchaudio", "speechbrain", "hyperpyyaml", "scipy", "sklearn"),
    *("soundfile", "onnx", "yaml", "huggingface_hub", "matplotlib"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The path of a model, and its modules in torch."""
    path = tmp_path_factory.mktemp("runtime") / "tiny.onnx"
    return path, write(path)


@pytest.fixture(scope="module")
def verifier(model) -> SpeakerVerifier:
    return SpeakerVerifier(model[0])


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    samples = round(16000 * seconds)
    return (0.1 * generator.standard_normal(samples)).astype(np.float32)


@torch.no_grad()
def by_torch(encoder, wave: np.ndarray) -> np.ndarray:
    embedding = encoder(torch.from_numpy(wave).reshape(1, -1))
    return torch.nn.functional.normalize(embedding, dim=1)[0].numpy()


def test_without_torch(model, tmp_path):
    path, encoder = model
    wave = noise(1.3)
    np.save(tmp_path / "wave.npy", wave)
    out = tmp_path / "embedding.npy"
    code = _ALONE.format(refused=set(_REFUSED))
    files = [str(path), str(tmp_path / "wave.npy"), str(out)]
    subprocess.run(
        [sys.executable, "-c", code, *files], cwd=ROOT, check=True, timeout=60
    )
    np.testing.assert_allclose(np.load(out), by_torch(encoder, wave), atol=1e-5)


def test_kinds_of_samples(verifier):
    wave = (np.clip(noise(1.0), -1, 1) * 32767).astype(np.int16)
    expected = verifier.embed(wave / 32768)
    assert expected.dtype == np.float32
    for same in (
        wave,
        wave.astype(np.int32) * 65536,
        (wave / 32768).tolist(),
        torch.from_numpy(wave),
    ):
        found = verifier.embed(same, sample_rate=16000)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_verdict(model, verifier):
    path, encoder = model
    one, other = noise(1.0, 1), 0.05 * np.sin(np.arange(20000) / 9.0)
    other = other.astype(np.float32)
    score = float(by_torch(encoder, one) @ by_torch(encoder, other))
    verdict = verifier.verify(one, other)
    assert verdict.score == pytest.approx(score, abs=1e-5)
    assert verdict.threshold == 0.4
    assert verdict.same_speaker == (score >= 0.4)
    assert verdict.llr == pytest.approx(8 * score - 4, abs=1e-4)
    assert verifier.verify(one, one).same_speaker
    # At even odds the errors are fewest where the ratio is one.
    assert verifier.verify(one, other, prior=0.5).threshold == 0.5
    rare = verifier.verify(one, other, prior=0.01).threshold
    assert rare == pytest.approx((math.log(99) + 4) / 8)


def test_enrolment(model, verifier, tmp_path):
    waves = [noise(1.0, 1), noise(1.5, 2)]
    enrolment = verifier.enrol(waves)
    enrolment.save(tmp_path / "ann.json")
    read = Enrolment.load(tmp_path / "ann.json")
    assert read == enrolment and read.utterances == 2
    mean = sum(by_torch(model[1], wave) for wave in waves)
    expected = mean / np.linalg.norm(mean) @ by_torch(model[1], waves[0])
    assert verifier.verify(read, waves[0]).score == pytest.approx(
        float(expected), abs=1e-5
    )


def test_an_enrolment_of_another_model(verifier):
    other = Enrolment([1.0] + [0.0] * 11, 1, "0" * 64)
    with pytest.raises(
        ValueError, match="of another model .000000000000. than"
    ):
        verifier.verify(other, noise(1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no json", "is no enrolment: "),
        ("[1]", "expected a JSON object of format"),
        ({"format": "other"}, "expected a JSON object of format"),
        ({"embedding": [0.5, 0.5]}, "of norm 1"),
        ({"embedding": [float("nan"), 0.5]}, "of norm 1"),
        ({"utterances": 0}, "at least one utterance"),
        ({"spare": 0}, "is no enrolment: "),
    ],
)
def test_a_broken_enrolment(tmp_path, change, message):
    path = tmp_path / "ann.json"
    Enrolment([0.6, 0.8], 1, "00ff").save(path)
    if isinstance(change, dict):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    with pytest.raises(ValueError, match=message):
        Enrolment.load(path)


def test_a_long_recording_goes_by_windows(model):
    verifier = SpeakerVerifier(model[0], window_s=2.0)
    wave = noise(6.0)
    wave[32000:64000] = 0  # the second window says nothing
    parts = verifier.embed(wave[:32000]), verifier.embed(wave[64000:])
    expected = np.mean(parts, axis=0) / np.linalg.norm(np.mean(parts, axis=0))
    np.testing.assert_allclose(verifier.embed(wave), expected, atol=1e-6)
    whole = SpeakerVerifier(model[0]).embed(wave)
    assert abs(whole - expected).max() > 1e-4
    with pytest.raises(ValueError, match="window_s: expected 0.6 to 60 sec"):
        SpeakerVerifier(model[0], window_s=61)


BROKEN = noise(1.0)
BROKEN[7] = np.nan


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        ("a.wav", "came str. A file is to be read first"),
        (None, "came NoneType"),
        ([noise(1.0), noise(2.0)], "an array of numbers .samples., came list"),
        (noise(1.0).astype(complex), "an array of numbers"),
        (noise(1.0).reshape(2, -1), r"one channel .samples., .* \[2, 8000\]"),
        (noise(1.0).astype(np.uint8), "as int16 or int32, came uint8"),
        (noise(0.05), r"has 50 ms \(800 samples at 16000 Hz\); .* 300 ms"),
        (np.zeros(0), "has 0 ms"),
        (BROKEN, "NaN or infinite: 1 of 16000"),
        (np.zeros(16000), "the waveform is silent"),
        (np.full(16000, 0.5), "the waveform is silent"),
        (1e30 * noise(1.0), "no finite embedding: expected samples of full"),
    ],
)
def test_what_is_no_utterance(verifier, waveform, message):
    with pytest.raises(ValueError, match=message):
        verifier.embed(waveform)
    with pytest.raises(ValueError, match=message):
        verifier.verify(noise(1.0), waveform)
    with pytest.raises(ValueError, match=f"waveform 2: .*{message}"):
        verifier.enrol([noise(1.0), waveform])


def test_other_mistakes(verifier):
    with pytest.raises(ValueError, match="at 16000 Hz, came 8000 Hz: resample"):
        verifier.embed(noise(1.0), sample_rate=8000)
    with pytest.raises(ValueError, match="came one waveform"):
        verifier.enrol(noise(1.0))
    with pytest.raises(ValueError, match="at least one waveform"):
        verifier.enrol([])
    with pytest.raises(ValueError, match="prior: expected between 0 and 1"):
        verifier.verify(noise(1.0), noise(1.0), prior=1.0)
