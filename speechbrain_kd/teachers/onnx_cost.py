"""What an ONNX model costs: its weights, and its multiply-accumulates.

Shapes within a graph depend on its input, by more ways than static inference
follows. So the model is run once with the tensors of its costly nodes as
further outputs, and their shapes are read.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def count_parameters(path: str | Path) -> int:
    """Counts the numbers in a model's weights.

    Arguments
    ---------
    path : str | Path
        The ``.onnx`` file.

    Returns
    -------
    int
        Numbers in all its initialisers of two axes or more, or of one axis
        and floating point: those of no axes, and of integers of one, are
        shapes and scales.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    floating = (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
    )
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if len(tensor.dims) > 1
        or (len(tensor.dims) == 1 and tensor.data_type in floating)
    )


def count_macs(path: str | Path, feed: Mapping[str, np.ndarray]) -> int:
    """Counts the multiply-accumulates of a model's convolutions, matrix
    products and recurrent layers, quantised or not, outside its subgraphs.

    Arguments
    ---------
    path : str | Path
        The ``.onnx`` file.
    feed : Mapping[str, np.ndarray]
        Its inputs by name.

    Returns
    -------
    int
        Of the whole batch.
    """
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    nodes = [node for node in model.graph.node if node.op_type in _COUNTS]
    names = {name for node in nodes for name in _tensors(node)}
    shapes: dict[str, Shape] = {
        tensor.name: tuple(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name in names
    }
    shapes |= {name: np.shape(value) for name, value in feed.items()}
    wanted = sorted(names - set(shapes))
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=one) for one in wanted)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # A fused node has no tensor of its own.
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    answers = session.run(wanted, dict(feed)) if wanted else []
    found = zip(wanted, answers, strict=True)
    shapes |= {name: np.shape(value) for name, value in found}
    return sum(_COUNTS[node.op_type](node, shapes) for node in nodes)


def _tensors(node: Any) -> list[str]:
    """Names the tensors of a node, as far as they are there."""
    return [name for name in (*node.input, node.output[0]) if name]


def _conv(weights: int) -> Callable[[Any, dict[str, Shape]], int]:
    """A filter for each output, with its weights at this input."""

    def count(node: Any, shapes: dict[str, Shape]) -> int:
        filters = shapes[node.input[weights]]
        return math.prod(shapes[node.output[0]]) * math.prod(filters[1:])

    return count


def _conv_transpose(node: Any, shapes: dict[str, Shape]) -> int:
    """A filter for each input."""
    filters = shapes[node.input[1]]
    return math.prod(shapes[node.input[0]]) * math.prod(filters[1:])


def _gemm(node: Any, shapes: dict[str, Shape]) -> int:
    """The inner size is the first of A where A is transposed."""
    flags = {entry.name: entry.i for entry in node.attribute}
    inner = shapes[node.input[0]][0 if flags.get("transA") else 1]
    return math.prod(shapes[node.output[0]]) * inner


def _matmul(node: Any, shapes: dict[str, Shape]) -> int:
    """Each output is a product over the last axis of A."""
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _recurrent(node: Any, shapes: dict[str, Shape]) -> int:
    """All weights, at each step of each row."""
    steps, rows = shapes[node.input[0]][:2]
    weights = sum(math.prod(shapes[node.input[at]]) for at in (1, 2))
    return steps * rows * weights


_COUNTS = {
    "Conv": _conv(1),
    "ConvInteger": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
