"""Puts layers of an ONNX graph into int8 arithmetic, by onnxruntime's tools.

A layer is a convolution or matrix product with its weight, and the ReLU after
it. Its input, weight, bias and output become integers; all that lies between
layers stays float. Weights have a scale for each output channel and are held
to 7 bits: on processors without VNNI the 8-bit products of onnxruntime
saturate, which does more harm than the lost bit.
"""

import copy
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechbrain_kd.quantise import LEAST_WEIGHTS

if TYPE_CHECKING:
    import onnx

_KINDS = ("Conv", "Gemm", "MatMul")
_GRAPH, _FEATURES = "encoder/", "features/"


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised.

    Arguments
    ---------
    name : str
        The module, such as ``blocks.0.conv.conv``.
    nodes : tuple[str, ...]
        Names of its nodes: the product, and the ReLU after it.
    tensors : tuple[str, ...]
        Names of its input, its output and the ReLU's output.
    weights : int
        Numbers of its weight.
    """

    name: str
    nodes: tuple[str, ...]
    tensors: tuple[str, ...]
    weights: int


def find_layers(model: "onnx.ModelProto") -> dict[str, Layer]:
    """The layers of an encoder's graph that can be quantised.

    Arguments
    ---------
    model : onnx.ModelProto
        As ``encoder_graph`` gives it. Nodes without a name get one.

    Returns
    -------
    dict[str, Layer]
        By name, in the order of the graph; none of the features.
    """
    graph = model.graph
    sizes = {one.name: int(np.prod(one.dims)) for one in graph.initializer}
    users: dict[str, list] = {}
    for number, node in enumerate(graph.node):
        node.name = node.name or f"node_{number}"
        for name in node.input:
            users.setdefault(name, []).append(node)
    found: dict[str, Layer] = {}
    for node in graph.node:
        name = node.name.lstrip("/")
        if node.op_type not in _KINDS or name.startswith(_FEATURES):
            continue
        if sizes.get(node.input[1], 0) < LEAST_WEIGHTS:
            continue
        tensors, nodes = [node.input[0], node.output[0]], [node.name]
        after = users.get(node.output[0], [])
        if [one.op_type for one in after] == ["Relu"]:
            nodes.append(after[0].name)
            tensors.append(after[0].output[0])
        name = name.removeprefix(_GRAPH).rpartition("/")[0] or name
        name = name.replace("/", ".")
        if name in found:  # two products in one module
            name = node.name
        size = sizes[node.input[1]]
        found[name] = Layer(name, tuple(nodes), tuple(tensors), size)
    return found


def find_ranges(
    model: "onnx.ModelProto", wavs: Iterable[np.ndarray]
) -> Mapping[str, Any]:
    """Least and greatest number of every tensor at a layer.

    Arguments
    ---------
    model : onnx.ModelProto
        The float graph.
    wavs : Iterable[np.ndarray]
        Speech, each [samples].

    Returns
    -------
    Mapping[str, Any]
        onnxruntime's ``TensorsData``.
    """
    import onnx
    from onnxruntime.quantization import create_calibrator

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "float.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(model), str(file))
        calibrator = create_calibrator(
            file,
            [*_KINDS, "Relu"],
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
        )
        calibrator.collect_data(_reader(wavs))
        return calibrator.compute_data()


def _reader(wavs: Iterable[np.ndarray]) -> object:
    """What onnxruntime asks for one utterance after the other."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Utterances, each alone."""

        def __init__(self) -> None:
            self.rest = iter(wavs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next one, or None at the end."""
            wav = next(self.rest, None)
            return None if wav is None else {"waveform": wav[None]}

    return Reader()


def quantised(
    model: "onnx.ModelProto",
    ranges: Mapping[str, Any],
    layers: Collection[Layer],
) -> "onnx.ModelProto":
    """A copy of a graph with some layers in int8.

    Arguments
    ---------
    model : onnx.ModelProto
        The float graph, of opset 13 or later.
    ranges : Mapping[str, Any]
        As ``find_ranges`` gives them.
    layers : Collection[Layer]
        Which; at least one.

    Returns
    -------
    onnx.ModelProto
        With QuantizeLinear and DequantizeLinear around those layers.
    """
    import onnx
    from onnxruntime.quantization import QDQQuantizer, QuantType

    quantizer = QDQQuantizer(
        onnx.shape_inference.infer_shapes(copy.deepcopy(model)),
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[name for layer in layers for name in layer.nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=[*_KINDS, "Relu"],
        extra_options={"QDQOpTypePerChannelSupportToAxis": {"MatMul": 1}},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def tidy(model: "onnx.ModelProto") -> None:
    """Drops what a quantised graph says twice, in place: a tenth of a small
    file.

    Zero points of weights that are all 0, which is the default, and tables
    that are the same as another.

    Arguments
    ---------
    model : onnx.ModelProto
        As ``quantised`` gives it.
    """
    from onnx import numpy_helper

    graph = model.graph
    tables = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in tables:
            continue
        if not numpy_helper.to_array(tables[node.input[2]]).any():
            del node.input[2]
    used = {name for node in graph.node for name in node.input}
    seen: dict[tuple, str] = {}
    same = {
        name: seen.setdefault(_content(one), name)
        for name, one in tables.items()
        if name in used
    }
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    kept = set(same.values())
    left = [one for one in graph.initializer if one.name in kept]
    del graph.initializer[:]
    graph.initializer.extend(left)


def _content(table: "onnx.TensorProto") -> tuple:
    """What two tables must share to be one."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(table)
    return table.data_type, values.shape, values.tobytes()
