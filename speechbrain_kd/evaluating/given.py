"""What the options of an evaluation name, read and found."""

import logging
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.data.layout import parse_folders
from speechbrain_kd.evaluating.inputs import (
    CohortFiles,
    find_cohort,
    find_files,
    named_files,
    read_lists,
)
from speechbrain_kd.evaluation.speaker_table import read_speakers
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.model_sources import ModelSource, parse_models

logger = logging.getLogger(__name__)

_TABLES = ("meta/speakers.csv", "meta/vox1_meta.csv", "vox1_meta.csv")


@dataclass
class Given:
    """What the options name, read and found.

    Arguments
    ---------
    sources : list[ModelSource]
        The models, the reference first.
    lists : dict[str, TrialList]
        Trial lists with labels.
    blind : dict[str, TrialList]
        Those without.
    calibration : TrialList | None
        The trials to calibrate on.
    files : dict[str, Path]
        The file of each utterance of all lists.
    cohort : CohortFiles | None
        The utterances of the cohort.
    columns : dict[str, dict[str, str]]
        Values of the speakers, by column.
    """

    sources: list[ModelSource]
    lists: dict[str, TrialList]
    blind: dict[str, TrialList]
    calibration: TrialList | None
    files: dict[str, Path]
    cohort: CohortFiles | None
    columns: dict[str, dict[str, str]]


def gather(options: Namespace) -> Given:
    """Reads and finds all that the options name, before any model runs."""
    sources = parse_models(options.models)
    names = [source.name for source in sources]
    reference = options.reference or names[0]
    if reference not in names:
        raise ValueError(
            f"reference: expected one of {', '.join(names)}, got {reference!r}"
        )
    sources.sort(key=lambda source: source.name != reference)
    lists = read_lists(
        named_files(options.trials),
        named_files(options.spk2utt),
        named_files(options.wav_scp),
    )
    for name, trials in lists.items():
        _check_classes(name, trials)
    calibration = read_trials(options.calibrate) if options.calibrate else None
    every = [*lists.values(), *([calibration] if calibration else [])]
    heard = dict.fromkeys(name for one in every for name in one.recordings)
    cohort = None
    if options.cohort:
        cohort = find_cohort(
            options.cohort,
            options.cohort_folder or options.data_folder,
            options.cohort_utterances,
        )
    return Given(
        sources,
        {name: one for name, one in lists.items() if one.labels is not None},
        {name: one for name, one in lists.items() if one.labels is None},
        calibration,
        find_files(list(heard), options.data_folder),
        cohort,
        _columns(options) if "columns" in options.where else {},
    )


def _check_classes(name: str, trials: TrialList) -> None:
    """Refuses a labelled list of one class before anything is embedded."""
    try:
        if trials.labels is not None:
            trials.split(trials.labels)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _columns(options: Namespace) -> dict[str, dict[str, str]]:
    """What the table of speakers says, where there is one."""
    if options.speakers is not None:
        return read_speakers(options.speakers)
    folders = parse_folders(options.data_folder) if options.data_folder else []
    for path in (folder / name for folder in folders for name in _TABLES):
        if path.is_file():
            logger.info("Speakers by %s", path)
            return read_speakers(path)
    return {}
