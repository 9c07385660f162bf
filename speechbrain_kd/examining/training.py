"""What a teacher can say of a training set, by its files' names alone."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.data.layout import list_speakers, list_utterances
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.scan import Listing, list_corpus
from speechbrain_kd.data.source import Source, check_speakers, find_source
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard
from speechbrain_kd.teachers.labels import align_classes

_SHOWN = 5


@dataclass(frozen=True)
class TrainingSet:
    """The training speakers of a folder, nothing of it read.

    Arguments
    ---------
    source : Source
        Folders, roots and trial list.
    listings : list[Listing]
        Training speakers and how many utterances each has.
    """

    source: Source
    listings: list[Listing]


@dataclass(frozen=True)
class TrainingShare:
    """For how much of a training set a teacher has label-level targets.

    Arguments
    ---------
    speakers, known_speakers : int
        Training speakers, and those among the teacher's classes.
    utterances, known_utterances : int
        The same of their utterances, before any are held out.
    missing : list[str]
        The first of the speakers that it does not know.
    why : str
        Why it knows none; empty where it knows some.
    """

    speakers: int
    known_speakers: int
    utterances: int
    known_utterances: int
    missing: list[str] = field(default_factory=list)
    why: str = ""


def find_training_set(data_folder: str) -> TrainingSet:
    """Lists the speakers of a folder that a training would take.

    Arguments
    ---------
    data_folder : str
        One folder or several, separated by commas, in VoxCeleb's layout.

    Returns
    -------
    TrainingSet
        FileNotFoundError or ValueError where there is no folder, no audio,
        or nobody to train on.
    """
    with tempfile.TemporaryDirectory() as unused:  # no list is downloaded
        source = find_source(data_folder, None, Path(unused))
    speakers = list_speakers(source.roots)
    listings = list_corpus(source.roots, speakers, progressbar=False)
    listings = [listing for listing in listings if listing.files]
    check_speakers(source, listings, speakers)
    test = source.test_speakers
    training = [one for one in listings if one.speaker not in test]
    return TrainingSet(source, training)


def training_share(
    labels: Sequence[str] | None, counts: dict[str, int]
) -> TrainingShare:
    """Counts speakers and utterances that a teacher has classes for.

    Arguments
    ---------
    labels : Sequence[str] | None
        The teacher's classes.
    counts : dict[str, int]
        Utterances of each training speaker.

    Returns
    -------
    TrainingShare
        The counts.

    Example
    -------
    >>> share = training_share(["ann", "zoe"], {"ann": 3, "bob": 1})
    >>> share.known_speakers, share.known_utterances, share.missing
    (1, 3, ['bob'])
    >>> print(training_share(None, {"ann": 3}).why)
    The teacher has no class labels, ...
    """
    speakers, why, known = list(counts), "", set()
    try:
        _, places = align_classes(labels, speakers)
        known = {speakers[place] for place in places.tolist()}
    except ValueError as error:
        why = str(error)
    return TrainingShare(
        len(counts),
        len(known),
        sum(counts.values()),
        sum(counts[speaker] for speaker in known),
        [speaker for speaker in speakers if speaker not in known][:_SHOWN],
        why,
    )


def teach(
    teacher: Teacher, data_folder: str, cache: Path, device: str, bar: bool
) -> None:
    """Lets prototypes or an ensemble learn, as a training would.

    Arguments
    ---------
    teacher : Teacher
        One that ``learns``.
    data_folder : str
        The training set.
    cache : Path
        Where manifests and answers are kept.
    device : str
        Where to ask.
    bar : bool
        Whether to show progress.
    """
    corpus = prepare_corpus(
        data_folder,
        cache / "manifests",
        single_utterance="drop",
        progressbar=bar,
    )
    training, validation = (
        heard_of(path, corpus, cache, device, bar)
        for path in (corpus.train_csv, corpus.valid_csv)
    )
    teacher.learn(training, validation if len(validation) else None)


def heard_of(
    manifest: Path, corpus: Corpus, cache: Path, device: str, bar: bool
) -> Heard:
    """The utterances of a manifest, for a teacher to be asked about.

    Arguments
    ---------
    manifest : Path
        Of the corpus.
    corpus : Corpus
        Prepared.
    cache : Path
        Answers are kept in it.
    device : str
        Where to ask.
    bar : bool
        Whether to show progress.

    Returns
    -------
    Heard
        All of them, nothing asked yet.
    """
    return Heard(
        ManifestTable.from_csv(manifest, corpus.data_root),
        cache / "learned",
        device,
        progressbar=bar,
    )


def some_files(found: TrainingSet, count: int) -> list[Path]:
    """Utterances spread over the training speakers, always the same.

    Arguments
    ---------
    found : TrainingSet
        Where to take them from.
    count : int
        How many, or all where there are fewer.

    Returns
    -------
    list[Path]
        The first of each of ``count`` speakers; of few speakers, more.
    """
    each = -(-count // len(found.listings))
    step = max(1, len(found.listings) // count)
    files: list[Path] = []
    for listing in found.listings[::step]:
        utterances, _ = list_utterances(found.source.roots, listing.speaker)
        files += [Path(one.path) for one in utterances[:each]]
    return files[:count]
