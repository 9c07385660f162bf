"""Finding utterances in folders laid out as VoxCeleb's.

An utterance lies at ``<root>/<speaker>/<recording>/<number>.<extension>``; a
root is a folder named ``wav``, ``flac``, ``aac`` or ``m4a`` somewhere near the
top of a data folder, or the data folder itself, or a packed corpus. Everything
is listed a speaker at a time, so that a million files need little memory.
"""

import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from speechbrain_kd.data.folders import (
    Root,
    Utterance,
    files_of,
    look_at,
    speakers_of,
    subfolders,
)
from speechbrain_kd.data.packed.index import PackedUtterance, open_index

AUDIO_EXTENSIONS = (".wav", ".flac", ".m4a")
"""In order of preference where one utterance is there in several."""

ROOT_NAMES = ("wav", "flac", "aac", "m4a")
"""Folders of these names hold the speakers."""

SPEAKERS_TABLE = "meta/speakers.csv"
"""In a data folder: a row a speaker, with the columns that are known."""

EXPECTED = (
    "expected <speaker>/<recording>/<number>.wav (or .flac, .m4a) in it, or in "
    "a folder named wav, flac, aac or m4a at most three levels down"
)
"""What a data folder must look like, for messages."""


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
                f"data_folder: no folder {folder}; {EXPECTED}"
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
        In alphabetical order; the data folder itself where nothing is found
        or it is a packed corpus.
    """
    if open_index(folder) is not None:
        return [Root(folder, is_test=False)]
    found: list[Path] = []
    level = [folder]
    for _ in range(max_depth):
        below = []
        for parent in level:
            for child in subfolders(parent):
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
        {speaker for root in roots for speaker in speakers_of(root.path)}
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
    best: dict[str, tuple[int, int, os.DirEntry | PackedUtterance]] = {}
    number = 0
    for position, root in enumerate(roots):
        for key, extension, entry in files_of(root.path, speaker):
            if extension.lower() not in AUDIO_EXTENSIONS:
                continue
            number += 1
            rank = AUDIO_EXTENSIONS.index(extension.lower())
            offer = (rank, position, entry)
            if key not in best or offer[:2] < best[key][:2]:
                best[key] = offer
    utterances = [look_at(key, best[key][2]) for key in sorted(best)]
    return utterances, number - len(utterances)


def listing_digest(utterances: list[Utterance]) -> str:
    """A digest that changes with any name, size or time of change."""
    digest = hashlib.blake2b(digest_size=16)
    for item in utterances:
        line = f"{item.path}\0{item.size}\0{item.mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def declared_test_speakers(folder: Path) -> set[str]:
    """Speakers that ``meta/speakers.csv`` (columns id, set) sets to ``test``.

    Of a packed corpus also those of the ``test`` folders that were packed.

    Arguments
    ---------
    folder : Path
        A data folder.

    Returns
    -------
    set[str]
        Empty where there is no such file or it lacks either column.
    """
    index = open_index(folder)
    packed = set() if index is None else set(index.facts["test_speakers"])
    path = folder / SPEAKERS_TABLE
    if not path.is_file():
        return packed
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"id", "set"} <= set(reader.fieldnames or ()):
            return packed
        return packed | {row["id"] for row in reader if row["set"] == "test"}
