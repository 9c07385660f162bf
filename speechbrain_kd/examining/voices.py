"""Ids of a corpus that are one voice, within and across training and test."""

import csv
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.same_voice import SameVoices, same_voices
from speechbrain_kd.evaluation.speakers import speaker_names
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.examining.ear import Ear
from speechbrain_kd.lessons import SECONDS, UTTERANCES_PER_SPEAKER
from speechbrain_kd.markdown import table

TRAIN, TEST = SETS = "train", "test"


@dataclass(frozen=True)
class Voices:
    """Who has one voice, and what that does to a trial list.

    Arguments
    ---------
    same : SameVoices
        The groups.
    sets : dict[str, str]
        Of each speaker ``train`` or ``test``.
    utterances : int
        How many were heard.
    trials : Path | None
        The list.
    met : np.ndarray
        Whether a trial has a speaker whose voice is in the training, [trials].
    untrue : np.ndarray
        Whether it is called one of impostors and is of one voice, [trials].
    """

    same: SameVoices
    sets: dict[str, str]
    utterances: int
    trials: Path | None = None
    met: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    untrue: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    @property
    def met_speakers(self) -> list[str]:
        """Test speakers whose voice is a training speaker's, too."""
        return sorted(met_in_training(self.same, self.sets))

    def text(self) -> str:
        """The groups as a table, and what was found, in lines."""
        counts = {name: list(self.sets.values()).count(name) for name in SETS}
        rows = [
            [
                ", ".join(self._marked(name) for name in group),
                f"{likeness:.3f}",
            ]
            for group, likeness in zip(
                self.same.groups, self.same.likeness, strict=True
            )
        ]
        lines = [
            f"{counts[TRAIN]:,} training and {counts[TEST]:,} test speakers, "
            f"by {self.utterances:,} utterances. One voice is what has a mean "
            f"cosine of at least {self.same.threshold:.3f}.",
            "",
        ]
        if rows:
            lines += [table(["one voice", "cosine"], rows), ""]
        else:
            lines += ["No two speakers have one voice.", ""]
        if self.trials is not None:
            lines += [
                f"{len(self.met_speakers)} of {counts[TEST]} test speakers "
                f"have the voice of a training speaker: {int(self.met.sum()):,}"
                f" of {len(self.met):,} trials of {self.trials.name}.",
                f"{int(self.untrue.sum()):,} of its impostor trials are of "
                "one voice.",
                "",
            ]
        return "\n".join(lines)

    def _marked(self, name: str) -> str:
        return f"{name} (test)" if self.sets[name] == TEST else name

    def write(self, path: Path) -> None:
        """Writes who has whose voice.

        Arguments
        ---------
        path : Path
            A csv of speaker, set, voice (its first speaker) and the least
            mean cosine within it; speakers with a voice of their own are not
            in it.
        """
        with (
            atomic_path(path) as part,
            open(part, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("speaker", "set", "voice", "cosine"))
            for group, likeness in zip(
                self.same.groups, self.same.likeness, strict=True
            ):
                for name in group:
                    row = (name, self.sets[name], group[0], f"{likeness:.4f}")
                    writer.writerow(row)

    def write_clean(self, path: Path) -> int:
        """Writes the list without the trials that are not what they seem.

        Arguments
        ---------
        path : Path
            Gets its other lines as they are.

        Returns
        -------
        int
            How many they are.

        Raises
        ------
        ValueError
            If none would be left, or there is no list.
        """
        if self.trials is None:
            raise ValueError("--clean needs a trial list; give --trials")
        keep = ~(self.met | self.untrue)
        if not keep.any():
            raise ValueError(
                f"{self.trials}: no trial is left without voices that are in "
                "the training"
            )
        text = self.trials.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.strip()]
        kept = [line for line, one in zip(lines, keep, strict=True) if one]
        with atomic_path(path) as part:
            part.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return len(kept)


def met_in_training(same: SameVoices, sets: dict[str, str]) -> set[str]:
    """Test speakers who share a voice with a training speaker.

    Arguments
    ---------
    same : SameVoices
        The groups.
    sets : dict[str, str]
        Of each speaker ``train`` or ``test``.

    Returns
    -------
    set[str]
        Their names.
    """
    return {
        name
        for group in same.groups
        if any(sets[other] == TRAIN for other in group)
        for name in group
        if sets[name] == TEST
    }


def find_voices(options: Namespace) -> Voices:
    """Lets a model hear a corpus, and groups its speakers by their voices.

    Arguments
    ---------
    options : Namespace
        Of ``speechbrain-kd voices``.

    Returns
    -------
    Voices
        What was found.

    Raises
    ------
    ValueError, FileNotFoundError
        If the model is refused or cannot tell, or something that is named is
        not there or cannot be used.
    """
    ear = Ear(options, "voices")
    corpus = ear.corpus
    manifests = {TRAIN: corpus.train_csv, TEST: corpus.test_csv}
    heard = {
        which: ear.hear(path, UTTERANCES_PER_SPEAKER, SECONDS)
        for which, path in manifests.items()
        if path is not None
    }
    rows = torch.cat([embeddings for embeddings, _, _ in heard.values()])
    speakers = [name for _, names, _ in heard.values() for name in names]
    same = same_voices(rows, speakers, options.threshold)
    sets = {
        name: which for which, (_, names, _) in heard.items() for name in names
    }
    if corpus.trials is None:
        return Voices(same, sets, len(rows))
    trials = read_trials(corpus.trials)
    return Voices(
        same, sets, len(rows), corpus.trials, *doubted(trials, same, sets)
    )


def doubted(
    trials: TrialList, same: SameVoices, sets: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which trials are not what they seem.

    Arguments
    ---------
    trials : TrialList
        With the speakers' names in those of the utterances.
    same : SameVoices
        The groups.
    sets : dict[str, str]
        Of each speaker ``train`` or ``test``.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Whether a trial has a voice that is in the training, and whether it
        is an impostor trial of one voice, [trials] each.
    """
    names = speaker_names(trials)
    met = met_in_training(same, sets)
    of_met = np.array([name in met for name in names])
    voices = same.persons()
    voice = np.array([voices.get(name, name) for name in names])
    untrue = voice[trials.enrol] == voice[trials.test]
    if trials.labels is not None:
        untrue &= ~trials.labels
    return of_met[trials.enrol] | of_met[trials.test], untrue
