"""Gets a model that is one file: from this machine, a folder or the hub."""

from pathlib import Path
from typing import NamedTuple

from speechbrain_kd.teachers.hub import Source, locate
from speechbrain_kd.teachers.loading import sha256


class Obtained(NamedTuple):
    """A model's file on this machine.

    Arguments
    ---------
    path : Path
        The file.
    files : Source
        What lies beside it.
    name : str
        What to call it: the path, or its place on the hub.
    """

    path: Path
    files: Source
    name: str


def obtain(
    source: str,
    file: str | None = None,
    revision: str | None = None,
    savedir: str | None = None,
    pin: str | None = None,
    kind: str = "model file",
) -> Obtained:
    """Gets a model's file.

    Arguments
    ---------
    source : str
        The file itself; or, with ``file``, a folder or a hub id.
    file : str | None
        The name of the file there.
    revision : str | None
        Branch, tag or commit on the hub.
    savedir : str | None
        Where downloads are kept.
    pin : str | None
        The SHA-256 that the file must have.
    kind : str
        What it is, for messages.

    Returns
    -------
    Obtained
        Path and name.

    Raises
    ------
    FileNotFoundError
        If it is not to be had.
    ValueError
        If it is not the file that was pinned.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.onnx").write_bytes(b"")
    >>> obtain(str(folder), "a.onnx").path == folder / "a.onnx"
    True
    >>> obtain(str(folder / "a.onnx"), pin="0123")
    Traceback (most recent call last):
    ...
    ValueError: ...a.onnx is not the file that was pinned: ...
    """
    if file is None:
        path, name = Path(source), str(source)
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no {kind} {source}: set the teacher's `source` "
                "to the file of a speaker model; for one on the hub, to its "
                "id, and `file` to the name of the file there"
            )
        files = locate(str(path.parent), revision)
    else:
        files = locate(str(source), revision, savedir)
        path, name = files.fetch(file), f"{source}/{file}"
    if pin is not None and (found := sha256(path)) != str(pin).lower():
        raise ValueError(
            f"{name} is not the file that was pinned: expected the SHA-256 "
            f"{pin}, got {found}. Correct `sha256`, or get the file again"
        )
    return Obtained(path, files, name)
