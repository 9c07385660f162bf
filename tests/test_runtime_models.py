"""The runtime as the docs use it, and what it refuses as a model."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_onnx import CALIBRATION, write

from speechbrain_kd.runtime import SpeakerVerifier

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The path of a model."""
    path = tmp_path_factory.mktemp("runtime") / "tiny.onnx"
    write(path)
    return path


def test_the_documented_use(model, tmp_path, monkeypatch, capsys):
    text = (DOCS / "deployment.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copy(model, tmp_path / "student.onnx")
    generator = np.random.default_rng(0)
    for name in ("one.wav", "other.wav"):
        wave = 0.1 * generator.standard_normal(16000)
        soundfile.write(tmp_path / name, wave, 16000)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.split()[2] == "0.4"
    assert json.loads((tmp_path / "ann.json").read_text())["utterances"] == 2


def with_metadata(path, new, **changes):
    """A model whose metadata is changed; None takes a key away."""
    graph = onnx.load(str(path))
    found = {one.key: one.value for one in graph.metadata_props} | changes
    kept = {key: value for key, value in found.items() if value is not None}
    onnx.helper.set_model_props(graph, kept)
    onnx.save(graph, str(new))
    return new


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "no model for this runtime: .*, came None"),
        ({"sample_rate": "0"}, "a positive number for sample_rate .* came '0'"),
        ({"threshold": "NaN"}, "a finite number for threshold"),
        ({"calibration": "{}"}, "its calibration is no line"),
        ({"calibration": "[" * 99999}, "its calibration is no line"),
        ({"longest_s": None}, "a positive number for longest_s .* None"),
    ],
)
def test_broken_metadata(model, tmp_path, changes, message):
    path = with_metadata(model, tmp_path / "b.onnx", **changes)
    with pytest.raises(ValueError, match=message):
        SpeakerVerifier(path)


def test_another_graph(model, tmp_path):
    graph = onnx.load(str(model))
    graph.graph.input[0].name = "speech"
    for node in graph.graph.node:
        node.input[:] = [
            "speech" if name == "waveform" else name for name in node.input
        ]
    onnx.save(graph, str(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match=r"came \['speech'\] and \['embed"):
        SpeakerVerifier(tmp_path / "a.onnx")


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="is no ONNX model that onnxruntime"):
        SpeakerVerifier(path)


@pytest.mark.parametrize("line", [None, -8.0])
def test_without_a_calibration_there_is_no_decision(model, tmp_path, line):
    made, threshold = None, None
    if line is not None:
        # A line that falls says nothing; the threshold is still there.
        made, threshold = dict(CALIBRATION), "0.4"
        made["calibration"] = {"weights": [line], "offset": 0.0}
        made = json.dumps(made)
    path = tmp_path / "a.onnx"
    with_metadata(model, path, calibration=made, threshold=threshold)
    verifier, wave = SpeakerVerifier(path), np.sin(np.arange(8000.0))
    with pytest.raises(ValueError, match="exported without a calibration"):
        verifier.verify(wave, wave, prior=0.5)
    if line is None:
        with pytest.raises(ValueError, match="without a calibration"):
            verifier.verify(wave, wave)
    else:
        assert verifier.verify(wave, wave).llr is None
