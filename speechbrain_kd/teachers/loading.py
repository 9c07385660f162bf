"""Checkpoints that must fit, and never run code."""

import hashlib
import pickle
import struct
from pathlib import Path

import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.checkpoints import hook_on_loading_state_dict_checkpoint

from speechbrain_kd.teachers.archives import check_archive
from speechbrain_kd.teachers.label_file import check_labels

_SHOWN = 3  # keys in a message


def sha256(path: str | Path) -> str:
    """Gives the SHA-256 of a file, in hexadecimal.

    Arguments
    ---------
    path : str | Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_fits(loadable: object, path: str | Path) -> None:
    """Makes sure that a file can be loaded whole into an object.

    SpeechBrain's ``Pretrainer`` only warns where a checkpoint does not fit,
    and leaves random weights in place.

    Arguments
    ---------
    loadable : object
        A ``torch.nn.Module`` or a ``CategoricalEncoder``.
    path : str | Path
        The file that the ``Pretrainer`` will load into it.

    Raises
    ------
    ValueError
        Naming the file and the first keys that are missing, not expected, of
        another shape or kind, or not finite; or if the file holds anything
        but tensors and plain values, or no labels for a label encoder.
    """
    if isinstance(loadable, CategoricalEncoder):
        check_labels(path)  # a text of literals, nothing of it is run
        return
    if not isinstance(loadable, torch.nn.Module):
        raise ValueError(
            f"{path} belongs to a {type(loadable).__name__}; a teacher loads "
            "modules and label encoders only"
        )
    state = read_state(path)
    if isinstance(loadable, InputNormalization):
        expected = {"count": None, "glob_mean": None, "glob_std": None}
        # Published files also hold the statistics of older versions.
        state = {key: state[key] for key in state if key in expected}
        problems = mismatches(expected, dict.fromkeys(state))
    else:
        state = hook_on_loading_state_dict_checkpoint(state)
        problems = mismatches(loadable.state_dict(), state)
    problems += _unsound(state)
    if problems:
        raise ValueError(
            f"{path} does not fit the {type(loadable).__name__} of its yaml: "
            + "; ".join(problems)
            + ". Yaml and checkpoint must come from the same model"
        )


# What torch.load raises on bytes that torch.save did not write.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def read_state(path: str | Path) -> dict[str, object]:
    """Reads a state dict without running code that it may hold.

    Arguments
    ---------
    path : str | Path
        A checkpoint.

    Returns
    -------
    dict[str, object]
        What it holds by name, on the CPU.

    Raises
    ------
    ValueError
        If the file is damaged, grows when it is read, or holds anything but
        tensors and plain values by name.
    """
    check_archive(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is refused: it is damaged, or holds more than tensors "
            "and plain values, which loading would run as code. Save it as "
            f"a state_dict ({reason})"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(
            f"{path} should hold a state_dict, it holds a "
            f"{type(state).__name__}"
        )
    versions = getattr(state, "_metadata", {})
    if not all(isinstance(key, str) for key in state) or not (
        isinstance(versions, dict)
        and all(isinstance(value, dict) for value in versions.values())
    ):
        raise ValueError(
            f"{path} should hold a state_dict, with a name for each tensor"
        )
    return state


def mismatches(expected: dict, got: dict) -> list[str]:
    """Lists what differs between two state dicts, a few keys each.

    Arguments
    ---------
    expected, got : dict
        Tensors by name.

    Returns
    -------
    list[str]
        Keys that are missing, not expected or of another shape; empty where
        all fits.
    """
    missing = [key for key in expected if key not in got]
    unknown = [key for key in got if key not in expected]
    shapes = [
        f"{key} expected {_shape(value)}, got {_shape(got[key])}"
        for key, value in expected.items()
        if key in got and _shape(value) != _shape(got[key])
    ]
    return _listed(
        {"missing": missing, "not expected": unknown, "shapes": shapes}
    )


def _unsound(state: dict) -> list[str]:
    """Lists what no training leaves in a checkpoint."""
    tensors = {
        key: value for key, value in state.items() if torch.is_tensor(value)
    }
    odd = {
        key
        for key, value in tensors.items()
        if value.layout != torch.strided or value.is_meta or value.is_quantized
    }
    broken = [
        key
        for key, value in tensors.items()
        if key not in odd and not value.isfinite().all()
    ]
    return _listed({"no plain tensor": sorted(odd), "NaN or infinite": broken})


def _listed(kinds: dict[str, list[str]]) -> list[str]:
    """Names the first keys of each kind of problem."""
    return [
        f"{kind}: {', '.join(keys[:_SHOWN])}"
        + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
        for kind, keys in kinds.items()
        if keys
    ]


def _shape(value: object) -> str:
    """Gives the shape of a tensor, and its kind where that is not float."""
    if not torch.is_tensor(value):
        return "no tensor"
    kind = "" if value.is_floating_point() else f" {value.dtype}"
    return f"{list(value.shape)}{kind}"
