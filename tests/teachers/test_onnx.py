"""ONNX speaker models as teachers."""

import sys

import pytest
import torch

from speechbrain_kd.teachers import OnnxTeacher
from speechbrain_kd.teachers.kaldi import KaldiFbank
from speechbrain_kd.teachers.loading import sha256

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DYNAMIC = {"feats": {0: "batch", 1: "frames"}, "embedding": {0: "batch"}}


class Pooled(torch.nn.Module):
    """A linear layer, pooled over frames: padding would move its mean."""

    def __init__(self, n_mels=80, outputs=1, pool=True):
        super().__init__()
        self.linear = torch.nn.Linear(n_mels, 6)
        self.outputs = outputs
        self.pool = pool

    def forward(self, feats):
        frames = self.linear(feats).tanh()
        embedding = frames.mean(dim=1) if self.pool else frames.flatten(1)
        if self.outputs == 2:
            return embedding, frames
        return embedding


class Energy(torch.nn.Module):
    """Takes waveforms."""

    def forward(self, wavs):
        return torch.stack([wavs.mean(dim=1), wavs.square().mean(dim=1)], 1)


def export(path, model, inputs, names=("embedding",), axes=None):
    """Writes a model as ONNX."""
    axes = DYNAMIC if axes is None else axes
    with pytest.warns(DeprecationWarning):
        torch.onnx.export(
            model.eval(),
            (inputs,),
            str(path),
            input_names=["feats"],
            output_names=list(names),
            dynamic_axes=axes,
            dynamo=False,
        )
    return path


@pytest.fixture
def pooled(tmp_path):
    """The model, and its file."""
    torch.manual_seed(0)
    model = Pooled()
    path = export(tmp_path / "pooled.onnx", model, torch.randn(2, 50, 80))
    return model, path


def test_equals_the_model(pooled, wavs):
    model, path = pooled
    teacher = OnnxTeacher(path, trained_on=["own"])
    feats = KaldiFbank(80)(wavs)
    with torch.no_grad():
        expected = model(feats - feats.mean(dim=1, keepdim=True))
    output = teacher(wavs)
    torch.testing.assert_close(output.embeddings, expected)
    assert output.logits is None and teacher.labels is None
    assert teacher.embedding_dim == 6
    assert teacher.digests == {"pooled.onnx": sha256(path)}
    assert teacher.trained_on == ["own"]


def test_batch_and_padding_change_nothing(pooled, wavs):
    teacher = OnnxTeacher(pooled[1], num_threads=1)
    lens = torch.tensor([0.5, 1.0, 0.75, 0.5])
    together = teacher(wavs, lens).embeddings
    for row, part in enumerate(lens):
        alone = teacher.embed(wavs[row : row + 1, : int(part * 32000)])
        torch.testing.assert_close(together[row : row + 1], alone)


def test_scale_and_norm(pooled, wavs):
    model, path = pooled
    teacher = OnnxTeacher(path, waveform_scale=32768.0, mean_norm=False)
    with torch.no_grad():
        expected = model(KaldiFbank(80)(wavs * 32768.0))
    torch.testing.assert_close(teacher.embed(wavs), expected)


def test_speechbrain_frontend(pooled, wavs):
    from speechbrain.lobes.features import Fbank

    model, path = pooled
    teacher = OnnxTeacher(path, frontend="speechbrain", mean_norm=False)
    with torch.no_grad():
        expected = model(Fbank(n_mels=80)(wavs))
    torch.testing.assert_close(
        teacher.embed(wavs), expected, atol=1e-5, rtol=1e-5
    )


def test_waveform_frontend(tmp_path, wavs):
    path = export(
        tmp_path / "wave.onnx",
        Energy(),
        torch.randn(2, 16000),
        axes={"feats": {0: "batch", 1: "samples"}, "embedding": {0: "batch"}},
    )
    teacher = OnnxTeacher(path, frontend="waveform")
    torch.testing.assert_close(teacher.embed(wavs), Energy()(wavs))
    with pytest.raises(ValueError, match="has 2 axes.*batch, frames, 80"):
        OnnxTeacher(path)


def test_several_outputs(tmp_path, wavs):
    axes = {**DYNAMIC, "frames": {0: "batch", 1: "frames"}}
    path = export(
        tmp_path / "two.onnx",
        Pooled(outputs=2),
        torch.randn(2, 50, 80),
        ("embedding", "frames"),
        axes,
    )
    with pytest.raises(ValueError, match="outputs embedding, frames: choose"):
        OnnxTeacher(path)
    with pytest.raises(ValueError, match="none of them 'odd'"):
        OnnxTeacher(path, output_name="odd")
    teacher = OnnxTeacher(path, output_name="embedding", input_name="feats")
    assert teacher.embed(wavs).shape == (4, 6)
    with pytest.raises(ValueError, match="grows with the utterance"):
        OnnxTeacher(path, output_name="frames")


@pytest.mark.parametrize(
    "free, problem",
    [
        ({1: "frames"}, "fixed batch axis of 2"),
        ({0: "batch"}, "fixed frames axis of 50"),
    ],
)
def test_fixed_axes(tmp_path, free, problem):
    path = export(
        tmp_path / "fixed.onnx",
        Pooled(),
        torch.randn(2, 50, 80),
        axes={"feats": free},
    )
    with pytest.raises(ValueError, match=problem):
        OnnxTeacher(path)


def test_wrong_mels(pooled):
    with pytest.raises(ValueError, match="80 mel bins.*batch, frames, 24"):
        OnnxTeacher(pooled[1], n_mels=24)


def _with_weights_in(path, location):
    """Moves the weights of a model to a file of its own."""
    model = onnx.load(str(path))
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    onnx.save(model, str(path))
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())


def test_external_weights(pooled, wavs):
    expected = OnnxTeacher(pooled[1]).embed(wavs)
    _with_weights_in(pooled[1], "weights.bin")
    teacher = OnnxTeacher(pooled[1])
    torch.testing.assert_close(teacher.embed(wavs), expected)
    assert set(teacher.digests) == {"pooled.onnx", "weights.bin"}
    (pooled[1].parent / "weights.bin").unlink()
    with pytest.raises(FileNotFoundError, match="weights file weights.bin"):
        OnnxTeacher(pooled[1])


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname"])
def test_external_weights_elsewhere(pooled, location):
    _with_weights_in(pooled[1], location)
    with pytest.raises(ValueError, match=f"weights from {location}, outside"):
        OnnxTeacher(pooled[1])


def test_bad_arguments(pooled, tmp_path):
    with pytest.raises(ValueError, match="one of kaldi, .*got 'odd'"):
        OnnxTeacher(pooled[1], frontend="odd")
    with pytest.raises(ValueError, match="no provider 'Odd'"):
        OnnxTeacher(pooled[1], provider="Odd")
    OnnxTeacher(pooled[1], provider="CPUExecutionProvider")
    with pytest.raises(FileNotFoundError, match="no ONNX model .*none.onnx"):
        OnnxTeacher(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model at all")
    with pytest.raises(ValueError, match="text.onnx is not an ONNX model"):
        OnnxTeacher(tmp_path / "text.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_not_installed(pooled, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: .*\[onnx\]"):
        OnnxTeacher(pooled[1])
