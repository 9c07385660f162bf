"""Checkpoints are zip archives: these must be what ``torch.save`` writes."""

import struct
import zipfile
from pathlib import Path, PurePosixPath


def check_archive(path: str | Path) -> None:
    """Refuses an archive that would grow when it is read, or is torn.

    ``torch.save`` compresses nothing, so that an archive is as large as what
    is in it. One that is not a zip (a pickle of before PyTorch 1.6) passes:
    it is for ``torch.load`` to refuse.

    Arguments
    ---------
    path : str | Path
        A checkpoint.

    Raises
    ------
    ValueError
        Naming the file and the entry that is compressed, encrypted, larger
        than the file, there twice, or that leads out of a folder.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "bomb.ckpt"
    >>> with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    ...     archive.writestr("data/0", bytes(1000))
    >>> check_archive(path)
    Traceback (most recent call last):
    ...
    ValueError: .../bomb.ckpt is refused: its entry data/0 is compressed ...
    """
    path = Path(path)
    with open(path, "rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        UnicodeDecodeError,
        ValueError,
        struct.error,
    ) as error:
        raise ValueError(
            f"{path} is refused: it is damaged ({error}). Fetch or copy it anew"
        ) from error
    names: set[str] = set()
    room = path.stat().st_size
    for entry in entries:
        room -= entry.file_size
        problem = _problem(entry, names, room)
        if problem:
            raise ValueError(
                f"{path} is refused: its entry {entry.filename[:80]} "
                f"{problem}, which torch.save never writes. Save it anew "
                "as a state_dict"
            )
        names.add(entry.filename)


def _problem(entry: zipfile.ZipInfo, names: set[str], room: int) -> str | None:
    """What is wrong with one entry; None if nothing is."""
    if entry.compress_type != zipfile.ZIP_STORED:
        return (
            f"is compressed ({entry.compress_size} bytes to {entry.file_size})"
        )
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if room < 0 or entry.file_size != entry.compress_size:
        return f"of {entry.file_size} bytes does not fit into the file"
    if entry.filename in names:
        return "is there twice"
    parts = PurePosixPath(entry.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        return "leads out of its folder"
    return None
