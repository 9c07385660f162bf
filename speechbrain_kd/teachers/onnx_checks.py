"""What a foreign ONNX file may hold: known operators and whole weights."""

from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_kd.teachers.files import check_link

if TYPE_CHECKING:
    import onnx

# ONNX's own operators, and those that come with onnxruntime.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
# These load a compiled file, or call a function of the host.
_REFUSED = {"ATen", "EPContext", "PythonOp", "PythonOpGrad"}
_MAX_VALUES = 2**32  # of one tensor


def check_model(model: "onnx.ModelProto", path: Path) -> dict[str, Path]:
    """Refuses operators of unknown libraries and weights that are not there.

    Arguments
    ---------
    model : onnx.ModelProto
        The model, without the weights of other files.
    path : Path
        Where it was read.

    Returns
    -------
    dict[str, Path]
        The files of its weights, by the names that it gives them.

    Raises
    ------
    FileNotFoundError
        If a file of its weights is not there.
    ValueError
        Naming the model and the operator or the tensor: an operator of a
        library of its own; weights outside its folder; or a tensor with
        fewer values than it declares, or with NaN or infinity among them.
    """
    import onnx

    own = {(one.domain, one.name) for one in model.functions}
    files: dict[str, Path] = {}
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto):
            _check_operator(message, own, path)
        elif isinstance(message, onnx.SparseTensorProto):
            _check_count(message.values.name, message.dims, path)
        elif isinstance(message, onnx.TensorProto):
            _check_count(message.name, message.dims, path)
            if message.external_data or message.data_location:
                location, values = _external(message, path)
                files[location] = _file_of(location, path)
            else:
                values = _inside(message, path)
            _check_values(message.name, values, path)
    return files


def _messages(message: object) -> Iterator[object]:
    """Visits a protobuf message and every message within it."""
    waiting = [message]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if hasattr(value, "ListFields") else value


def _check_operator(
    node: "onnx.NodeProto", own: set[tuple[str, str]], path: Path
) -> None:
    """Refuses what onnxruntime would need foreign code for."""
    known = node.domain in _DOMAINS and node.op_type not in _REFUSED
    if not known and (node.domain, node.op_type) not in own:
        raise ValueError(
            f"{path} uses the operator {node.op_type} of the domain "
            f"{node.domain or 'ai.onnx'!r}: refused, as it would run foreign "
            "code. Export the model with ONNX's own operators"
        )


def _check_count(name: str, dims: list[int], path: Path) -> None:
    """Refuses sizes that no speaker model has."""
    if any(size < 0 for size in dims) or prod(dims) > _MAX_VALUES:
        raise ValueError(
            f"{path} declares the tensor {name!r} of the shape {list(dims)}: "
            "refused, no speaker model has one as large"
        )


def _inside(tensor: "onnx.TensorProto", path: Path) -> np.ndarray:
    """The values of a tensor that the model file holds."""
    from onnx import numpy_helper

    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(
            f"{path} does not hold the values of its tensor {tensor.name!r}, "
            f"which has the shape {list(tensor.dims)}: {error}"
        ) from error


def _external(tensor: "onnx.TensorProto", path: Path) -> tuple[str, np.ndarray]:
    """The file of a tensor's weights, and their values."""
    from onnx import helper

    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = _file_of(location, path)
    try:
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        offset = int(entries.get("offset", 0))
        size = prod(tensor.dims) * kind.itemsize
        length = int(entries.get("length", size))
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: the tensor {tensor.name!r} says nothing sensible of its "
            f"place in {location} ({error})"
        ) from error
    there = file.stat().st_size
    # Two values of four bits share a byte, so that less may be right.
    if min(offset, length) < 0 or length > size or offset + length > there:
        raise ValueError(
            f"{path}: the tensor {tensor.name!r} of {size} bytes is said to "
            f"be the {length} bytes from {offset} on of {location}, which has "
            f"{there}: refused"
        )
    if kind.kind == "f" and length != size:
        raise ValueError(
            f"{path}: the tensor {tensor.name!r} needs {size} bytes, "
            f"{length} of {location} are given to it"
        )
    count = length // kind.itemsize
    if kind.kind != "f" or not count:
        return location, np.zeros(0)
    return location, np.memmap(file, kind, "r", offset, (count,))


def _file_of(location: str, path: Path) -> Path:
    """Finds a file of weights, which must be in the model's folder."""
    parts = PurePosixPath(location)
    outside = parts.is_absolute() or ".." in parts.parts or "\\" in location
    if outside:
        raise ValueError(
            f"{path} reads weights from {location}, outside its own "
            "folder: refused. Save the model with its weights beside it"
        )
    file = path.parent / location
    if not location or not file.is_file():
        raise FileNotFoundError(
            f"{path} needs its weights file {location} beside it"
        )
    check_link(file)
    return file


def _check_values(name: str, values: np.ndarray, path: Path) -> None:
    """Refuses NaN and infinity; its negative may be a mask."""
    if values.dtype.kind == "f" and not (values < np.inf).all():
        raise ValueError(
            f"{path}: the tensor {name!r} holds NaN or infinite values"
        )
