"""``speechbrain-kd verify``, its WAV files, and commands without torch."""

import configparser
import re
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from small_onnx import write

from speechbrain_kd import cli
from speechbrain_kd.runtime import SpeakerVerifier, read_wav
from speechbrain_kd.runtime.command import main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]
_WITHOUT = """
import sys
for name in {refused}:
    sys.modules[name] = None
from speechbrain_kd import cli
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "tiny.onnx"
    write(path)
    return path


def wav(path, samples, rate=16000, channels=1, width=2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).tobytes())
    return path


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(
        -3000, 3000, round(16000 * seconds), dtype=np.int16
    )


def test_two_files(model, tmp_path, capsys):
    one, other = noise(1.0), (9000 * np.sin(np.arange(20000) / 9)).astype("<i2")
    files = wav(tmp_path / "1.wav", one), wav(tmp_path / "2.wav", other)
    main([str(model), *map(str, files), "--prior=0.3"])
    verifier = SpeakerVerifier(model)
    found = verifier.verify(one, other, prior=0.3)
    told = capsys.readouterr().out
    score, threshold, llr = map(float, re.findall(r"-?\d+\.\d+", told))
    assert score == pytest.approx(found.score, abs=1e-5)
    assert threshold == pytest.approx(found.threshold, abs=1e-5)
    assert llr == pytest.approx(found.llr, abs=1e-2)
    assert told.endswith(
        ": same speaker\n" if found.same_speaker else ": different speakers\n"
    )
    verifier.enrol([one]).save(tmp_path / "ann.json")
    main([str(model), str(tmp_path / "ann.json"), str(files[0])])
    assert capsys.readouterr().out.startswith("score 1.000000 threshold 0.4")


def test_kinds_of_wav_files(tmp_path):
    samples = noise(0.5)
    found, rate = read_wav(wav(tmp_path / "a.wav", samples, 8000))
    assert rate == 8000 and np.array_equal(found, samples)
    wide = samples.astype("<i4") << 16
    found, _ = read_wav(wav(tmp_path / "b.wav", wide, width=4))
    assert np.array_equal(found, wide)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[:1045])  # within a sample
    assert np.array_equal(read_wav(tmp_path / "cut.wav")[0], samples[:500])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: at.write_text("no audio"), "is no WAV file of PCM: file"),
        (lambda at: at.write_bytes(b""), "it ends within its header"),
        (lambda at: at.write_bytes(b"RIFF"), "is no WAV file of PCM"),
        (lambda at: wav(at, noise(2), channels=2), "came 2 of 16 bits"),
        (lambda at: wav(at, noise(1), width=1), "came 1 of 8 bits"),
        (lambda at: wav(at, noise(1.0), 8000), "16000 Hz, came 8000 Hz"),
        (lambda at: wav(at, noise(0.05)), "has 50 ms .800 samples"),
        (lambda at: wav(at, noise(0)), "has 0 ms"),
        (lambda at: wav(at, 0 * noise(1)), "the waveform is silent"),
        (lambda at: None, "there is no file"),
    ],
)
def test_what_is_no_recording(model, tmp_path, spoil, message):
    good, bad = wav(tmp_path / "good.wav", noise(1.0)), tmp_path / "bad.wav"
    spoil(bad)
    with pytest.raises(SystemExit) as caught:
        main([str(model), str(good), str(bad)])
    said = str(caught.value.code)
    assert said.startswith("verify: error: ") and "\n" not in said
    assert "bad.wav" in said and re.search(message, said)


def test_a_float_file_is_refused(model, tmp_path):
    path = wav(tmp_path / "a.wav", noise(1.0))
    data = bytearray(path.read_bytes())
    data[20:22] = struct.pack("<H", 3)  # IEEE floats
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is no WAV file of PCM: unknown form"):
        read_wav(path)


def test_two_hours(model):
    verifier = SpeakerVerifier(model)
    assert verifier.window_s == 10
    recording = np.zeros(7200 * 16000, np.int16)
    first, last = noise(10.0, 1), noise(10.0, 2)
    recording[:160000], recording[-160000:] = first, last
    mean = (verifier.embed(first) + verifier.embed(last)) / 2
    np.testing.assert_allclose(
        verifier.embed(recording), mean / np.linalg.norm(mean), atol=1e-6
    )


def without(refused, *arguments):
    """A command where some packages are not installed."""
    code = _WITHOUT.format(refused=refused)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        cwd=ROOT,
        text=True,
        timeout=120,
    )


def test_commands_without_torch(model, tmp_path):
    files = [wav(tmp_path / f"{n}.wav", noise(1.0, n)) for n in (1, 2)]
    done = without(cli.TRAINING, "verify", model, *files)
    assert done.stdout.startswith("score "), done.stderr
    done = without(cli.TRAINING, "export", "run")
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(
        r"speechbrain-kd export: needs \w+: pip install "
        r"'speechbrain_kd\[train\]'\n",
        done.stderr,
    )
    done = without(["onnxruntime"], "verify", model, *files)
    assert "pip install 'speechbrain_kd[runtime]'" in done.stderr


def test_what_the_extra_of_training_brings():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extra = config["options.extras_require"]["train"]
    imported = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
    imported["ruamel.yaml"] = "ruamel"
    names = re.findall(r"^[\w.-]+", extra, re.M)
    assert {imported.get(name, name) for name in names} == set(cli.TRAINING)
    assert config["options"]["install_requires"].split() == ["numpy>=1.24"]
