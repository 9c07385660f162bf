"""Whole models in int8 arithmetic, against SpeechBrain's modules."""

import json

import pytest
import torch
from small_onnx import CALIBRATION, encoder
from small_speech import speech
from test_int8_layers import NAMES

from speechbrain_kd.export import int8_file
from speechbrain_kd.export.int8_audio import held_apart
from speechbrain_kd.export.int8_file import export_int8
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.runtime import SpeakerVerifier

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FACTS = OnnxFacts("tiny", calibration=CALIBRATION)


def wavs(count: int = 10) -> list[torch.Tensor]:
    return [torch.from_numpy(one) for one in speech(count)]


def said(path) -> dict[str, str]:
    """The metadata of a file."""
    props = onnx.load(str(path)).metadata_props
    return {one.key: one.value for one in props}


def test_a_file_for_the_runtime(tmp_path):
    model = encoder()
    path = export_int8(tmp_path / "int8.onnx", model, FACTS, wavs())
    facts = said(path)
    assert (facts["weights"], facts["arithmetic"]) == ("int8", "int8")
    assert json.loads(facts["float_layers"]) == []
    whole = export_onnx(tmp_path / "float.onnx", model, FACTS, opset=13)
    assert path.stat().st_size < whole.stat().st_size
    verifier = SpeakerVerifier(path)
    assert verifier.facts.threshold == CALIBRATION["eer_threshold"]
    wav = wavs(12)[11]
    expected = torch.nn.functional.normalize(model(wav[None]).detach())[0]
    cosine = float(expected @ torch.from_numpy(verifier.embed(wav.numpy())))
    assert 0.99 < cosine < 1 - 1e-6


def test_layers_that_are_to_stay_float(tmp_path):
    kept = NAMES[1:]
    path = export_int8(
        tmp_path / "a.onnx", encoder(), FACTS, wavs(4), keep_float=kept
    )
    assert json.loads(said(path)["float_layers"]) == kept
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    # Around one convolution; the weights of the others are in int8 as well.
    assert kinds.count("QuantizeLinear") == 2
    with pytest.raises(ValueError, match="no layer can be quantised"):
        export_int8(path, encoder(), FACTS, wavs(4), keep_float=NAMES)


def test_what_differs_too_much_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"before")
    monkeypatch.setattr(int8_file, "LEAST_COSINE", 0.9999999)
    with pytest.raises(ValueError, match="a cosine of 0.99.*0.9999999"):
        export_int8(path, encoder(), FACTS, wavs(4), keep_float=[])
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_too_little_audio(tmp_path):
    with pytest.raises(ValueError, match="at least 2 utterances .* came 1"):
        export_int8(tmp_path / "a.onnx", encoder(), FACTS, wavs(1))
    ranged, apart = held_apart(wavs(2))
    assert (len(ranged), len(apart)) == (1, 1)
