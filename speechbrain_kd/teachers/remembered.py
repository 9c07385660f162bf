"""Arrays that are computed once: kept on disk, read by other ranks and runs."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_kd.atomic import atomic_path

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


def remembered(
    folder: str | Path,
    what: str,
    follows_from: Mapping[str, Any],
    make: Callable[[], Arrays],
) -> Arrays:
    """Reads arrays, or makes and keeps them.

    Arguments
    ---------
    folder : str | Path
        Where they are kept.
    what : str
        Their name, with which the file's begins.
    follows_from : Mapping[str, Any]
        All that they follow from, of plain kinds.
    make : Callable[[], dict[str, np.ndarray]]
        Makes them.

    Returns
    -------
    dict[str, np.ndarray]
        The same bits, whoever made them.

    Example
    -------
    >>> def make():
    ...     return {"row": np.arange(3)}
    >>> def fail():
    ...     raise AssertionError("it was made already")
    >>> for way in (make, fail):
    ...     folder = getfixture("tmp_path")
    ...     remembered(folder, "count", {"seed": 1}, way)["row"].tolist()
    [0, 1, 2]
    [0, 1, 2]
    """
    path = _place(folder, what, follows_from)
    found = _read(path)
    if found is None:
        found = make()
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez(file, **found)
    return found


def forget(
    folder: str | Path, what: str, follows_from: Mapping[str, Any]
) -> None:
    """Takes arrays away, where they are kept.

    Arguments
    ---------
    folder, what, follows_from : str | Path, str, Mapping[str, Any]
        As of :func:`remembered`.
    """
    _place(folder, what, follows_from).unlink(missing_ok=True)


def _place(
    folder: str | Path, what: str, follows_from: Mapping[str, Any]
) -> Path:
    """The file where arrays are kept, or would be."""
    text = json.dumps(follows_from, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    return Path(folder) / f"{what}-{key[:32]}.npz"


def _read(path: Path) -> Arrays | None:
    """What was kept; None where nothing was, or it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s is damaged and is made anew: %s", path, error)
        return None
