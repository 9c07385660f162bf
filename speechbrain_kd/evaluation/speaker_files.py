"""Sets of speakers in files: lists of ids, tables, manifests of runs."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from speechbrain_kd.evaluation.named_speakers import (
    NAMES,
    SpeakerSet,
    group,
    speaker_of,
)


def is_file_of_ids(name: str) -> bool:
    """Whether the name of a training set can only be that of a file."""
    return Path(name).suffix in (".txt", ".csv") or Path(name).is_file()


def read_set(path: str | Path) -> list[SpeakerSet]:
    """Reads speakers from a file.

    Arguments
    ---------
    path : str | Path
        One id (or utterance) a line; or a CSV with a column ``spk_id`` (the
        manifest of a run) or ``id`` (a ``speakers.csv``, whose speakers of
        the set ``test`` are left out).

    Returns
    -------
    list[SpeakerSet]
        One a corpus.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no speaker, or is a CSV of neither kind.

    Example
    -------
    >>> path = getfixture("tmp_path") / "seen.txt"
    >>> _ = path.write_text("# two of my own\\nann\\nbob\\n")
    >>> sorted(read_set(path)[0].ids)
    ['ann', 'bob']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"trained_on: there is no file of speakers {path}; expected one id "
            f"a line, a CSV, or one of the names {', '.join(NAMES)}"
        )
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = _of_csv(path, file) if path.suffix == ".csv" else file
            names = [line.split("#")[0].strip() for line in rows]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text, {error}") from None
    found = group(path.stem, {speaker_of(name) for name in names if name})
    if not found:
        raise ValueError(f"{path}: expected ids of speakers, there is none")
    return found


def _of_csv(path: Path, file: Iterable[str]) -> Iterator[str]:
    """An utterance or id for each row."""
    rows = csv.reader(file)
    header = next(rows, [])
    at = {name: place for place, name in enumerate(header)}
    if "spk_id" in at:
        return _first_utterances(rows, at)
    if "id" not in at:
        raise ValueError(
            f"{path}: expected a column `id` or `spk_id`, got {header}"
        )
    which = at.get("set")
    return (
        row[at["id"]]
        for row in rows
        if row and (which is None or row[which] != "test")
    )


def read_manifest(manifest: str | Path, name: str) -> list[SpeakerSet]:
    """The speakers of a manifest.

    Arguments
    ---------
    manifest : str | Path
        ``train.csv`` of a run.
    name : str
        What the speakers of an unknown corpus are called.

    Returns
    -------
    list[SpeakerSet]
        One a corpus.
    """
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        at = {column: place for place, column in enumerate(next(rows))}
        return group(name, map(speaker_of, _first_utterances(rows, at)))


def _first_utterances(
    rows: Iterable[list[str]], at: dict[str, int]
) -> Iterator[str]:
    """The first utterance of each speaker of a manifest."""
    known = set()
    for row in rows:
        speaker = row[at["spk_id"]] if row else ""
        if speaker and speaker not in known:
            known.add(speaker)
            # A recording's name may hold "--" itself.
            rest = row[at["ID"]][len(speaker) + 2 :].rsplit("--", 1)
            yield "/".join([speaker, *rest]) if len(rest) == 2 else speaker
