"""A corpus of which a share of the training speakers has lost its labels.

The view is made of links. ``labelled`` is a data folder as before, with fewer
training speakers and the same trials; ``unlabelled`` holds the utterances of
the others in one flat folder, under names that tell nothing.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.layout import (
    SPEAKERS_TABLE,
    find_roots,
    list_speakers,
    list_utterances,
    parse_folders,
)
from speechbrain_kd.data.lists import trial_utterances
from speechbrain_kd.evaluation.speaker_table import read_speakers

logger = logging.getLogger(__name__)

LABELLED, UNLABELLED = "labelled", "unlabelled"
_LIST = "meta/veri_test.txt"


def withhold(
    data_folder: str | Path,
    output: Path,
    share: float,
    column: str | None = None,
    trials: str | Path | None = None,
) -> None:
    """Makes the view, unless it is there.

    Which speakers lose their labels depends on their names alone; where there
    is a column, the same share of each of its groups.

    Arguments
    ---------
    data_folder : str | Path
        One folder in VoxCeleb's layout, with a trial list. Its test speakers
        stay as they are.
    output : Path
        Gets ``labelled`` and ``unlabelled``.
    share : float
        Of the training speakers, over 0 and below 1.
    column : str | None
        Of ``meta/speakers.csv``.
    trials : str | Path | None
        The trial list; None is ``meta/veri_test.txt`` of the folder.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, it has no trial list, or no speaker would
        be left on either side.
    """
    if output.is_dir():
        return
    folder, *more = parse_folders(data_folder)
    if more:
        raise ValueError(
            f"withhold: expected one data folder, got {len(more) + 1}"
        )
    listed = Path(trials) if trials else folder / _LIST
    if not listed.is_file():
        raise FileNotFoundError(
            f"withhold: {listed} is missing; without a trial list it cannot "
            "be told who is for training"
        )
    roots = find_roots(folder)
    tested = {name.split("/")[0] for name in trial_utterances(listed)}
    training = [one for one in list_speakers(roots) if one not in tested]
    table = folder / SPEAKERS_TABLE
    groups = {}
    if column is not None and table.is_file():
        groups = read_speakers(table).get(column, {})
    without = lose_labels(training, share, groups)
    if not 0 < len(without) < len(training):
        raise ValueError(
            f"withhold: {share:g} of {len(training)} training speakers of "
            f"{folder} leaves nobody on one side"
        )
    with atomic_path(output) as part:
        hidden = part / UNLABELLED
        hidden.mkdir(parents=True)
        for speaker in list_speakers(roots):
            for one in list_utterances(roots, speaker)[0]:
                source = Path(one.path).absolute()
                if speaker in without:
                    place = hidden / _nameless(one.key, source.suffix)
                else:
                    own = f"wav/{one.key}{source.suffix}"
                    place = part / LABELLED / own
                place.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(source, place)
        meta = part / LABELLED / "meta"
        meta.mkdir()
        os.symlink(listed.absolute(), part / LABELLED / _LIST)
        if table.is_file():
            os.symlink(table.absolute(), part / LABELLED / SPEAKERS_TABLE)
    logger.info(
        "Labels of %d of %d training speakers withheld: %s",
        *(len(without), len(training), output),
    )


def lose_labels(
    speakers: list[str], share: float, groups: Mapping[str, str]
) -> set[str]:
    """Draws the speakers that lose their labels, by their names.

    Arguments
    ---------
    speakers : list[str]
        Training speakers.
    share : float
        How many of them, 0 to 1.
    groups : Mapping[str, str]
        The group of a speaker, if there are groups.

    Returns
    -------
    set[str]
        The share of each group, rounded.

    Example
    -------
    >>> found = lose_labels(["a", "b", "c", "d"], 0.5, {"a": "x", "b": "x"})
    >>> len(found), len(found & {"a", "b"})
    (2, 1)
    """
    parts: dict[str, list[str]] = {}
    for speaker in sorted(speakers, key=_draw):
        parts.setdefault(groups.get(speaker, ""), []).append(speaker)
    return {
        speaker
        for part in parts.values()
        for speaker in part[: round(share * len(part))]
    }


def _draw(speaker: str) -> str:
    return hashlib.sha256(speaker.encode()).hexdigest()


def _nameless(key: str, suffix: str) -> str:
    """A file name that does not tell the speaker, not even by its order."""
    return hashlib.sha256(key.encode()).hexdigest()[:20] + suffix
