"""Speech without labels as a corpus: a teacher says whose voice is whose."""

import csv
import hashlib
import os
import shutil
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechbrain_kd.atomic import atomic_path, is_foreign
from speechbrain_kd.data.unlabelled import VOICES, prepare_unlabelled
from speechbrain_kd.evaluation.heard_voices import (
    NO_VOICE,
    clearest_threshold,
    group_means,
    most_alike,
    voices_of,
)
from speechbrain_kd.evaluation.unit_rows import rows_of_speakers, unit_rows
from speechbrain_kd.examining.ear import Ear
from speechbrain_kd.lessons import UTTERANCES_PER_SPEAKER

WAV, UNLABELLED = "wav", "unlabelled"
"""Folders of it: what has a voice, and what has none."""

_SECONDS = 10.0  # most to hear of an utterance

#: What stands in the column `voice`, where it is no voice's name.
TESTED, NOBODY = "(test)", "-"


@dataclass(frozen=True)
class Labelled:
    """The voices of a folder.

    Arguments
    ---------
    folder : Path
        Of the audio.
    files : list[str]
        Paths from it.
    voices : list[str]
        Of each file the name of its voice: a training speaker's, or a new
        one; ``-`` where too few are like it; ``(test)`` where it is like a
        test speaker.
    threshold : float
        What mean cosine makes one voice.
    agreement : float | None
        How well groups at this threshold agree with the labelled speakers
        (adjusted Rand index); None where it was given.
    speakers : list[str]
        Training speakers.
    """

    folder: Path
    files: list[str]
    voices: list[str]
    threshold: float
    agreement: float | None
    speakers: list[str]

    def counts(self) -> dict[str, int]:
        """Utterances by voice, without those that have none."""
        names, sizes = np.unique(np.array(self.voices), return_counts=True)
        return {
            str(name): int(size)
            for name, size in zip(names, sizes, strict=True)
            if name not in (TESTED, NOBODY)
        }

    def text(self) -> str:
        """What was found, in lines."""
        counts = self.counts()
        known = set(self.speakers)
        joined = [name for name in counts if name in known]
        by = "as given"
        if self.agreement is not None:
            by = (
                "where groups agree best with the labelled speakers "
                f"(adjusted Rand index {self.agreement:.2f})"
            )
        return "\n".join(
            [
                f"{len(self.files):,} utterances of {self.folder}. One voice "
                f"is a mean cosine of at least {self.threshold:.2f}, {by}.",
                f"{sum(counts.values()):,} have one of {len(counts):,} voices;"
                f" {len(joined):,} of these are training speakers'.",
                f"{self.voices.count(NOBODY):,} have none that is heard often "
                f"enough; {self.voices.count(TESTED):,} are like a test "
                "speaker and are left out.",
                "",
            ]
        )

    def write(self, output: Path, copies: bool = False) -> None:
        """Writes a corpus in VoxCeleb's layout.

        Arguments
        ---------
        output : Path
            Gets ``wav/<voice>/<file>/00001.<extension>``, in ``unlabelled``
            what has no voice, and ``voices.csv``. A folder of an earlier
            call is replaced.
        copies : bool
            Whether to copy the audio; otherwise it is linked to.

        Raises
        ------
        ValueError
            If something else is there, or no file has a voice.
        """
        if is_foreign(output, lambda folder: (folder / VOICES).is_file()):
            raise ValueError(
                f"{output}: expected no folder there, or one that this command "
                f"wrote (with {VOICES}): give another --output"
            )
        if not self.counts():
            raise ValueError(
                f"{self.folder}: no voice is heard often enough at a cosine of "
                f"{self.threshold:.2f}: give a lower --threshold or --least"
            )
        put = shutil.copyfile if copies else os.symlink
        with atomic_path(output) as part:
            rows = list(self._placed())
            for name, _, place in rows:
                if place:
                    target = part / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    put((self.folder / name).absolute(), target)
            with open(part / VOICES, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("file", "voice", "path"))
                writer.writerows(rows)

    def _placed(self) -> Iterator[tuple[str, str, str]]:
        """Each file, its voice, and where it goes, if anywhere."""
        for name, voice in zip(self.files, self.voices, strict=True):
            key = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
            suffix = Path(name).suffix.lower()
            place = f"{WAV}/{voice}/{key}/00001{suffix}"
            if voice == NOBODY:
                place = f"{UNLABELLED}/{key}{suffix}"
            yield name, voice, "" if voice == TESTED else place


def label_speech(options: Namespace) -> Labelled:
    """Lets a model hear a folder of audio, and groups it by voices.

    Arguments
    ---------
    options : Namespace
        Of ``speechbrain-kd label``.

    Returns
    -------
    Labelled
        The voices.

    Raises
    ------
    ValueError, FileNotFoundError
        If the model is refused or cannot tell, or something that is named is
        not there or cannot be used.
    """
    ear = Ear(options, "label")
    listed = prepare_unlabelled(
        options.folder,
        ear.corpus,
        ear.manifests,
        on_broken=options.on_broken,
        progressbar=ear.bar,
        decode=True,  # before the model is asked, which takes far longer
    )
    most = (UTTERANCES_PER_SPEAKER, _SECONDS)
    known, speakers, _ = ear.hear(ear.corpus.train_csv, *most)
    threshold, agreement = options.threshold, None
    if threshold is None:
        threshold, agreement = clearest_threshold(known, speakers)
    embeddings, _, utterances = ear.hear(listed, None, _SECONDS)
    unit = unit_rows(embeddings)
    numbers = voices_of(unit, threshold, options.least)
    means = group_means(unit, numbers)
    names = _names(
        means, *_means_of(known, speakers), threshold, options.prefix
    )
    voices = [NOBODY if one == NO_VOICE else names[one] for one in numbers]
    if ear.corpus.test_csv is not None:
        tested, whose, _ = ear.hear(ear.corpus.test_csv, *most)
        test, _ = _means_of(tested, whose)
        met = np.flatnonzero(most_alike(means, test) >= threshold)
        like = most_alike(unit, test) >= threshold
        for row in np.flatnonzero(like | np.isin(numbers, met)):
            voices[row] = TESTED
    start = len("unlabelled/")
    return Labelled(
        Path(options.folder).expanduser(),
        [name[start:] for name in utterances],
        voices,
        threshold,
        agreement,
        ear.corpus.speakers,
    )


def _means_of(
    embeddings: torch.Tensor, whose: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Means of speakers' utterances, [speakers, dim], and their names."""
    unit, index, names = rows_of_speakers("label", embeddings, whose)
    return group_means(unit, index), names.tolist()


def _names(
    voices: np.ndarray,
    known: np.ndarray,
    speakers: list[str],
    threshold: float,
    prefix: str,
) -> list[str]:
    """Names of voices: a training speaker's where it is one, or new ones."""
    names = [f"{prefix}{number + 1:05d}" for number in range(len(voices))]
    taken = set(names) & set(speakers)
    if taken:
        raise ValueError(
            f"the corpus has a speaker {min(taken)}, which is also what a "
            "voice would be called: give another --prefix"
        )
    for number, row in enumerate(voices @ known.T):
        if row.max() >= threshold:
            names[number] = speakers[row.argmax()]
    return names
