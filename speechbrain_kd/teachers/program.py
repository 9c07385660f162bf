"""Reads a ``torch.export`` program (``.pt2``) without running foreign code.

``torch.export.load`` is for one's own files. A foreign one runs code in it by
a pickle (weights, constants, objects, sample inputs), by a symbolic size (which
SymPy evaluates as Python) and by a guard (which becomes the text of a function
when the program is run), and could by a compiled library (AOTInductor), by the
target of a node (looked up among all attributes of ``torch``) or by a name that
ends up in generated code. So the archive is taken apart first. Only bare
tensors, calls of ATen operators and arithmetic pass, and what has passed is put
together anew and loaded: what was looked at is what is read.
"""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from speechbrain_kd.teachers.program_text import (
    expression,
    guard,
    plain,
    string_argument,
    target,
    tree,
)

_MODEL = "models/model.json"
_CONFIGS = (
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
_PICKLES = (
    "data/weights/model.pt",  # as torch 2.8 writes them
    "data/constants/model.pt",
    "data/sample_inputs/model.pt",
)
_BARE = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|archive_format|"
    r"archive_version|byteorder|(\.data/|\.format/)?version|"
    r"\.data/serialization_id",
    re.ASCII,
)


def read_program(path: str | Path) -> "torch.export.ExportedProgram":
    """Loads a program that can do nothing but compute.

    Arguments
    ---------
    path : str | Path
        A file of ``torch.export.save``, of torch 2.8 or later.

    Returns
    -------
    torch.export.ExportedProgram
        The program.

    Raises
    ------
    ValueError
        Naming the file, and what in it is refused or damaged.
    """
    try:
        archive = _rebuilt(Path(path))
    except _Refused as error:
        raise ValueError(
            f"{path} is refused: {error}. A teacher's program holds tensors "
            "and ATen operators only; for any other model, use its class and "
            "its checkpoint (TorchTeacher), or export it to ONNX"
        ) from error
    try:
        return torch.export.load(archive)
    except Exception as error:  # of many kinds, all: the file is damaged
        raise ValueError(
            f"{path} cannot be loaded as a torch.export program by torch "
            f"{torch.__version__}: {type(error).__name__}: {error}"
        ) from error


class _Refused(ValueError):
    """What is wrong with an archive."""


def _rebuilt(path: Path) -> io.BytesIO:
    """Copies what may pass of an archive to a new one."""
    archive = io.BytesIO()
    checks = {_MODEL: _model, **dict.fromkeys(_CONFIGS, _config)}
    checks |= dict.fromkeys(_PICKLES, _pickle)
    members = _members(path)
    if _MODEL not in members:
        raise _Refused(
            f"it has no {_MODEL}, as torch.export.save of torch 2.8 or later "
            "writes it"
        )
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as new:
        for name, data in members.items():
            try:
                checked = checks[name](data) if name in checks else data
            except ValueError as error:
                raise _Refused(f"{name}: {error}") from error
            new.writestr(f"model/{name}", checked)
    archive.seek(0)
    return archive


def _members(path: Path) -> dict[str, bytes]:
    """Reads the files of an archive, if they are those of a program."""
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.partition("/")[2]
                known = name in (_MODEL, *_CONFIGS, *_PICKLES)
                if not known and not _BARE.fullmatch(name):
                    raise _Refused(f"a program has no {entry.filename}")
                if name in members:
                    raise _Refused(f"it has {entry.filename} twice")
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise _Refused(f"its {entry.filename} is compressed")
                members[name] = archive.read(entry)
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
        raise _Refused(f"it is no archive of a program ({error})") from error
    return members


def _pickle(data: bytes) -> bytes:
    """Reads tensors and plain values, and writes them anew."""
    try:
        state = torch.load(
            io.BytesIO(data), map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            "it holds more than tensors and plain values, which loading would "
            f"run as code, or is damaged ({reason})"
        ) from error
    copy = io.BytesIO()
    torch.save(state, copy)
    return copy.getvalue()


def _config(data: bytes) -> bytes:
    """Refuses weights and constants that are no bare tensors."""
    config = _parsed(data)
    _walk(config, {"expr_str": expression})
    for name, entry in config.get("config", {}).items():
        if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
            raise ValueError(f"{name} is pickled, not a bare tensor")
        if not re.fullmatch(r"(weight|tensor)_\d+", str(entry["path_name"])):
            raise ValueError(f"{name} is no bare tensor, {entry['path_name']}")
    return json.dumps(config).encode()


def _model(data: bytes) -> bytes:
    """Checks each text of a graph by what torch will make of it."""
    model = _parsed(data)
    model["guards_code"] = [guard(one) for one in model.get("guards_code", [])]
    without = {**model, "guards_code": []}
    _walk(
        without,
        {
            "expr_str": expression,
            "target": target,
            "as_string": string_argument,
            "as_strings": string_argument,
            "in_spec": tree,
            "out_spec": tree,
        },
    )
    return json.dumps(model).encode()


def _parsed(data: bytes) -> dict:
    """Reads the mapping of a json."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no json ({error})") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"it holds a {type(parsed).__name__}, no mapping")
    return parsed


def _walk(root: dict, checks: dict[str, Callable[[str], object]]) -> None:
    """Visits all keys and texts. Notes of the exporter, which name source
    lines, are dropped, and all is put on the CPU."""
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("metadata"), dict):
                value["metadata"] = {}
            for name in value:
                plain(name)
                if name in ("as_operator", "as_custom_obj", "custom_obj"):
                    raise ValueError(f"it holds an object, {name}")
                if name in ("device", "as_device") and value[name]:
                    value[name] = {"type": "cpu", "index": None}
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(key, one) for one in value]
        elif isinstance(value, str):
            checks.get(key, plain)(value)
