"""What there is to prepare: speakers, trial list, and whether they agree."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.data.layout import (
    EXPECTED,
    Root,
    declared_test_speakers,
    find_roots,
    list_speakers,
    list_utterances,
    parse_folders,
)
from speechbrain_kd.data.lists import (
    find_trials,
    trial_utterances,
    utterance_key,
)
from speechbrain_kd.data.scan import Listing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What there is to prepare.

    Arguments
    ---------
    folders : list[Path]
        The data folders.
    roots : list[Root]
        The folders of speakers in them.
    trials : Path | None
        The trial list.
    names : list[str]
        The utterances that it names.
    test_speakers : set[str]
        Speakers that are never trained on.
    """

    folders: list[Path]
    roots: list[Root]
    trials: Path | None
    names: list[str]
    test_speakers: set[str]


def find_source(
    data_folder: str | Path | Sequence[str | Path],
    verification_file: str | Path | None,
    save_folder: Path,
) -> Source:
    """Looks for the speakers and the trial list.

    Arguments
    ---------
    data_folder : str | Path | Sequence[str | Path]
        As ``prepare_corpus`` takes it.
    verification_file : str | Path | None
        As ``prepare_corpus`` takes it.
    save_folder : Path
        Where a downloaded list is put.

    Returns
    -------
    Source
        Nothing of it is checked against the files yet.
    """
    folders = parse_folders(data_folder)
    roots = [root for folder in folders for root in find_roots(folder)]
    logger.info("Speakers from %s", ", ".join(str(x.path) for x in roots))
    trials = find_trials(verification_file, folders, save_folder)
    names = trial_utterances(trials) if trials else []
    test_speakers = {utterance_key(name).split("/")[0] for name in names}
    for folder in folders:
        test_speakers |= declared_test_speakers(folder)
    test_roots = [root for root in roots if root.is_test]
    test_speakers |= set(list_speakers(test_roots))
    # Folders inside one another lead to the same root twice.
    return Source(
        folders, list(dict.fromkeys(roots)), trials, names, test_speakers
    )


def check_speakers(
    source: Source, listings: list[Listing], speakers: list[str]
) -> None:
    """Raises ValueError where there is nothing, or nothing to train on.

    Arguments
    ---------
    source : Source
        What there is to prepare.
    listings : list[Listing]
        Of the speakers that have files.
    speakers : list[str]
        Names of all folders taken for speakers.
    """
    if not listings:
        raise _nothing_found(source.folders, speakers)
    passed_over = sum(listing.passed_over for listing in listings)
    if passed_over:
        text = "%d files passed over: their utterance is there once already"
        logger.info(text, passed_over)
    if all(listing.speaker in source.test_speakers for listing in listings):
        names = ", ".join(str(folder) for folder in source.folders)
        raise ValueError(
            f"data_folder {names}: no speaker is left to train on: all "
            f"{len(listings)} are test speakers. The trial list "
            f"({source.trials}) uses every speaker of the folder, or "
            "meta/speakers.csv or a folder named test sets them apart. "
            "VoxCeleb1-E and -H are drawn from the training speakers of "
            "VoxCeleb1: train on VoxCeleb2, or test on veri_test.txt"
        )


def _nothing_found(folders: list[Path], speakers: list[str]) -> ValueError:
    """The error of data folders without a single utterance."""
    names = ", ".join(str(folder) for folder in folders)
    inside = sorted(
        child.name for folder in folders for child in folder.iterdir()
    )
    return ValueError(
        f"data_folder {names}: no audio found; {EXPECTED}. "
        f"Found there: {', '.join(inside[:10]) or 'nothing'}; taken as "
        f"speakers: {', '.join(speakers[:10]) or 'none'}"
    )


def check_names(source: Source) -> None:
    """Raises FileNotFoundError where the trial list names missing files.

    Arguments
    ---------
    source : Source
        What there is to prepare.
    """
    there: dict[str, set[str]] = {}
    missing = []
    for name in source.names:
        key = utterance_key(name)
        speaker = key.split("/")[0]
        if speaker not in there:
            utterances, _ = list_utterances(source.roots, speaker)
            there[speaker] = {item.key for item in utterances}
        if key not in there[speaker]:
            missing.append(name)
    if missing:
        raise FileNotFoundError(
            f"{source.trials}: {len(missing)} of the {len(source.names)} files "
            f"it names are not in {', '.join(map(str, source.folders))}: "
            f"{', '.join(missing[:10])}{', ...' if missing[10:] else ''}. Add "
            "the folder that holds them to data_folder, or use another list"
        )


def limit_speakers(
    source: Source, listings: list[Listing], most: int | None, seed: int
) -> list[Listing]:
    """Draws the training speakers where there shall be fewer.

    Arguments
    ---------
    source : Source
        What there is to prepare.
    listings : list[Listing]
        Of all speakers.
    most : int | None
        So many training speakers at most; None for all.
    seed : int
        Seed of the draw.

    Returns
    -------
    list[Listing]
        Those drawn, and the test speakers.
    """
    if most is not None and most < 1:
        raise ValueError(f"max_speakers must be at least 1; got {most}")
    training = sorted(
        listing.speaker
        for listing in listings
        if listing.speaker not in source.test_speakers
    )
    if most is None or len(training) <= most:
        return listings
    drawn = set(random.Random(f"{seed}/speakers").sample(training, most))
    logger.info("Training on %d of %d speakers", most, len(training))
    return [
        listing
        for listing in listings
        if listing.speaker in drawn | source.test_speakers
    ]
