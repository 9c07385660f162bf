"""Whole models as ONNX, against SpeechBrain's modules."""

import json

import pytest
import torch
from small_hub import COMMIT, TINY, point_at, serve
from small_onnx import CALIBRATION, encoder
from test_speechbrain_folder import LABELS, YAMLS, make_spec

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.export import ModelCard, export_speechbrain
from speechbrain_kd.export.command import main
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.pooling import silence_pooling

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

FACTS = OnnxFacts("tiny", calibration=CALIBRATION, licence="apache-2.0")


def run(path, wavs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path))
    return torch.from_numpy(session.run(None, {"waveform": wavs.numpy()})[0])


def properties(path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(str(path)).metadata_props}


@pytest.mark.parametrize("kind", sorted(YAMLS))
def test_a_graph_gives_the_embeddings(tmp_path, kind):
    spec = make_spec(YAMLS[kind])
    silence_pooling(spec.embedding_model)
    modules = spec.compute_features, spec.mean_var_norm, spec.embedding_model
    model = SpeakerEncoder(*modules).eval()
    path = export_onnx(tmp_path / "new" / "tiny.onnx", model, FACTS)
    for batch, samples in ((1, 4800), (3, 16001), (1, 150000)):
        wavs = 0.1 * torch.randn(batch, samples)
        with torch.no_grad():
            expected = torch.nn.functional.normalize(model(wavs), dim=1)
        torch.testing.assert_close(run(path, wavs), expected, atol=2e-5, rtol=0)
    graph = onnx.load(str(path))
    assert [(one.domain, one.version) for one in graph.opset_import] == [
        ("", 10)
    ]
    assert {node.domain for node in graph.graph.node} == {""}
    found = {node.op_type for node in graph.graph.node}
    assert not found & {"STFT", "DFT", "Loop", "If", "RandomNormal"}
    assert [path] == list(path.parent.iterdir())


def test_the_file_tells_its_facts(tmp_path):
    path = export_onnx(tmp_path / "tiny.onnx", encoder(), FACTS)
    found = properties(path)
    assert found["licence"] == "apache-2.0"
    assert (found["sample_rate"], found["dimension"]) == ("16000", "12")
    assert json.loads(found["threshold"]) == CALIBRATION["eer_threshold"]
    line = json.loads(found["calibration"])
    assert line["calibration"] == CALIBRATION["calibration"]
    assert "with_quality" not in line and "teacher_files" not in found


class Frozen(torch.nn.Module):
    """Its graph keeps something of what it was traced with."""

    def __init__(self, what):
        super().__init__()
        self.linear = torch.nn.Linear(16, 4)
        self.what = what

    def forward(self, feats, lengths=None):
        values = self.linear(feats).tanh().mean(dim=1)
        if self.what == "batch":
            return torch.cat([values, torch.zeros(len(feats), 4)], dim=1)
        if self.what == "sum":
            return values + torch.zeros(len(feats), 4)
        if self.what == "sign" and feats.shape[0] == 1:
            return -values
        if self.what == "transform":
            return torch.fft.rfft(values).abs()
        return values


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "batch",
            r"tiny.onnx does not run on \[1, 4800\] samples: the encoder",
        ),
        (
            "sign",
            "tiny.onnx gives other embeddings than PyTorch: a cosine of -",
        ),
        (
            "sum",
            r"tiny.onnx gives embeddings \[2, 4\] where PyTorch gives \[1, 4\]",
        ),
        ("transform", "Frozen cannot be written in ONNX opset 10: "),
    ],
)
def test_a_graph_that_differs_is_not_left_behind(tmp_path, what, message):
    path = tmp_path / "tiny.onnx"
    path.write_text("earlier")
    with pytest.raises(ValueError, match=message):
        export_onnx(path, encoder(Frozen(what)), FACTS)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="expected the name of a file, NAME"):
        export_onnx(tmp_path, encoder(), FACTS)


@pytest.fixture
def run_folder(tmp_path):
    """A run with an export, its calibration and its teacher's digests."""
    folder = tmp_path / "run"
    card = ModelCard("Tiny", licence="cc-by-4.0")
    spec = make_spec(
        YAMLS["ecapa"], card=card, labels=LABELS, calibration=CALIBRATION
    )
    export_speechbrain(folder / "export", spec=spec)
    digests = json.dumps({"teacher.ckpt": "00ff"})
    (folder / "teacher_files.json").write_text(digests)
    return folder


@pytest.mark.parametrize("place", ["", "export"])
def test_the_command(tmp_path, run_folder, capsys, place):
    path = tmp_path / "tiny.onnx"
    main([str(run_folder / place), "--to", "onnx", "--output", str(path)])
    assert f"{path}: {path.stat().st_size:,} bytes\n" == capsys.readouterr().out
    found = properties(path)
    assert (found["name"], found["licence"]) == ("run", "cc-by-4.0")
    assert json.loads(found["teacher_files"]) == {"teacher.ckpt": "00ff"}
    assert "embedding_model.ckpt" in json.loads(found["source_files"])


def test_the_command_on_a_hub_id(tmp_path, run_folder, monkeypatch):
    with serve() as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        hub.publish(TINY, run_folder / "export", COMMIT, "main")
        path = tmp_path / "tiny.onnx"
        main([TINY, "--to", "onnx", "--output", str(path)])
    found = properties(path)
    assert (found["name"], found["licence"]) == ("tiny", "cc-by-4.0")
    assert "calibration" in found and "teacher_files" not in found


def test_the_command_on_real_speech(tmp_path, run_folder, realvox):
    speech = sorted((realvox / "wav").rglob("*.*"))[:3]
    path = tmp_path / "tiny.onnx"
    arguments = [str(run_folder), "--to", "onnx", "--output", str(path)]
    main([*arguments, "--speech", *map(str, speech), "--licence", "mit"])
    assert properties(path)["licence"] == "mit"
    assert run(path, load_audio(speech[0]).reshape(1, -1)).shape == (1, 12)


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("no/such/run", "a.onnx", "no/such/run"),
        ("unfinished", "a.onnx", "unfinished: expected a finished run"),
        ("run", "a.bin", "a.bin: expected the name of a file, NAME.onnx"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path, run_folder, source, output, message
):
    (tmp_path / "unfinished").mkdir()
    where = ["--to", "onnx", "--output", str(tmp_path / output)]
    with pytest.raises(SystemExit, match=message):
        main([str(run_folder.parent / source), *where])
    assert not (tmp_path / output).exists()
