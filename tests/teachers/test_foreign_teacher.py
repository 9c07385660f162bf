"""What holds for every foreign model, whatever runs it."""

import pytest
import torch
from test_onnx import Pooled, export

from speechbrain_kd.teachers import ExportedTeacher, OnnxTeacher, TorchTeacher
from speechbrain_kd.teachers.foreign_teacher import pick

KINDS = ("onnx", "torch", "exported")
FRONTEND = {"waveform_scale": 32768.0, "window": "hamming"}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """One model, three ways."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("foreign")
    torch.manual_seed(0)
    model, feats = Pooled().eval(), torch.randn(2, 50, 80)
    export(folder / "model.onnx", model, feats)
    torch.save(model.state_dict(), folder / "model.pt")
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        model, (feats,), dynamic_shapes=({0: free, 1: free},)
    )
    torch.export.save(program, folder / "model.pt2")
    return {
        "onnx": OnnxTeacher(folder / "model.onnx", **FRONTEND),
        "torch": TorchTeacher(Pooled(), folder / "model.pt", **FRONTEND),
        "exported": ExportedTeacher(folder / "model.pt2", **FRONTEND),
    }


@pytest.fixture(scope="module")
def mixed():
    """64 waveforms of 13 lengths, with the model's say of each alone."""
    noise = torch.Generator().manual_seed(2)
    return [
        0.1 * torch.randn(4000 + 977 * (row % 13), generator=noise)
        for row in range(64)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_of_mixed_lengths(teachers, mixed, kind, size):
    plain, model = teachers["torch"], teachers["torch"].model
    rows = []
    for start in range(0, len(mixed), size):
        some = mixed[start : start + size]
        longest = max(map(len, some))
        lens = torch.tensor([len(wav) / longest for wav in some])
        padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        rows.append(teachers[kind](padded, lens).embeddings)
    with torch.no_grad():
        expected = [model(plain.features(wav.unsqueeze(0))) for wav in mixed]
    torch.testing.assert_close(torch.cat(rows), torch.cat(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_facts(teachers, kind):
    """Each kind tells the same, and no two are taken for one another."""
    teacher = teachers[kind]
    assert (teacher.frontend, teacher.window) == ("kaldi", "hamming")
    assert teacher.waveform_scale == 32768.0 and teacher.embedding_dim == 6
    assert teacher.macs(2.0) == 198 * 80 * 6
    assert teacher.revision is None
    others = [one for one in KINDS if one != kind]
    prints = {teachers[one].fingerprint() for one in others}
    assert teacher.fingerprint() not in prints


def test_same_embedding_whatever_is_heard(tmp_path):
    model = Pooled()
    torch.nn.init.zeros_(model.linear.weight)
    torch.save(model.state_dict(), tmp_path / "dead.pt")
    with pytest.raises(ValueError, match="dead.pt embeds any two .* alike"):
        TorchTeacher(Pooled(), tmp_path / "dead.pt")


def test_pick():
    one, other = torch.zeros(1, 2), torch.ones(1, 3)
    assert pick(one, None, "m") is one
    assert pick((other,), None, "m") is other
    assert pick([one, other], -1, "m") is other
    assert pick({"a": one, "b": other}, "b", "m") is other
    for answer, output in (
        ((one, other), None),
        ((one, other), 2),
        ({"a": one}, None),
        (one, 0),
        ("text", None),
    ):
        with pytest.raises(ValueError, match="m gives .*`output`"):
            pick(answer, output, "m")
