"""A teacher's fingerprint: what it is, not where it lies."""

import shutil

import pytest
import torch
from teacher_layout import write_model

from speechbrain_kd.teachers import (
    OnnxTeacher,
    RunTeacher,
    SpeechBrainTeacher,
    Teacher,
)


class Own(Teacher):
    """A teacher of the user's own, without files."""

    def __init__(self, source="own", scale=1.0, activation=None):
        super().__init__(source, embedding_dim=4)
        self.scale = scale
        self.bands = [1, 2]
        self.layer = torch.nn.Sequential(
            torch.nn.Linear(8, 4), activation or torch.nn.ReLU()
        )
        for part in self.layer.parameters():
            torch.nn.init.constant_(part, 0.5)
        self.register_buffer("mean", torch.zeros(4), persistent=False)
        self.freeze()


class Other(Own):
    """The same with a class of its own."""


def test_own():
    first = Own().fingerprint()
    assert len(first) == 64 and int(first, 16)
    assert Own("elsewhere").fingerprint() == first
    assert Own().double().float().fingerprint() == first
    spoiled = [Own() for _ in range(4)]
    spoiled[0].layer[0].weight[1, 2] += 1e-6
    spoiled[1].mean[0] = 1.0
    spoiled[2].bands.append(3)
    spoiled[3].double()
    changed = [
        Other(),
        Own(scale=2.0),
        Own(activation=torch.nn.LeakyReLU()),
        Own(activation=torch.nn.LeakyReLU(0.2)),
        *spoiled,
    ]
    prints = {one.fingerprint() for one in changed}
    assert len(prints) == len(changed) and first not in prints


def _rewrite(path, change):
    """Saves a checkpoint with one value changed."""
    state = torch.load(path, weights_only=True)
    key = next(key for key in state if state[key].dtype == torch.float32)
    change(state[key])
    torch.save(state, path)


@pytest.mark.parametrize("kind", [SpeechBrainTeacher, RunTeacher])
def test_speechbrain_layout(tmp_path, kind):
    def teacher(place):
        own = kind is SpeechBrainTeacher
        return kind(str(place / "export" if own else place))

    here, there = tmp_path / "here", tmp_path / "there"
    write_model(here / "export")
    first = teacher(here).fingerprint()
    shutil.copytree(here, there)
    moved = teacher(there)
    moved.trained_on = ["voxceleb1-dev"]
    assert moved.fingerprint() == first
    _rewrite(there / "export" / "embedding_model.ckpt", lambda one: one.add_(1))
    weights = teacher(there).fingerprint()
    shutil.copy(
        here / "export" / "embedding_model.ckpt",
        there / "export" / "embedding_model.ckpt",
    )
    assert teacher(there).fingerprint() == first
    yaml = there / "export" / "hyperparams.yaml"
    text = yaml.read_text()
    assert "n_mels: !ref <n_mels>" in text
    yaml.write_text(
        text.replace(
            "n_mels: !ref <n_mels>", "n_mels: !ref <n_mels>\n    f_min: 20", 1
        )
    )
    setting = teacher(there).fingerprint()
    assert len({first, weights, setting}) == 3


@pytest.fixture
def onnx_file(tmp_path):
    """A function that writes a linear model of mel features."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def write(name, weight):
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [
            helper.make_node("Mul", ["feats", "weight"], ["frames"]),
            helper.make_node(
                "ReduceMean", ["frames"], ["mean"], axes=[1], keepdims=0
            ),
            helper.make_node(
                "ReduceMax", ["frames"], ["max"], axes=[1], keepdims=0
            ),
        ]
        graph = helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("feats", kind, ["b", "t", 80])],
            [
                helper.make_tensor_value_info(out, kind, ["b", 80])
                for out in ("mean", "max")
            ],
            [helper.make_tensor("weight", kind, [80], [weight] * 80)],
        )
        opset = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        onnx.save(model, str(path))
        return path

    return write


def test_onnx(onnx_file):
    path = onnx_file("here/a.onnx", 2.0)
    other = onnx_file("there/b.onnx", 3.0)

    def known(source=path, **changes):
        settings = {"output_name": "mean", "num_threads": 1} | changes
        return OnnxTeacher(str(source), **settings).fingerprint()

    first = known()
    moved = path.parent.parent / "moved.onnx"
    shutil.copy(path, moved)
    assert known(moved) == first
    assert known(num_threads=2, trained_on=["own"]) == first
    assert known(input_name="feats", waveform_scale=1) == first
    changed = [
        known(other),
        known(output_name="max"),
        known(waveform_scale=32768.0),
        known(mean_norm=False),
        known(dither=0.1),
        known(frontend="speechbrain"),
    ]
    assert len({first, *changed}) == 7
