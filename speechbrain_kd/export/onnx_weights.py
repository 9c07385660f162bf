"""Makes an ONNX file smaller: int8 or float16 weights, short names."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_kd.quantise import LEAST_WEIGHTS

if TYPE_CHECKING:
    import onnx

#: The oldest opset whose DequantizeLinear has a scale for each channel.
INT8_OPSET = 13
# Below this a cast outweighs what float16 saves.
_LEAST_HALF = 32
_MEL = "features.mel"  # the largest of the tables


def weights_to_int8(model: "onnx.ModelProto") -> int:
    """Keeps the weights of the encoder's layers in int8, in place.

    Symmetric, with a scale for each output channel; they are taken back to
    float as the model loads, so activations and arithmetic stay float. The
    tables of the Fourier transform stay float; the mel matrix is kept in
    float16.

    Arguments
    ---------
    model : onnx.ModelProto
        A graph of opset 13 or later.

    Returns
    -------
    int
        How many weights were changed.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    tables = {one.name: one for one in graph.initializer}
    nodes = []
    for name, axis in dict(_weights(graph)).items():
        weight = numpy_helper.to_array(tables[name])
        if weight.size < LEAST_WEIGHTS or name.startswith("features."):
            continue
        values, scales = _rounded(weight, axis)
        parts = [f"{name}.int8", f"{name}.scale"]
        graph.initializer.remove(tables[name])
        graph.initializer.extend(
            map(numpy_helper.from_array, (values, scales), parts)
        )
        nodes.append(
            helper.make_node("DequantizeLinear", parts, [name], axis=axis)
        )
    for node in nodes:
        graph.node.insert(0, node)
    _halve(model, [_MEL])
    return len(nodes)


def weights_to_float16(model: "onnx.ModelProto") -> int:
    """Keeps the numbers of the encoder in float16, in place.

    They are taken back to fp32 as the model loads, so the arithmetic is as
    before. Those of the Fourier transform stay fp32; they are few.

    Arguments
    ---------
    model : onnx.ModelProto
        A graph of opset 10 or later.

    Returns
    -------
    int
        How many tables were changed.

    Raises
    ------
    ValueError
        If a number is beyond what float16 holds.
    """
    from onnx import TensorProto, numpy_helper

    names = [
        one.name
        for one in model.graph.initializer
        if one.data_type == TensorProto.FLOAT
        and not one.name.startswith("features.")
        and numpy_helper.to_array(one).size >= _LEAST_HALF
    ]
    _halve(model, [*names, _MEL])
    return len(names) + 1


def _halve(model: "onnx.ModelProto", names: list[str]) -> None:
    """Keeps some tables in float16, with a cast to fp32."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    tables = {one.name: one for one in graph.initializer}
    for name in names:
        values = numpy_helper.to_array(tables[name])
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError(
                f"{name} has numbers up to {np.abs(values).max():.3g}, beyond "
                "float16: keep the weights in float32"
            )
        half = numpy_helper.from_array(
            values.astype(np.float16), f"{name}.half"
        )
        graph.initializer.remove(tables[name])
        graph.initializer.append(half)
        graph.node.insert(
            0,
            helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT),
        )


def shorten_names(model: "onnx.ModelProto") -> None:
    """Renames what lies within a graph, in place; a tenth of a small file.

    Input and output keep their names; a graph with graphs within is left as
    it is.

    Arguments
    ---------
    model : onnx.ModelProto
        The graph.
    """
    graph = model.graph
    within = (one for node in graph.node for one in node.attribute)
    if any(one.HasField("g") or one.graphs for one in within):
        return
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {}

    def renamed(name: str) -> str:
        return (
            name if name in kept else short.setdefault(name, f"v{len(short)}")
        )

    for table in graph.initializer:
        table.name = renamed(table.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    del graph.value_info[:]


def _weights(graph: "onnx.GraphProto") -> Iterator[tuple[str, int]]:
    """Each weight of a layer, with the axis of its output channels."""
    tables = {one.name for one in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        name = node.input[1]
        turned = any(one.name == "transB" and one.i for one in node.attribute)
        if name in tables:
            yield name, 0 if node.op_type == "Conv" or turned else 1


def _rounded(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """A weight in int8, and the scale of each channel [channels]."""
    others = tuple(one for one in range(weight.ndim) if one != axis)
    scales = np.abs(weight).max(axis=others, keepdims=True) / 127
    scales = np.maximum(scales, np.float32(1e-12))
    values = np.clip(np.round(weight / scales), -127, 127).astype(np.int8)
    return values, scales.reshape(-1).astype(np.float32)
