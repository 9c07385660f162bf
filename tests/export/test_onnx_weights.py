"""Smaller ONNX files: int8 and float16 weights, short names."""

import numpy as np
import pytest
import torch
from small_onnx import encoder

from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.export.onnx_weights import (
    shorten_names,
    weights_to_float16,
    weights_to_int8,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

generator = np.random.default_rng(0)
#: By operator: shape of the weight and the axis of its output channels.
LAYERS = {
    "MatMul": ((20, 30), 1),
    "Gemm": ((24, 30), 0),
    "Conv": ((9, 24, 3), 0),
}


def layers() -> "onnx.ModelProto":
    """x [2, 20] by a matrix, a turned one and a convolution; and a mel."""
    tables = [
        (name, generator.standard_normal(shape))
        for name, (shape, _) in LAYERS.items()
    ]
    tables += [("features.mel", generator.random((9, 16))), ("axes", [2])]
    kinds = [np.float32] * 4 + [np.int64]
    nodes = [
        helper.make_node("MatMul", ["x", "MatMul"], ["a"]),
        helper.make_node("Gemm", ["a", "Gemm"], ["b"], transB=1),
        helper.make_node("Unsqueeze", ["b", "axes"], ["c"]),
        helper.make_node("Conv", ["c", "Conv"], ["d"], pads=[1, 1]),
        helper.make_node("Squeeze", ["d", "axes"], ["e"]),
        helper.make_node("MatMul", ["e", "features.mel"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "layers",
        [value("x", 1, [2, 20])],
        [value("y", 1, [2, 16])],
        [
            numpy_helper.from_array(np.asarray(table, kind), name)
            for (name, table), kind in zip(tables, kinds)
        ],
    )
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run(model, x) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def tables_of(model) -> dict[str, np.ndarray]:
    graph = model.graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


def test_each_channel_is_rounded_to_its_own_scale():
    model = layers()
    floats = tables_of(model)
    assert weights_to_int8(model) == 3
    onnx.checker.check_model(model, full_check=True)
    found = tables_of(model)
    for name, (_, axis) in LAYERS.items():
        weight = np.moveaxis(floats[name], axis, 0)
        values = np.moveaxis(found[f"{name}.int8"], axis, 0)
        assert values.dtype == np.int8 and name not in found
        for channel, row in enumerate(weight):
            scale = np.abs(row).max() / 127
            assert found[f"{name}.scale"][channel] == pytest.approx(scale)
            gap = np.abs(values[channel] * scale - row).max()
            assert gap <= scale * 0.501


def test_a_rounded_graph_computes_the_same():
    model, x = layers(), generator.standard_normal((2, 20)).astype(np.float32)
    expected = run(model, x)
    weights_to_int8(model)
    shorten_names(model)
    came = run(model, x)
    cosine = (expected * came).sum() / np.prod(
        [np.linalg.norm(each) for each in (expected, came)]
    )
    assert 0.999 < cosine and abs(expected - came).max() > 0
    assert {node.name for node in model.graph.node} == {""}


def test_graphs_within_a_graph_keep_their_names():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["outside"], ["inside"])],
        *("branch", [], [helper.make_tensor_value_info("inside", 1, None)]),
    )
    model = layers()
    node = helper.make_node(
        "If", ["yes"], ["z"], name="if", then_branch=graph, else_branch=graph
    )
    model.graph.node.append(node)
    before = model.SerializeToString()
    shorten_names(model)
    assert model.SerializeToString() == before


def test_halves_of_numbers():
    model, x = layers(), generator.standard_normal((2, 20)).astype(np.float32)
    floats, expected = tables_of(model), run(model, x)
    assert weights_to_float16(model) == 4
    for name, half in tables_of(model).items():
        if name != "axes":
            whole = floats[name.removesuffix(".half")]
            assert half.dtype == np.float16
            assert np.array_equal(half, whole.astype(np.float16))
    came = run(model, x)
    assert 0 < np.abs(came - expected).max() < 5e-3 * np.abs(expected).max()
    large = layers()
    one = next(one for one in large.graph.initializer if one.name == "Gemm")
    values = 1e5 * numpy_helper.to_array(one)
    one.CopyFrom(numpy_helper.from_array(values.astype(np.float32), "Gemm"))
    with pytest.raises(ValueError, match="Gemm has numbers up to .*e\\+05"):
        weights_to_float16(large)


def test_models_of_smaller_weights(tmp_path):
    model, facts = encoder(), OnnxFacts("tiny")
    files = {
        kind: export_onnx(tmp_path / f"{kind}.onnx", model, facts, weights=kind)
        for kind in ("float32", "float16", "int8")
    }
    read = {kind: onnx.load(str(path)) for kind, path in files.items()}
    for kind, one in read.items():
        props = {prop.key: prop.value for prop in one.metadata_props}
        assert props["weights"] == kind
    versions = [one.opset_import[0].version for one in read.values()]
    assert versions == [10, 10, 13]
    whole, *smaller = (path.stat().st_size for path in files.values())
    assert max(smaller) < 0.8 * whole
    wavs = 0.1 * torch.randn(3, 20000)
    expected = torch.nn.functional.normalize(model(wavs).detach(), dim=1)
    for kind, least in {"float16": 0.99999, "int8": 0.999}.items():
        session = onnxruntime.InferenceSession(str(files[kind]))
        came = session.run(None, {"waveform": wavs.numpy()})[0]
        cosines = (expected * torch.from_numpy(came)).sum(1)
        assert least < cosines.min() and not np.array_equal(expected, came)
    with pytest.raises(ValueError, match="float32, float16, int8, came 'int4'"):
        export_onnx(tmp_path / "a.onnx", model, facts, weights="int4")
