"""Preparation: from folders in VoxCeleb's layout to SpeechBrain's manifests.

Headers only are read, in parallel; an interrupted preparation goes on where
it stopped, and one whose data and settings have not changed is skipped.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from speechbrain_kd.atomic import atomic_path, one_at_a_time
from speechbrain_kd.data.corpus import (
    CSV_NAMES,
    STATE_NAME,
    Corpus,
    load_corpus,
    read_state,
)
from speechbrain_kd.data.layout import list_speakers
from speechbrain_kd.data.lists import utterance_key
from speechbrain_kd.data.manifest import manifest_writer
from speechbrain_kd.data.scan import (
    Listing,
    list_corpus,
    read_records,
    scan_corpus,
)
from speechbrain_kd.data.scan_file import ScanFile
from speechbrain_kd.data.selection import Rules, Selection
from speechbrain_kd.data.source import (
    Source,
    check_names,
    check_speakers,
    find_source,
    limit_speakers,
)

logger = logging.getLogger(__name__)

_SCAN, _LOCK = "scan.jsonl", "prepare.lock"
_VERSION = 1


def prepare_corpus(
    data_folder: str | Path | Sequence[str | Path],
    save_folder: str | Path,
    verification_file: str | Path | None = None,
    split_ratio: Sequence[float] = (90, 10),
    seed: int = 1986,
    min_duration_s: float = 0.0,
    single_utterance: str = "error",
    on_broken: str = "error",
    skip_prep: bool = False,
    max_speakers: int | None = None,
    num_workers: int | None = None,
    progressbar: bool = True,
) -> Corpus:
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv`` of a corpus.

    Never in training are the speakers of the trial list, those that
    ``meta/speakers.csv`` sets to ``test``, and those of a ``test`` folder.
    In distributed training call it on the main process (``run_on_main``),
    then ``load_corpus`` on all. Of several processes that prepare one folder
    at once, as cells of a study may, one does it and the others wait.

    Arguments
    ---------
    data_folder : str | Path | Sequence[str | Path]
        One or more folders (a list, or separated by commas) in VoxCeleb's
        layout; several are merged.
    save_folder : str | Path
        Where the manifests go.
    verification_file : str | Path | None
        Trial list: a path or a URL. None takes ``meta/veri_test.txt`` of a
        data folder if there is one, else there is no test.
    split_ratio : Sequence[float]
        Parts of each speaker's utterances for training and validation.
    seed : int
        Seed of the split.
    min_duration_s : float
        Shorter clips are left out of training and validation.
    single_utterance : str
        What to do about training speakers with one utterance: ``error``,
        ``drop``, or ``train`` on them without validating.
    on_broken : str
        What to do about empty or unreadable files: ``error`` or ``drop``.
    skip_prep : bool
        Take what an earlier run wrote, without looking at the data.
    max_speakers : int | None
        Train on so many speakers at most, drawn by the seed; None for all.
    num_workers : int | None
        How many files to look at at once; None means one for each core.
    progressbar : bool
        Whether to show progress.

    Returns
    -------
    Corpus
        The manifests and what goes with them. FileNotFoundError where a
        folder or the list is missing, ValueError for everything else that is
        wrong with the data or the settings.
    """
    save_folder = Path(save_folder).absolute()
    rules = Rules(
        _valid_ratio(split_ratio),
        seed,
        min_duration_s,
        single_utterance,
        on_broken,
    )
    if skip_prep:
        return load_corpus(save_folder)
    source = find_source(data_folder, verification_file, save_folder)
    speakers = list_speakers(source.roots)
    listings = list_corpus(source.roots, speakers, num_workers, progressbar)
    listings = [listing for listing in listings if listing.files]
    check_speakers(source, listings, speakers)
    listings = limit_speakers(source, listings, max_speakers, seed)
    key = _state_key(source, rules, listings)
    if _is_done(save_folder, key):
        logger.info("Preparation skipped: nothing has changed")
        return load_corpus(save_folder)
    check_names(source)
    save_folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(save_folder / _LOCK):
        if not _is_done(save_folder, key):  # by another process, meanwhile
            scan = ScanFile(save_folder / _SCAN)
            scan_corpus(source.roots, listings, scan, num_workers, progressbar)
            _write(source, rules, listings, scan, save_folder, key)
    return load_corpus(save_folder)


def _valid_ratio(split_ratio: Sequence[float]) -> float:
    if isinstance(split_ratio, str) or len(split_ratio) != 2:
        raise ValueError(
            f"split_ratio: expected two numbers, such as [90, 10], got "
            f"{split_ratio!r}"
        )
    train, valid = split_ratio
    return valid / (train + valid) if min(train, valid) > 0 else 0.0


def _state_key(source: Source, rules: Rules, listings: list[Listing]) -> str:
    """A digest of everything that the manifests depend on."""
    parts = {
        "version": _VERSION,
        "folders": [str(folder) for folder in source.folders],
        "trials": [str(source.trials), source.names],
        "test_speakers": sorted(source.test_speakers),
        "rules": asdict(rules),
        "listings": [(x.speaker, x.digest) for x in listings],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_done(save_folder: Path, key: str) -> bool:
    state = read_state(save_folder)
    if state is None or state["key"] != key:
        return False
    names = [CSV_NAMES[split] for split in state["splits"]]
    return all((save_folder / name).is_file() for name in names)


def _write(
    source: Source,
    rules: Rules,
    listings: list[Listing],
    scan_file: ScanFile,
    save_folder: Path,
    key: str,
) -> None:
    """Writes all manifests, or none where something is wrong."""
    test_keys = {utterance_key(name) for name in source.names}
    selection = Selection(rules, source.test_speakers, test_keys)
    splits = [split for split in CSV_NAMES if split != "test" or source.trials]
    root = source.folders[0] if len(source.folders) == 1 else None
    with ExitStack() as stack:
        add = {
            split: stack.enter_context(
                manifest_writer(save_folder / CSV_NAMES[split], root)
            )
            for split in splits
        }
        for record in read_records(source.roots, listings, scan_file):
            for split, header in selection.place(record):
                add[split](header)
        selection.check()
        # From here on the old manifests are being replaced.
        (save_folder / STATE_NAME).unlink(missing_ok=True)
        (save_folder / CSV_NAMES["test"]).unlink(missing_ok=True)
    selection.report()
    state = {
        "key": key,
        "splits": splits,
        "data_folders": [str(folder) for folder in source.folders],
        "trials": str(source.trials) if source.trials else None,
        "speakers": selection.speakers,
    }
    with atomic_path(save_folder / STATE_NAME) as part:
        part.write_text(json.dumps(state, indent=1), encoding="utf-8")
