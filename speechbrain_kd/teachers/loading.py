"""Checkpoints that must fit, and never run code."""

import hashlib
import pickle
from pathlib import Path

import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.checkpoints import hook_on_loading_state_dict_checkpoint

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
        Naming the file and the first keys that are missing, not expected or
        of another shape; or if the file holds anything but tensors and plain
        values.
    """
    if isinstance(loadable, CategoricalEncoder):
        return  # a text of literals, read without evaluating code
    if not isinstance(loadable, torch.nn.Module):
        raise ValueError(
            f"{path} belongs to a {type(loadable).__name__}; a teacher loads "
            "modules and label encoders only"
        )
    state = _read_state(path)
    if isinstance(loadable, InputNormalization):
        expected = {"count": None, "glob_mean": None, "glob_std": None}
        # Published files also hold the statistics of older versions.
        state = {key: None for key in state if key in expected}
    else:
        state = hook_on_loading_state_dict_checkpoint(state)
        expected = loadable.state_dict()
    problems = _mismatches(expected, state)
    if problems:
        raise ValueError(
            f"{path} does not fit the {type(loadable).__name__} of its yaml: "
            + "; ".join(problems)
            + ". Yaml and checkpoint must come from the same model"
        )


def _read_state(path: str | Path) -> dict:
    """Reads a state dict without running code that it may hold."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
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
    return state


def _mismatches(expected: dict, got: dict) -> list[str]:
    """Lists what differs between two state dicts, a few keys each."""
    missing = [key for key in expected if key not in got]
    unknown = [key for key in got if key not in expected]
    shapes = [
        f"{key} expected {_shape(value)}, got {_shape(got[key])}"
        for key, value in expected.items()
        if key in got and _shape(value) != _shape(got[key])
    ]
    kinds = {"missing": missing, "not expected": unknown, "shapes": shapes}
    return [
        f"{kind}: {', '.join(keys[:_SHOWN])}"
        + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
        for kind, keys in kinds.items()
        if keys
    ]


def _shape(value: object) -> list[int] | None:
    """Gives the shape of a tensor; None for anything else."""
    return list(value.shape) if torch.is_tensor(value) else None
