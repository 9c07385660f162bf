"""examples/c against the runtime in Python.

It needs a C compiler and the header of onnxruntime's C API, which no wheel
carries: $ORT_INCLUDE names its folder.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from small_onnx import write
from test_runtime_command import noise, wav

from speechbrain_kd.runtime import SpeakerVerifier, read_wav

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

EXAMPLE = Path(__file__).parents[1] / "examples" / "c"
_HEADER = "onnxruntime_c_api.h"
_PLACES = ("/usr/include/onnxruntime", "/usr/include", "/usr/local/include")


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The example, built against the library of onnxruntime's wheel."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("no C compiler (make, cc) on this machine")
    places = [os.environ.get("ORT_INCLUDE", ""), *_PLACES]
    found = [one for one in places if (Path(one or "-") / _HEADER).is_file()]
    if not found:
        pytest.skip(
            f"no {_HEADER} on this machine: set ORT_INCLUDE to the folder "
            "include of a release of onnxruntime"
        )
    capi = Path(onnxruntime.__file__).parent / "capi"
    libraries = sorted(capi.glob("libonnxruntime.so*"))
    if not libraries:
        pytest.skip(f"no libonnxruntime.so in {capi}")
    folder = tmp_path_factory.mktemp("c")
    for name in ("Makefile", "verify.c"):
        shutil.copy(EXAMPLE / name, folder)
    options = [f"ORT_INCLUDE={found[0]}", f"ORT_LIB={libraries[0]}"]
    flags = "CFLAGS=-O1 -Wall -Wextra -Werror -std=c99"
    subprocess.run(["make", "-C", folder, *options, flags], check=True)
    return folder / "verify"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    write(path)
    return path


def run(program, *arguments):
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_same_as_in_python(program, model, tmp_path):
    verifier = SpeakerVerifier(model)
    long = noise(25.3)
    long[140000:300000] = 7  # a window of silence
    files = [
        wav(tmp_path / "short.wav", noise(0.3, 1)),
        wav(tmp_path / "long.wav", long),
    ]
    for file in files:
        done = run(program, model, file)
        found = np.array(done.stdout.split(), float)
        expected = verifier.embed(read_wav(file)[0])
        np.testing.assert_allclose(found, expected, atol=1e-5)
    verdict = verifier.verify(*(read_wav(file)[0] for file in files))
    told = run(program, model, *files).stdout
    assert abs(float(told.split()[1]) - verdict.score) < 1e-5
    assert "threshold 0.400000: " in told
    assert told.endswith("same speaker\n") == verdict.same_speaker


def test_what_it_refuses(program, model, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("no audio, nor a model")
    for arguments, message in (
        ([model, text], "it is no WAV file"),
        ([model, tmp_path / "none"], "there is no such file"),
        ([text, text], "Load model from"),
        ([model, wav(tmp_path / "a.wav", noise(0.05))], "it is too short"),
        ([model, wav(tmp_path / "b.wav", 0 * noise(1))], "it is silent"),
        ([model, wav(tmp_path / "c.wav", noise(1), 8000)], "another sample"),
        (
            [model, wav(tmp_path / "d.wav", noise(1), channels=2)],
            "expected one channel of 16 bits",
        ),
    ):
        done = run(program, *arguments)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith("verify: error: ")
        assert message in done.stderr
