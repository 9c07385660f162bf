"""ONNX speaker models as teachers."""

import re
import sys
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from small_hub import COMMIT
from speechbrain.dataio import audio_io
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_kd.teachers import OnnxTeacher
from speechbrain_kd.teachers.kaldi import KaldiFbank
from speechbrain_kd.teachers.loading import sha256

CAMPPLUS = Path("/work/tmp/campplus.onnx")
FRAGMENTS = Path(__file__).parents[2] / "hparams" / "teachers"

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
    with pytest.raises(ValueError, match="one embedding an utterance"):
        OnnxTeacher(path, output_name="frames")


def test_output_that_grows(tmp_path):
    model, feats = Pooled(pool=False), torch.randn(2, 50, 80)
    path = export(tmp_path / "flat.onnx", model, feats)
    with pytest.raises(ValueError, match="grows with the utterance"):
        OnnxTeacher(path)


def test_fixed_batch(tmp_path, wavs):
    torch.manual_seed(0)
    model = Pooled()
    free = export(tmp_path / "free.onnx", model, torch.randn(3, 50, 80))
    fixed = export(
        tmp_path / "fixed.onnx",
        model,
        torch.randn(3, 50, 80),
        axes={"feats": {1: "frames"}},
    )
    teacher = OnnxTeacher(fixed)
    for count in (1, 3, 4):
        torch.testing.assert_close(
            teacher.embed(wavs[:count]), OnnxTeacher(free).embed(wavs[:count])
        )


def test_fixed_length(tmp_path, wavs):
    """50 frames of Kaldi are 8240 samples, 0.515 s."""
    torch.manual_seed(0)
    model = Pooled()
    free = export(tmp_path / "free.onnx", model, torch.randn(2, 50, 80))
    fixed = export(
        tmp_path / "fixed.onnx",
        model,
        torch.randn(2, 50, 80),
        axes={"feats": {0: "batch"}},
    )
    teacher, other = OnnxTeacher(fixed), OnnxTeacher(free)
    for samples in (8240, 8399):
        torch.testing.assert_close(
            teacher.embed(wavs[:, :samples]), other.embed(wavs[:, :samples])
        )
    for samples, frames in ((8239, 49), (8400, 51)):
        told = rf"fixed.*of 50 \(0.515 s\).*for {frames} .*len: 0.515"
        with pytest.raises(ValueError, match=told):
            teacher.embed(wavs[:, :samples])


def test_windows(tmp_path, wavs):
    """A loop over three windows, and a repeated short utterance."""
    torch.manual_seed(0)
    path = export(
        tmp_path / "fixed.onnx",
        Pooled(),
        torch.randn(2, 50, 80),
        axes={"feats": {0: "batch"}},
    )
    teacher, plain = OnnxTeacher(path, windows=True), OnnxTeacher(path)
    expected = torch.zeros(4, 6)
    for start in (0, 5880, 11760):
        part = plain.embed(wavs[:, start : start + 8240])
        expected += part / part.norm(dim=1, keepdim=True) / 3
    torch.testing.assert_close(teacher.embed(wavs[:, :20000]), expected)
    short = wavs[:, :5000]
    twice = plain.embed(torch.cat([short, short], dim=1)[:, :8240])
    torch.testing.assert_close(
        teacher.embed(short), torch.nn.functional.normalize(twice)
    )
    assert teacher.fingerprint() != plain.fingerprint()


class Turned(torch.nn.Module):
    """Takes mel bins first; asks for the lengths too."""

    def __init__(self, inner, integers=True):
        super().__init__()
        self.inner, self.integers = inner, integers

    def forward(self, feats, lengths):
        embedding = self.inner(feats.transpose(1, 2))
        share = lengths.float().unsqueeze(1)
        return embedding * (share / feats.shape[2] if self.integers else share)


@pytest.mark.parametrize("integers", [True, False])
def test_mels_first_and_lengths(tmp_path, wavs, integers):
    torch.manual_seed(0)
    model = Pooled()
    lengths = torch.tensor([50, 50]) if integers else torch.ones(2)
    path = tmp_path / "turned.onnx"
    with pytest.warns(DeprecationWarning):
        torch.onnx.export(
            Turned(model, integers).eval(),
            (torch.randn(2, 80, 50), lengths),
            str(path),
            input_names=["feats", "lengths"],
            output_names=["embedding"],
            dynamic_axes={
                "feats": {0: "batch", 2: "frames"},
                "lengths": {0: "batch"},
                "embedding": {0: "batch"},
            },
            dynamo=False,
        )
    plain = export(tmp_path / "plain.onnx", model, torch.randn(2, 50, 80))
    torch.testing.assert_close(
        OnnxTeacher(path).embed(wavs), OnnxTeacher(plain).embed(wavs)
    )
    with pytest.raises(ValueError, match="80 mel bins, its shape"):
        OnnxTeacher(path, n_mels=24)


def test_costs(tmp_path):
    """PyTorch's own counter agrees, also on groups, strides and a product of
    two activations."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(80, 32, 5, stride=2, padding=2)
            self.norm = torch.nn.BatchNorm1d(32)
            self.group = torch.nn.Conv1d(32, 16, 3, groups=4)
            self.linear = torch.nn.Linear(16, 6)

        def forward(self, feats):
            frames = self.norm(self.conv(feats.transpose(1, 2))).relu()
            frames = self.group(frames)
            weights = (frames.transpose(1, 2) @ frames).softmax(dim=2)
            return self.linear((weights @ frames.transpose(1, 2)).mean(dim=1))

    model = Net()
    path = export(tmp_path / "net.onnx", model, torch.randn(2, 50, 80))
    teacher = OnnxTeacher(path)
    feats = teacher.features(torch.zeros(1, 32000))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(feats)
    assert teacher.macs(2.0) == counter.get_total_flops() // 2
    assert teacher.macs(1.0) < teacher.macs(2.0)
    folded = sum(
        part.numel()
        for name, part in model.named_parameters()
        if "norm" not in name  # batch norms are folded into convolutions
    )
    assert teacher.count_parameters() == folded


def test_by_folder_and_pin(pooled):
    path, digest = pooled[1], sha256(pooled[1])
    teacher = OnnxTeacher(path.parent, file=path.name, sha256=digest)
    assert teacher.fingerprint() == OnnxTeacher(path).fingerprint()
    with pytest.raises(ValueError, match=f"pooled.onnx is not .*got {digest}"):
        OnnxTeacher(path, sha256="0" * 64)


def test_by_hub_id(hub, ecapa, pooled, wavs, tmp_path):
    """A model of the hub whose weights lie in a file of their own."""
    _with_weights_in(pooled[1], "weights.bin")
    for name in ("pooled.onnx", "weights.bin"):
        (pooled[1].parent / name).rename(ecapa / name)
    teacher = OnnxTeacher("speechbrain/tiny", file="pooled.onnx")
    assert teacher.source == "speechbrain/tiny/pooled.onnx"
    assert teacher.revision == COMMIT
    assert set(teacher.digests) == {"pooled.onnx", "weights.bin"}
    local = OnnxTeacher(ecapa / "pooled.onnx")
    torch.testing.assert_close(teacher.embed(wavs), local.embed(wavs))


@pytest.mark.parametrize(
    "name",
    sorted(
        path.name
        for path in FRAGMENTS.glob("*.yaml")
        if "!new:speechbrain_kd.teachers.OnnxTeacher" in path.read_text()
    ),
)
def test_fragments(name, pooled, tmp_path):
    """Each published model's fragment, on a small model in its place."""
    text = (FRAGMENTS / name).read_text()
    text = re.sub(r"(?m)^(source|file|revision|sha256):.*\n", "", text)
    here = tmp_path / name
    here.write_text(f"{text}source: {pooled[1]}\n")
    teacher = load_hyperpyyaml(f"made: !include:{here}")["made"]
    wespeaker = name.startswith("wespeaker")
    assert teacher.waveform_scale == (32768.0 if wespeaker else 1.0)
    assert teacher.window == ("hamming" if wespeaker else "povey")
    assert teacher.mean_norm and teacher.n_mels == 80 and teacher.trained_on


@pytest.mark.skipif(not CAMPPLUS.is_file(), reason=f"no {CAMPPLUS}")
@pytest.mark.parametrize(
    "count", [14, pytest.param(64, marks=pytest.mark.slow)]
)
def test_campplus_in_batches(realvox, count):
    """Real speech of mixed lengths: alone, by seven and all at once."""
    paths = sorted(realvox.glob("wav/*/*/*.flac"))[::7][:count]
    assert len(paths) == count
    wavs = [
        audio_io.load(str(path))[0][0, : 12000 + 1700 * (number % 23)]
        for number, path in enumerate(paths)
    ]
    teacher = OnnxTeacher(CAMPPLUS)
    alone = torch.cat([teacher.embed(wav.unsqueeze(0)) for wav in wavs])
    for size in (7, 64):
        rows = []
        for start in range(0, len(wavs), size):
            some = wavs[start : start + size]
            longest = max(map(len, some))
            lens = torch.tensor([len(wav) / longest for wav in some])
            padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
            rows.append(teacher(padded, lens).embeddings)
        torch.testing.assert_close(torch.cat(rows), alone, atol=1e-4, rtol=1e-4)


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
