"""How large the tensors of an ONNX model grow.

A file of a hundred bytes can ask for any amount of memory, by operators such
as ConstantOfShape, Expand and Tile: onnxruntime would take it at loading. The
sizes are inferred without running anything; where they depend on what is
reckoned, the model is tried in a process with limits.
"""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_kd.teachers.onnx_probe import probe

if TYPE_CHECKING:
    import onnx

_LARGEST_BYTES = 2 * 1024**3  # one tensor, for 2 s of speech
_CONSTANT = 4096  # values; more are weights, and no shapes
# What a dynamic axis becomes, by the rank of the input: 2 s of speech.
_AXES = {1: 1, 2: 32000, 3: 200}
_MAX_TRIPS = 100_000


def check_sizes(
    model: "onnx.ModelProto", path: Path, weights_bytes: int
) -> None:
    """Refuses a model with a tensor of more than 2 GiB for 2 s of speech.

    Arguments
    ---------
    model : onnx.ModelProto
        The model.
    path : Path
        Where it was read, for messages.
    weights_bytes : int
        Size of the model with all its weights.

    Raises
    ------
    ValueError
        Naming the model and the tensor; or as
        :func:`~speechbrain_kd.teachers.onnx_probe.probe`.
    """
    import onnx

    small = _without_weights(model)
    for node in small.graph.input:
        _fix_axes(node.type.tensor_type.shape)
    try:
        inferred = onnx.shape_inference.infer_shapes(small)
    except (
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{path} is no sound ONNX model: {str(error).splitlines()[0]}"
        ) from error
    _check_loops(inferred.graph, path)
    known: set[str] = set()
    graphs = _graphs(inferred.graph)
    for graph in graphs:
        for info in [*graph.value_info, *graph.output]:
            if _check_tensor(info, path):
                known.add(info.name)
    outputs = {
        name for graph in graphs for node in graph.node for name in node.output
    }
    if model.functions or outputs - known - {""}:
        probe(path, weights_bytes)


def _without_weights(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A copy that keeps the constants which shapes are made of."""
    import onnx

    small = onnx.ModelProto()
    small.CopyFrom(model)
    for graph in _graphs(small.graph):
        for tensor in graph.initializer:
            if tensor.ByteSize() > 8 * _CONSTANT:
                kept = {"name": tensor.name, "dims": tensor.dims}
                empty = onnx.TensorProto(data_type=tensor.data_type, **kept)
                tensor.CopyFrom(empty)
    return small


def _graphs(graph: "onnx.GraphProto") -> list["onnx.GraphProto"]:
    """A graph and those within its operators."""
    found = [graph]
    for one in found:
        for node in one.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    found.append(attribute.g)
                found += attribute.graphs
    return found


def _fix_axes(shape: "onnx.TensorShapeProto") -> None:
    """Puts sizes where an input has names: the first axis is the batch."""
    for index, axis in enumerate(shape.dim):
        if axis.WhichOneof("value") != "dim_value" or axis.dim_value < 1:
            axis.dim_value = _AXES.get(len(shape.dim), 200) if index else 1


def _check_tensor(info: "onnx.ValueInfoProto", path: Path) -> bool:
    """Refuses one tensor that is too large; says whether its size is known."""
    size, kind = 4, info.type.tensor_type
    for axis in kind.shape.dim:
        size *= axis.dim_value or 1
    if size > _LARGEST_BYTES:
        shape = [axis.dim_value for axis in kind.shape.dim]
        raise ValueError(
            f"{path} makes the tensor {info.name!r} of the shape {shape} for "
            "2 s of speech: refused, no speaker model needs as much memory"
        )
    return kind.HasField("shape") and all(
        axis.HasField("dim_value") for axis in kind.shape.dim
    )


def _check_loops(graph: "onnx.GraphProto", path: Path) -> None:
    """Refuses loops that are to run for ever."""
    from onnx import numpy_helper

    constants = {
        one.name: numpy_helper.to_array(one)
        for one in graph.initializer
        if not one.external_data and prod(one.dims) == 1  # has its value
    }
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute:
            if node.attribute[0].HasField("t"):
                value = numpy_helper.to_array(node.attribute[0].t)
                constants[node.output[0]] = value
        elif node.op_type == "Loop":
            trips = constants.get(node.input[0])
            if trips is not None and trips.size and trips.max() > _MAX_TRIPS:
                raise ValueError(
                    f"{path} runs the loop {node.name!r} {trips.max()} times: "
                    "refused"
                )
