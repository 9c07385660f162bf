"""Finding utterances in folders laid out as VoxCeleb's.

An utterance lies at ``<root>/<speaker>/<recording>/<number>.<extension>``; a
root is a folder named ``wav``, ``flac``, ``aac`` or ``m4a`` somewhere near the
top of a data folder, or the data folder itself. Everything is listed a speaker
at a time, so that a corpus of a million files needs little memory.
"""

import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

AUDIO_EXTENSIONS = (".wav", ".flac", ".m4a")
"""In order of preference where one utterance is there in several."""

ROOT_NAMES = ("wav", "flac", "aac", "m4a")
"""Folders of these names hold the speakers."""

_EXPECTED = (
    "expected <speaker>/<recording>/<number>.wav (or .flac, .m4a) in it, or in "
    "a folder named wav, flac, aac or m4a at most three levels down"
)


class Root(NamedTuple):
    """A folder of speakers.

    Arguments
    ---------
    path : Path
        The folder.
    is_test : bool
        Whether it is set apart for testing (``test/aac``, ``vox1_test_wav``).
    """

    path: Path
    is_test: bool


class Utterance(NamedTuple):
    """A file of a speaker as the directory listing shows it.

    Arguments
    ---------
    key : str
        ``<speaker>/<recording>/<number>``.
    path : str
        The file.
    size : int
        Bytes; -1 where it cannot be looked at (a broken link).
    mtime_ns : int
        Time of its last change.
    """

    key: str
    path: str
    size: int
    mtime_ns: int


def parse_folders(data_folder: str | Path | Iterable[str | Path]) -> list[Path]:
    """The data folders as a list of absolute paths.

    Arguments
    ---------
    data_folder : str | Path | Iterable[str | Path]
        One folder, several, or several in one string, separated by commas as
        in SpeechBrain's recipe.

    Returns
    -------
    list[Path]
        Each folder once, in the order given. FileNotFoundError where one does
        not exist, ValueError where none is named.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> parse_folders(f"{folder}, {folder}") == [folder]
    True
    """
    if isinstance(data_folder, Path):
        data_folder = [data_folder]
    elif isinstance(data_folder, str):
        # A comma may also be part of a folder's name.
        whole = Path(data_folder).is_dir()
        data_folder = [data_folder] if whole else data_folder.split(",")
    names = [str(name).strip() for name in data_folder]
    folders = [Path(name).expanduser().absolute() for name in names if name]
    if not folders:
        raise ValueError("data_folder: expected at least one folder, got none")
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"data_folder: no folder {folder}; {_EXPECTED}"
            )
    return list(dict.fromkeys(folders))


def find_roots(folder: Path, max_depth: int = 3) -> list[Root]:
    """Finds the folders of a data folder that hold speakers.

    Arguments
    ---------
    folder : Path
        A data folder.
    max_depth : int
        How many levels down to look.

    Returns
    -------
    list[Root]
        In alphabetical order; the data folder itself where nothing is found.
    """
    found: list[Path] = []
    level = [folder]
    for _ in range(max_depth):
        below = []
        for parent in level:
            for child in _folders(parent):
                hit = os.path.basename(child).lower() in ROOT_NAMES
                (found if hit else below).append(Path(child))
        level = below
    return [
        Root(path, _is_test(path.relative_to(folder)))
        for path in sorted(found) or [folder]
    ]


def _is_test(path: Path) -> bool:
    return any("test" in part.lower().split("_") for part in path.parts)


def list_speakers(roots: list[Root]) -> list[str]:
    """Names of the speaker folders of all roots, sorted, each once."""
    return sorted(
        {
            os.path.basename(child)
            for root in roots
            for child in _folders(root.path)
        }
    )


def list_utterances(
    roots: list[Root], speaker: str
) -> tuple[list[Utterance], int]:
    """Lists the audio files of a speaker in all roots.

    Arguments
    ---------
    roots : list[Root]
        What ``find_roots`` found, of all data folders.
    speaker : str
        Name of the speaker's folder.

    Returns
    -------
    tuple[list[Utterance], int]
        The utterances sorted by key, and how many files were passed over
        because the utterance was there already. ``.wav`` goes before
        ``.flac`` and ``.m4a``, an earlier root before a later one.
    """
    best: dict[str, tuple[int, int, os.DirEntry]] = {}
    number = 0
    for position, root in enumerate(roots):
        folder = root.path / speaker
        for recording in _folders(folder) if folder.is_dir() else ():
            prefix = f"{speaker}/{os.path.basename(recording)}/"
            for entry in _entries(recording):
                stem, extension = os.path.splitext(entry.name)
                if extension.lower() not in AUDIO_EXTENSIONS:
                    continue
                number += 1
                rank = AUDIO_EXTENSIONS.index(extension.lower())
                offer = (rank, position, entry)
                key = prefix + stem
                if key not in best or offer[:2] < best[key][:2]:
                    best[key] = offer
    utterances = [_look_at(key, best[key][2]) for key in sorted(best)]
    return utterances, number - len(utterances)


def _look_at(key: str, entry: os.DirEntry) -> Utterance:
    try:
        stat = entry.stat()
    except OSError:
        # Reading its header will say what is wrong with it.
        return Utterance(key, entry.path, -1, 0)
    return Utterance(key, entry.path, stat.st_size, stat.st_mtime_ns)


def listing_digest(utterances: list[Utterance]) -> str:
    """A digest that changes with any name, size or time of change."""
    digest = hashlib.blake2b(digest_size=16)
    for item in utterances:
        line = f"{item.path}\0{item.size}\0{item.mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def declared_test_speakers(folder: Path) -> set[str]:
    """Speakers that ``meta/speakers.csv`` (columns id, set) sets to ``test``.

    Arguments
    ---------
    folder : Path
        A data folder.

    Returns
    -------
    set[str]
        Empty where there is no such file or it lacks either column.
    """
    path = folder / "meta" / "speakers.csv"
    if not path.is_file():
        return set()
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"id", "set"} <= set(reader.fieldnames or ()):
            return set()
        return {row["id"] for row in reader if row["set"] == "test"}


def nothing_found(folders: list[Path], speakers: list[str]) -> ValueError:
    """The error of data folders without a single utterance."""
    names = ", ".join(str(folder) for folder in folders)
    inside = sorted(
        child.name for folder in folders for child in folder.iterdir()
    )
    return ValueError(
        f"data_folder {names}: no audio found; {_EXPECTED}. "
        f"Found there: {', '.join(inside[:10]) or 'nothing'}; taken as "
        f"speakers: {', '.join(speakers[:10]) or 'none'}"
    )


def _entries(folder: str | Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def _folders(folder: str | Path) -> list[str]:
    return sorted(entry.path for entry in _entries(folder) if entry.is_dir())
