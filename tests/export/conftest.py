"""The page of a tiny model, open in a browser; once for all its tests."""

import numpy as np
import pytest
import soundfile
from small_web import noise, opened, python, write_model, write_wav

from speechbrain_kd.runtime import SpeakerVerifier

CALIBRATION = {
    "eer_threshold": 0.2,
    "calibration": {"weights": [8.0], "offset": -4.0},
}


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Two clips of one colour, and one of another."""
    folder = tmp_path_factory.mktemp("clips")
    for name, seed, seconds in (("a", 6, 1.7), ("b", 6, 1.2), ("c", 7, 1.5)):
        write_wav(folder / f"{name}.wav", noise(seconds, seed))
    return folder


@pytest.fixture(scope="session")
def verifier(clips):
    """Python's runtime."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = clips / "tiny.onnx"
    write_model(path, CALIBRATION)
    model = SpeakerVerifier(path)
    same, different = (
        python(model, clips / "a.wav", clips / f"{name}.wav") for name in "bc"
    )
    assert same > 0.2 > different
    return model


@pytest.fixture(scope="session")
def page(verifier, clips):
    """The page, open; its microphone hears the first clip over and over."""
    wave = soundfile.read(clips / "a.wav")[0]
    sound = write_wav(clips / "heard.wav", (32767 * wave).astype(np.int16))
    with opened(clips, clips / "tiny.onnx", sound) as browser:
        yield browser
