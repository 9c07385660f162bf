"""Ways to spoil a good ONNX model, each to be refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from hostile_folders import Case
from onnx import TensorProto, helper, numpy_helper

FILE = "model.onnx"
CASES: dict[str, Case] = {}


def write_model(path: Path) -> Path:
    """Writes a mean of tanh of a linear layer, ``[batch, frames, 80]`` to
    ``[batch, 6]``."""
    weight = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["feats", "weight"], ["frames"]),
        helper.make_node("Tanh", ["frames"], ["bounded"]),
        helper.make_node("ReduceMean", ["bounded", "axes"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["embedding"]),
    ]
    values = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([1]), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [_value("feats", ["batch", "frames", 80])],
        [_value("embedding", ["batch", 6])],
        values,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("odd", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, str(path))
    return path


def _value(name: str, shape: list) -> onnx.ValueInfoProto:
    """Names an input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def case(words: str, file: str = FILE) -> Callable:
    """Adds a function of the folder, the path and the mark to the cases."""

    def add(spoil: Callable) -> Callable:
        def on_file(folder: Path, mark: Path) -> None:
            spoil(folder, folder / FILE, mark)

        CASES[f"onnx_{spoil.__name__}"] = Case(on_file, file, words)
        return spoil

    return add


def _edited(name: str, words: str, change: Callable) -> None:
    """Changes the model as a message."""

    @case(words)
    def spoil(folder, path, mark):
        model = onnx.load(str(path))
        change(model.graph)
        path.write_bytes(model.SerializeToString())

    CASES[f"onnx_{name}"] = CASES.pop("onnx_spoil")


def _operator(name: str, domain: str) -> Callable:
    """Puts an operator between the layer and the embedding."""

    def change(graph: onnx.GraphProto) -> None:
        graph.node[1].op_type = name
        graph.node[1].domain = domain

    return change


def _added(values: dict[str, np.ndarray], *nodes: onnx.NodeProto) -> Callable:
    """Adds what ends in the tensor "big", whose mean joins the embedding."""

    def change(graph: onnx.GraphProto) -> None:
        for name, value in values.items():
            graph.initializer.append(numpy_helper.from_array(value, name))
        graph.node[3].output[0] = "plain"
        graph.node.extend(nodes)
        mean = helper.make_node("ReduceMean", ["big"], ["one"], keepdims=0)
        sum_ = helper.make_node("Add", ["plain", "one"], ["embedding"])
        graph.node.extend([mean, sum_])

    return change


def _weight(value: float) -> Callable:
    """Puts a value among the weights."""

    def change(graph: onnx.GraphProto) -> None:
        weight = numpy_helper.to_array(graph.initializer[0]).copy()
        weight[3, 3] = value
        graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))

    return change


_HUGE = np.array([100_000, 100_000])
_ONE = np.array([[0.5]], np.float32)
for _name, _words, _change in (
    ("foreign_operator", "domain 'odd': refused", _operator("Tanh", "odd")),
    (
        "compiled_part",
        "operator EPContext",
        _operator("EPContext", "com.microsoft"),
    ),
    ("host_call", "operator PythonOp", _operator("PythonOp", "com.microsoft")),
    (
        "extension",
        "domain 'ai.onnx.contrib'",
        _operator("Tanh", "ai.onnx.contrib"),
    ),
    ("unknown_operator", "is refused by onnxruntime", _operator("Odd", "")),
    (
        "filled",
        "makes the tensor 'big'",
        _added(
            {"shape": _HUGE},
            helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        ),
    ),
    (
        "expanded",
        "makes the tensor 'big'",
        _added(
            {"shape": _HUGE, "seed": _ONE},
            helper.make_node("Expand", ["seed", "shape"], ["big"]),
        ),
    ),
    (
        "tiled_by_steps",
        "makes the tensor 'tile1'",
        _added(
            {"shape": np.array([30_000, 30_000]), "seed": _ONE},
            helper.make_node("Tile", ["seed", "shape"], ["tile1"]),
            helper.make_node("Tile", ["tile1", "shape"], ["big"]),
        ),
    ),
    (
        "reckoned_shape",
        "2 s of speech took it more",
        _added(
            {"part": np.array([30_000, 2]), "seed": _ONE},
            helper.make_node("Mul", ["part", "part"], ["shape"]),
            helper.make_node("Expand", ["seed", "shape"], ["big"]),
        ),
    ),
    (
        "declared_more",
        "does not hold the values of its tensor 'weight'",
        lambda graph: graph.initializer[0].dims.__setitem__(0, 10_000),
    ),
    (
        "declared_huge",
        "declares the tensor 'weight'",
        lambda graph: graph.initializer[0].dims.__setitem__(0, 10**12),
    ),
    (
        "declared_negative",
        "declares the tensor 'weight'",
        lambda graph: graph.initializer[0].dims.__setitem__(0, -1),
    ),
    ("nan", "the tensor 'weight' holds NaN", _weight(float("nan"))),
):
    _edited(_name, _words, _change)


def _zero(graph: onnx.GraphProto) -> None:
    """Puts zeros in the place of the weights."""
    zeros = np.zeros((80, 6), np.float32)
    graph.initializer[0].CopyFrom(numpy_helper.from_array(zeros, "weight"))


_edited("constant", "embeds any two sounds alike", _zero)
_edited("infinite", "holds NaN or infinite", _weight(float("inf")))
_edited(
    "other_mels",
    "is refused by onnxruntime",
    lambda graph: (
        graph.input[0]
        .type.tensor_type.shape.dim[2]
        .__setattr__("dim_value", 24)
    ),
)


@case("is not an ONNX model")
def empty(folder, path, mark):
    path.write_bytes(b"")


@case("is not an ONNX model")
def text(folder, path, mark):
    path.write_text("no model at all")


@case("is not an ONNX model")
def truncated(folder, path, mark):
    path.write_bytes(path.read_bytes()[:1000])


@case("There is no ONNX model|There is no model file|has no")
def is_a_folder(folder, path, mark):
    path.unlink()
    path.mkdir()


@case("runs the loop")
def endless_loop(folder, path, mark):
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["going_on"]),
            helper.make_node("Add", ["so_far", "so_far"], ["more"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            _value("so_far", [1, 1]),
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            _value("more", [1, 1]),
        ],
    )
    loop = helper.make_node("Loop", ["trips", "", "seed"], ["big"], body=body)
    change = _added({"trips": np.array(2**60), "seed": _ONE}, loop)
    model = onnx.load(str(path))
    change(model.graph)
    path.write_bytes(model.SerializeToString())
