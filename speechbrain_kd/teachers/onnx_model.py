"""What an ONNX file must be before it can serve as a teacher."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechbrain_kd.teachers.loading import sha256
from speechbrain_kd.teachers.onnx_checks import check_model
from speechbrain_kd.teachers.onnx_sizes import check_sizes

if TYPE_CHECKING:
    import onnx


def digests(path: Path) -> dict[str, str]:
    """Hashes the files of a model once they are known to be harmless.

    Arguments
    ---------
    path : Path
        The ``.onnx`` file.

    Returns
    -------
    dict[str, str]
        SHA-256 by file name.

    Raises
    ------
    FileNotFoundError
        If the model, or a file of its weights, is not there.
    ValueError
        If it is no ONNX model, or one of those that
        :mod:`~speechbrain_kd.teachers.onnx_checks` refuses.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no ONNX model {path}: set the teacher's `source` to "
            "the .onnx file of a speaker model"
        )
    model = read_model(path)
    files = check_model(model, path)
    places = {path.name: path} | files
    check_sizes(
        model, path, sum(file.stat().st_size for file in places.values())
    )
    return {name: sha256(file) for name, file in sorted(places.items())}


def read_model(path: Path) -> "onnx.ModelProto":
    """Reads a model without the weights that lie in files of their own.

    Arguments
    ---------
    path : Path
        The ``.onnx`` file.

    Returns
    -------
    onnx.ModelProto
        The model. ValueError where it is none, ImportError without onnx.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ImportError(_install("onnx")) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not an ONNX model: {error}") from error
    if not model.graph.node:
        raise ValueError(f"{path} is not an ONNX model: it has no operators")
    return model


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
    options.log_severity_level = 4  # what fails is raised
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=wanted
        )
    except Exception as error:
        # Its errors have no base class of their own.
        if type(error).__module__.partition(".")[0] != "onnxruntime":
            raise
        raise ValueError(
            f"{path} is refused by onnxruntime: {str(error).splitlines()[0]}"
        ) from error


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
