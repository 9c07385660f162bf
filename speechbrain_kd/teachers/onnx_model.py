"""What an ONNX file must be before it can serve as a teacher."""

from collections.abc import Iterator
from pathlib import Path

import torch

from speechbrain_kd.teachers.loading import sha256


def digests(path: Path) -> dict[str, str]:
    """Hashes the files of a model, refusing any outside its folder.

    Arguments
    ---------
    path : Path
        The ``.onnx`` file.

    Returns
    -------
    dict[str, str]
        SHA-256 by file name.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no ONNX model {path}: set the teacher's `source` to "
            "the .onnx file of a speaker model"
        )
    folder = path.parent.resolve()
    digests = {path.name: sha256(path)}
    for location in sorted(_external_files(path)):
        weights = (folder / location).resolve()
        if not weights.is_relative_to(folder):
            raise ValueError(
                f"{path} reads weights from {location}, outside its own "
                "folder: refused. Save the model with its weights beside it"
            )
        if not weights.is_file():
            raise FileNotFoundError(
                f"{path} needs its weights file {location} beside it"
            )
        digests[location] = sha256(weights)
    return digests


def _external_files(path: Path) -> set[str]:
    """Collects the names of the weight files that a model refers to."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ImportError(_install("onnx")) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"{path} is not an ONNX model: {error}") from error
    return {
        entry.value
        for message in _messages(model)
        if isinstance(message, onnx.TensorProto)
        for entry in message.external_data
        if entry.key == "location"
    }


def _messages(message: object) -> Iterator[object]:
    """Visits a protobuf message and every message within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            for part in parts:
                yield from _messages(part)


def session(path: Path, num_threads: int | None, provider: str) -> object:
    """Starts onnxruntime on a model.

    Arguments
    ---------
    path : Path
        The ``.onnx`` file.
    num_threads : int | None
        Threads within an operator; None for as many as torch has.
    provider : str
        ``"auto"`` or the name of an execution provider.

    Returns
    -------
    onnxruntime.InferenceSession
        The session.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(_install("onnxruntime")) from error
    present = onnxruntime.get_available_providers()
    if provider == "auto":
        wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        wanted = [name for name in wanted if name in present]
    elif provider in present:
        wanted = [provider]
    else:
        raise ValueError(
            f"This onnxruntime has no provider {provider!r}; it has "
            f"{', '.join(present)}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=wanted)


def _install(package: str) -> str:
    """Says how to get a package that is missing."""
    return (
        f"An ONNX teacher needs {package}: pip install 'speechbrain_kd[onnx]'"
    )


def choose(nodes: list, name: str | None, path: Path, kind: str) -> object:
    """Finds an input or output by name, or the only one there is.

    Arguments
    ---------
    nodes : list
        The inputs or outputs of a session.
    name : str | None
        Which one; None where there is one alone.
    path : Path
        The model, for messages.
    kind : str
        ``"input"`` or ``"output"``.

    Returns
    -------
    onnxruntime.NodeArg
        Its name and shape.
    """
    names = [node.name for node in nodes]
    if name is None and len(nodes) == 1:
        return nodes[0]
    if name not in names:
        wrong = "" if name is None else f", none of them {name!r}"
        raise ValueError(
            f"{path} has the {kind}s {', '.join(names)}{wrong}: choose one "
            f"by `{kind}_name`"
        )
    return nodes[names.index(name)]


def check_shape(node: object, n_mels: int | None) -> None:
    """Refuses an input of the wrong rank, or fixed where it must vary.

    Arguments
    ---------
    node : onnxruntime.NodeArg
        The input.
    n_mels : int | None
        Size of its last axis; None for a model of waveforms.
    """
    axes = ["batch", "samples"] if n_mels is None else ["batch", "frames"]
    wanted = axes if n_mels is None else [*axes, str(n_mels)]
    shape = list(node.shape)
    problem = f"{len(shape)} axes" if len(shape) != len(wanted) else None
    for axis, size in zip(axes, shape, strict=False):
        if isinstance(size, int) and problem is None:
            problem = f"a fixed {axis} axis of {size}"
    if problem is None and n_mels and shape[-1] != n_mels:
        if isinstance(shape[-1], int):
            problem = f"{shape[-1]} mel bins"
    if problem:
        raise ValueError(
            f"The input {node.name} has {problem}, its shape is {shape}: an "
            f"ONNX teacher takes [{', '.join(wanted)}]. Export it with "
            "dynamic axes, or set `n_mels` and `frontend` to its own"
        )
