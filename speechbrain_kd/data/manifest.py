"""SpeechBrain's csv manifests: one utterance a row."""

import csv
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.packed.access import parse_reference
from speechbrain_kd.data.scan_file import Header

COLUMNS = ("ID", "duration", "wav", "start", "stop", "spk_id")
"""Duration in seconds; start and stop in samples at 16 kHz."""

DATA_ROOT = "$data_root/"
"""Stands before files below the data folder."""

_ENOUGH_FOR_TRIALS = 5


@contextmanager
def manifest_writer(
    path: str | Path, data_folder: Path | None
) -> Iterator[Callable[[Header], None]]:
    """Gives a function that adds a row; the file appears when all are added.

    Arguments
    ---------
    path : str | Path
        The csv to write.
    data_folder : Path | None
        Files below it are named relative to ``$data_root``, which SpeechBrain
        replaces when it reads the csv; None keeps absolute paths.

    Yields
    ------
    Callable[[Header], None]
        Adds an utterance.
    """
    with (
        atomic_path(path) as part,
        open(part, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        # Path would take most of the time that a million rows take.
        prefix = os.path.join(data_folder or "", "")

        def add(header: Header) -> None:
            wav = header.path
            if data_folder is not None and wav.startswith(prefix):
                wav = DATA_ROOT + wav[len(prefix) :].replace(os.sep, "/")
            key = header.key.split("/")
            duration = f"{header.duration_s:.6f}"
            row = ("--".join(key), duration, wav, 0, header.frames, key[0])
            writer.writerow(row)

        yield add


def read_paths(
    path: str | Path, data_folder: str | Path | None
) -> dict[str, Path]:
    """Where the utterances of a manifest lie.

    Arguments
    ---------
    path : str | Path
        A csv of ``manifest_writer``.
    data_folder : str | Path | None
        What ``$data_root`` stands for.

    Returns
    -------
    dict[str, Path]
        ``<speaker>/<recording>/<number>`` to the file, or to the place in a
        packed corpus.
    """
    found = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            wav = row["wav"]
            if wav.startswith(DATA_ROOT):
                if data_folder is None:
                    raise ValueError(
                        f"{path} names files below $data_root: say which "
                        "folder that is"
                    )
                wav = str(Path(data_folder) / wav[len(DATA_ROOT) :])
            found[_key_of(row, wav)] = Path(wav)
    return found


def _key_of(row: dict[str, str], wav: str) -> str:
    """The key of a row; its id alone may be ambiguous (``a----b``)."""
    if parse_reference(wav) is None:
        return "/".join(Path(wav).with_suffix("").parts[-3:])
    speaker = row["spk_id"]
    # What is packed has numbers by which the last "--" is found.
    recording, number = row["ID"][len(speaker) + 2 :].rsplit("--", 1)
    return f"{speaker}/{recording}/{number}"


def validation_part(
    keys: list[str], speaker: str, ratio: float, seed: int
) -> set[str]:
    """Draws the utterances of a speaker that go to validation.

    The draw depends on the seed, the speaker and the speaker's own utterances
    alone: not on other speakers, nor on the order of files.

    Arguments
    ---------
    keys : list[str]
        The speaker's utterances.
    speaker : str
        The speaker.
    ratio : float
        Part that goes to validation (0-1).
    seed : int
        Seed of the split.

    Returns
    -------
    set[str]
        Never all of them; at least one, and of five or more at least two, so
        that they make a target trial; empty for a single utterance.

    Example
    -------
    >>> keys = [f"id1/a/{number}" for number in range(20)]
    >>> part = validation_part(keys, "id1", ratio=0.1, seed=1)
    >>> len(part), part == validation_part(keys[::-1], "id1", 0.1, 1)
    (2, True)
    """
    if len(keys) < 2:
        return set()
    least = 2 if len(keys) >= _ENOUGH_FOR_TRIALS else 1
    number = min(max(least, round(ratio * len(keys))), len(keys) - 1)
    draw = random.Random(f"{seed}/{speaker}")
    return set(draw.sample(sorted(keys), number))
