"""What an evaluation is made on: trial lists, their files and a cohort."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.data.layout import (
    find_roots,
    list_speakers,
    list_utterances,
    parse_folders,
)
from speechbrain_kd.data.lists import utterance_key
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.data.packed.access import parse_reference
from speechbrain_kd.evaluation.trials import TrialList, read_trials

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CohortFiles:
    """The utterances of a cohort.

    Arguments
    ---------
    files : dict[str, Path]
        The file of each utterance.
    speakers : list[str]
        The speaker of each, in the same order.
    """

    files: dict[str, Path]
    speakers: list[str]


def named_files(texts: Iterable[str]) -> dict[str, Path]:
    """Reads ``NAME=FILE`` or ``FILE`` of a command line.

    Arguments
    ---------
    texts : Iterable[str]
        One a file; without a name it is called as its file.

    Returns
    -------
    dict[str, Path]
        By name, in the order given.

    Raises
    ------
    ValueError
        If a name comes twice.

    Example
    -------
    >>> list(named_files(["O=meta/veri_test.txt", "meta/hard.txt"]))
    ['O', 'hard']
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, sign, rest = text.partition("=")
        if not sign or Path(text).exists():
            name, rest = Path(text).stem, text
        if name in found:
            raise ValueError(
                f"two trial lists are called {name!r}: name them apart, as in "
                f"OTHER={rest}"
            )
        found[name] = Path(rest)
    return found


def read_lists(
    paths: dict[str, Path],
    spk2utt: dict[str, Path] | None = None,
    wav_scp: dict[str, Path] | None = None,
) -> dict[str, TrialList]:
    """Reads trial lists; those without labels too.

    Arguments
    ---------
    paths : dict[str, Path]
        By name.
    spk2utt : dict[str, Path] | None
        Which utterances a model is enrolled with, by the name of the list.
    wav_scp : dict[str, Path] | None
        Files of utterances, by the name of the list.

    Returns
    -------
    dict[str, TrialList]
        By name.

    Raises
    ------
    FileNotFoundError, ValueError
        If a list cannot be read, or a name is no list's.
    """
    spk2utt, wav_scp = spk2utt or {}, wav_scp or {}
    for name in [*spk2utt, *wav_scp]:
        if name not in paths:
            raise ValueError(
                f"{name!r} is no trial list; there are {', '.join(paths)}: "
                "write LIST=FILE"
            )
    return {
        name: read_trials(
            path, spk2utt.get(name), wav_scp.get(name), labelled=False
        )
        for name, path in paths.items()
    }


def find_files(
    names: Sequence[str], data_folder: str | Path | None
) -> dict[str, Path]:
    """Finds the files of utterances.

    A name is taken as a path first, alone and below each data folder; then as
    ``<speaker>/<recording>/<number>``, of whatever format the file is.

    Arguments
    ---------
    names : Sequence[str]
        As the trial lists name them.
    data_folder : str | Path | None
        One folder or several, separated by commas: plain or packed.

    Returns
    -------
    dict[str, Path]
        By name, in the same order.

    Raises
    ------
    FileNotFoundError
        If the folder or a file is not there.
    """
    folders = [] if data_folder is None else parse_folders(data_folder)
    roots = [root for folder in folders for root in find_roots(folder)]
    places = [*folders, *(root.path for root in roots), Path()]
    known: dict[str, dict[str, Path]] = {}
    found: dict[str, Path] = {}
    missing = []
    for name in names:
        path = next((at / name for at in places if (at / name).is_file()), None)
        if path is None:
            key = utterance_key(name)
            speaker = key.split("/")[0]
            if speaker not in known:
                known[speaker] = _files_of(roots, speaker)
            path = known[speaker].get(key)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        where = ", ".join(map(str, folders)) or "this folder"
        raise FileNotFoundError(
            f"no file of {missing[0]!r}, which a trial list names, in {where} "
            f"({len(missing)} of {len(names)} are missing): check "
            "--data_folder"
        )
    return found


def _is_there(path: Path) -> bool:
    """Whether a file, or the shard that an utterance is in, exists."""
    reference = parse_reference(path)
    return Path(path if reference is None else reference.shard).is_file()


def _files_of(roots: list, speaker: str) -> dict[str, Path]:
    """Files of a speaker by key."""
    if speaker in ("", ".", ".."):
        return {}
    utterances, _ = list_utterances(roots, speaker)
    return {one.key: Path(one.path) for one in utterances}


def find_cohort(
    place: str | Path, data_folder: str | Path | None, most: int
) -> CohortFiles:
    """Finds the utterances of a cohort.

    Arguments
    ---------
    place : str | Path
        A manifest (``train.csv`` of a run) or a folder in VoxCeleb's layout.
    data_folder : str | Path | None
        What ``$data_root`` of a manifest stands for.
    most : int
        Utterances of a speaker, the first by name; 0 takes all.

    Returns
    -------
    CohortFiles
        The utterances.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the place.
    ValueError
        If it holds fewer than two speakers.
    """
    place = Path(place)
    if place.is_file():
        root = None if data_folder is None else parse_folders(data_folder)[0]
        paths = read_paths(place, root)
    elif place.is_dir():
        roots = find_roots(place)
        paths = {}
        for speaker in list_speakers(roots):
            paths |= _files_of(roots, speaker)
    else:
        raise FileNotFoundError(
            f"cohort: expected a manifest such as train.csv or a folder of "
            f"speakers, and there is no {place}"
        )
    count: dict[str, int] = {}
    files = {}
    for key in sorted(paths):
        speaker = key.split("/")[0]
        count[speaker] = count.get(speaker, 0) + 1
        if not most or count[speaker] <= most:
            files[key] = paths[key]
    if len(count) < 2:
        raise ValueError(
            f"cohort: {place} has {len(count)} speakers, expected at least two"
        )
    absent = [path for path in files.values() if not _is_there(path)]
    if absent:
        raise FileNotFoundError(
            f"cohort: no file {absent[0]}, which {place} names ({len(absent)} "
            f"of {len(files)} are missing): check --cohort_folder"
        )
    return CohortFiles(files, [key.split("/")[0] for key in files])
