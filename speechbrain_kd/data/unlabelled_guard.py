"""The guard against audio of the trial list among the unlabelled."""

import logging
import os
from pathlib import Path

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.evaluation.audio_digests import AudioDigests
from speechbrain_kd.evaluation.named_speakers import trial_speakers
from speechbrain_kd.evaluation.trials import read_trials

logger = logging.getLogger(__name__)

_NOTES = "unlabelled_digests.npy"


def check_untested(
    folder: Path,
    files: list[str],
    corpus: Corpus,
    save_folder: Path,
    allowed: bool,
) -> None:
    """Refuses audio of the trial list, or warns of it.

    Arguments
    ---------
    folder : Path
        Of the unlabelled audio.
    files : list[str]
        Its files, by their paths from it.
    corpus : Corpus
        With the trial list.
    save_folder : Path
        Where digests of files are noted.
    allowed : bool
        Whether to warn only.

    Raises
    ------
    ValueError
        If a file has the bytes of a test utterance, or lies in a folder with
        the name of a test speaker.
    """
    if corpus.trials is None:
        return
    speakers = {one.id for one in trial_speakers(read_trials(corpus.trials))}
    met = sorted(
        name for name in files if speakers & set(Path(name).parts[:-1])
    )
    if not met:
        met = _same_bytes(folder, files, corpus, save_folder)
    if not met:
        return
    what = (
        f"unlabelled_folder: {len(met)} files of {folder} are of the speakers "
        f"or utterances of the trial list {corpus.trials.name}, such as "
        f"{met[0]}"
    )
    if not allowed:
        raise ValueError(
            f"{what}: take them out, or give --allow_contaminated=True to "
            "test on them all the same"
        )
    logger.warning("%s", what)


def _same_bytes(
    folder: Path, files: list[str], corpus: Corpus, save_folder: Path
) -> list[str]:
    """Files that are also utterances of the trial list."""
    tested = [
        path for path in corpus.test_files.values() if Path(path).is_file()
    ]
    sizes = {os.path.getsize(path) for path in tested}
    alike = [
        name
        for name in files
        if (folder / name).exists() and os.path.getsize(folder / name) in sizes
    ]
    if not alike:
        return []
    digests = AudioDigests(save_folder / _NOTES)
    known = set(digests.of(tested, progressbar=False).tolist())
    found = digests.of([folder / name for name in alike], progressbar=False)
    pairs = zip(alike, found.tolist(), strict=True)
    return [name for name, digest in pairs if digest in known]
