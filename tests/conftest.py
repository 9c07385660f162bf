"""What all tests share: one thread, no network, real and synthetic speech."""

import os
from pathlib import Path

# Before anything imports huggingface_hub, which reads these once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
import torch

torch.set_num_threads(1)
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

SAMPLE_RATE = 16000

_OWN_EAR = """\
import torch
from speechbrain_kd.teachers import Teacher

class Spectrum(Teacher):
    def __init__(self, source):
        super().__init__(source, 128)
        self.freeze()

    def encode(self, wavs, lens):
        spectrum = torch.stft(
            wavs, 256, window=torch.hann_window(256), return_complex=True
        )
        levels = spectrum[:, :128].abs().mean(dim=2).add(1e-3).log()
        return levels - levels.mean(dim=1, keepdim=True)
"""


@pytest.fixture(scope="session")
def realvox() -> Path:
    """The folder of real speech, of $REALVOX or beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "realvox"
    folder = Path(os.environ.get("REALVOX", beside))
    if not (folder / "meta" / "speakers.csv").is_file():
        pytest.skip(f"no real speech in {folder}; set REALVOX to its folder")
    return folder


@pytest.fixture(scope="session")
def upstream_hparams() -> Path:
    """The yamls of SpeechBrain's own speaker recipe, which no wheel carries.

    $SPEECHBRAIN_RECIPES is the folder ``recipes`` of a checkout.
    """
    recipes = Path(os.environ.get("SPEECHBRAIN_RECIPES", "not set"))
    folder = recipes / "VoxCeleb" / "SpeakerRec" / "hparams"
    if not folder.is_dir():
        pytest.skip(
            "SpeechBrain's recipes are not here; set SPEECHBRAIN_RECIPES to "
            "the recipes folder of its repository"
        )
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in VoxCeleb's layout: 6 training and 2 test speakers.

    Each has 2 recordings of 3 utterances of 0.8 to 1.6 s; each speaker is
    another mixture of harmonics, in noise. Tests must not write into it.
    """
    folder = tmp_path_factory.mktemp("tiny_corpus")
    for number in range(8):
        _write_speaker(folder / "wav" / f"id{number:05d}", number)
    trials = _trials("id00006", "id00007")
    (folder / "meta").mkdir()
    (folder / "meta" / "veri_test.txt").write_text("\n".join(trials) + "\n")
    return folder


@pytest.fixture
def ear(tmp_path, monkeypatch):
    """A model that hears the harmonics of a voice."""
    (tmp_path / "own_ear.py").write_text(_OWN_EAR)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "ear.yaml"
    path.write_text("!new:own_ear.Spectrum\nsource: spectrum\n")
    return path


@pytest.fixture(scope="session")
def pack(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus in tar shards of a few utterances."""
    pytest.importorskip("webdataset")
    from speechbrain_kd.data.packed.writer import pack_corpus

    folder = tmp_path_factory.mktemp("packed") / "tar"
    pack_corpus(
        *(tiny_corpus, folder, "tar"),
        shard_mb=0.15,
        processes=1,
        progressbar=False,
    )
    return folder


def _write_speaker(folder: Path, number: int) -> None:
    """Writes the utterances of a speaker, the same in every run."""
    rng = np.random.default_rng(1986 + number)
    pitch = 90 + 25 * number
    amplitudes = rng.uniform(0.05, 1.0, 20)
    for recording in ("rec0", "rec1"):
        (folder / recording).mkdir(parents=True)
        for utterance in range(1, 4):
            samples = rng.integers(
                8 * SAMPLE_RATE // 10, 16 * SAMPLE_RATE // 10
            )
            wav = _tones(pitch, amplitudes, int(samples), rng)
            path = folder / recording / f"{utterance:05d}.wav"
            soundfile.write(path, wav, SAMPLE_RATE, subtype="PCM_16")


def _tones(
    pitch: float, amplitudes: np.ndarray, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """A harmonic tone whose pitch wanders a little, in noise."""
    seconds = np.arange(samples) / SAMPLE_RATE
    wander = 0.03 * np.sin(2 * np.pi * rng.uniform(1, 4) * seconds)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + wander)) / SAMPLE_RATE
    harmonics = np.arange(1, len(amplitudes) + 1)[:, None]
    wav = (amplitudes[:, None] * np.sin(harmonics * phase)).sum(0)
    wav = 0.5 * wav / np.abs(wav).max()
    return (wav + 0.02 * rng.standard_normal(samples)).astype(np.float32)


def _trials(first: str, second: str) -> list[str]:
    """Positives across recordings, and as many impostor trials."""
    numbers = [f"{number:05d}.wav" for number in range(1, 4)]
    pairs = [(one, other) for one in numbers for other in numbers]
    lines = []
    for speaker in (first, second):
        for one, other in pairs:
            lines.append(f"1 {speaker}/rec0/{one} {speaker}/rec1/{other}")
    for recording in ("rec0", "rec1"):
        for one, other in pairs:
            lines.append(f"0 {first}/{recording}/{one} {second}/rec0/{other}")
    return lines
