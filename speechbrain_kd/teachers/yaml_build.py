"""From a foreign yaml to the objects it describes, or one clear error."""

import io
import re
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import ruamel.yaml
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_kd.teachers.trust import (
    DEFAULT_ALLOWED,
    NOT_FOREIGN,
    check_text,
    read_yaml,
)

#: What the modules of one teacher may hold.
LARGEST_BYTES = 16 * 1024**3


def load_foreign(
    path: str | Path, place: str, allowed: Sequence[str] = DEFAULT_ALLOWED
) -> dict[str, Any]:
    """Builds what a foreign yaml describes, which can be a model alone.

    It is checked as it stands, since reading includes and calls run code at
    once; and again with its references resolved, since they can put together
    what no line says. What is built is what was checked: the text that
    HyperPyYAML reads must be one that it leaves as it is.

    Arguments
    ---------
    path : str | Path
        The yaml file.
    place : str
        What its ``pretrained_path`` becomes, where it has one.
    allowed : Sequence[str]
        As in :func:`~speechbrain_kd.teachers.trust.check_yaml`.

    Returns
    -------
    dict[str, Any]
        The objects by key.

    Raises
    ------
    ValueError
        If the yaml could do more than build a model, or does not build one.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "hyperparams.yaml"
    >>> _ = path.write_text("n: 2\\nlayer: !new:torch.nn.Linear [!ref <n>, 3]")
    >>> load_foreign(path, "here")["layer"].weight.shape
    torch.Size([3, 2])
    """
    text = read_yaml(path)
    check_text(text, str(path), allowed, refused=NOT_FOREIGN)
    overrides = {}
    if re.search(r"^pretrained_path:", text, re.MULTILINE):
        overrides["pretrained_path"] = place
    resolved = _resolve(text, overrides, path)
    settled = _resolve(resolved, {}, path)
    name = f"{path} with its references resolved"
    for stage in (resolved, settled):
        check_text(stage, name, allowed, True, refused=NOT_FOREIGN)
    if _resolve(settled, {}, path) != settled:
        raise ValueError(
            f"{path} reads otherwise each time that it is written: refused, "
            "as what is checked would not be what is built"
        )
    # A student of the same seed starts alike with a teacher and without.
    with torch.random.fork_rng(devices=[]), _Bounded():
        try:
            return load_hyperpyyaml(io.StringIO(settled))
        except _FAILURES as error:
            raise _failure(path, "cannot be built", error) from error


# What constructors and HyperPyYAML raise on arguments that make no sense.
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    ruamel.yaml.YAMLError,
)


def _failure(path: str | Path, what: str, error: Exception) -> ValueError:
    """One line on what went wrong."""
    lines = (str(error) or type(error).__name__).splitlines()
    return ValueError(
        f"{path} {what}: {type(error).__name__}: {lines[0]}. Is it the yaml "
        "of a SpeechBrain speaker model, whole and unchanged?"
    )


def _resolve(text: str, overrides: dict[str, str], path: str | Path) -> str:
    """Puts references in their places; calls nothing, as tags are checked."""
    try:
        return resolve_references(text, overrides).getvalue()
    except _FAILURES as error:
        raise _failure(path, "has unsound references", error) from error


class _Bounded(TorchDispatchMode):
    """Refuses sizes that no teacher has before they are allocated."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Adds up what factories such as ``empty`` and ``zeros`` are asked."""
        size = args[0] if args else ()
        if isinstance(size, list | tuple) and size:
            if all(isinstance(axis, int) for axis in size):
                self._hold(prod(size))
        elif isinstance(size, int):
            self._hold(size)
        return func(*args, **(kwargs or {}))

    def _hold(self, values: int) -> None:
        """Counts values of four bytes each."""
        self.held += 4 * values
        if self.held > LARGEST_BYTES:
            raise ValueError(
                f"its modules would take more than {LARGEST_BYTES} bytes"
            )
