"""Error rates of one model under the conditions of a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.data.layout import SPEAKERS_TABLE
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.evaluating.crossing import map_between, through
from speechbrain_kd.evaluating.inputs import CohortFiles
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System, embed_system, load_system
from speechbrain_kd.evaluation.breakdown import by_column
from speechbrain_kd.evaluation.cohort import centre
from speechbrain_kd.evaluation.metrics import OperatingPoints
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.speaker_table import read_speakers
from speechbrain_kd.evaluation.speakers import speaker_names
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.evaluation.where import (
    by_duration,
    by_snr,
    tested_utterances,
)
from speechbrain_kd.model_sources import ModelSource
from speechbrain_kd.study.plan import Conditions

WHOLE = "whole"
CROSS = "teacher enrols"
AS_NORM = "AS-norm"
CROSS_AS_NORM = f"{CROSS}, {AS_NORM}"
_P_TARGET = 0.01

#: ``pooled`` and ``mean`` EER, ``groups`` by value of the column, 0 to 1.
Rates = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What models are measured on.

    Arguments
    ---------
    corpus : Corpus
        Prepared; with a trial list.
    conditions : Conditions
        Under which.
    cache : Path
        Where embeddings of whole utterances are kept.
    device : str
        Where models are put.
    """

    corpus: Corpus
    conditions: Conditions
    cache: Path
    device: str = "cpu"

    def values(self) -> dict[str, str]:
        """The value of each speaker in the column; empty without one.

        Raises
        ------
        FileNotFoundError, ValueError
            If a column is asked for and no table has it.
        """
        column = self.conditions.column
        if column is None:
            return {}
        tables = [
            folder / SPEAKERS_TABLE for folder in self.corpus.data_folders
        ]
        found: dict[str, str] = {}
        for table in filter(Path.is_file, tables):
            found |= read_speakers(table).get(column, {})
        if not found:
            raise ValueError(
                f"evaluate.column: no column {column!r} that groups speakers "
                f"in {', '.join(map(str, tables))}"
            )
        return found

    def load(self, source: ModelSource, enrols: bool = False) -> System:
        """A model with the embeddings of all trials' utterances.

        Arguments
        ---------
        source : ModelSource
            The model.
        enrols : bool
            Whether it is to enrol for another. Then, and where scores are
            to be normalised, it has the training speakers as cohort.
        """
        system = load_system(source, self.device)
        cohort, files = None, self.corpus.test_files
        asked = self.conditions
        if enrols or asked.as_norm or asked.mapped:
            heard = read_paths(self.corpus.train_csv, self.corpus.data_root)
            cohort = CohortFiles(heard, list(map(speaker_of, heard)))
        embed_system(system, files, cohort, self.cache, self.device, False)
        return system


def rates(
    scores: np.ndarray, trials: TrialList, values: Mapping[str, str]
) -> Rates:
    """Error rates of a list, of all trials and by groups of speakers.

    Arguments
    ---------
    scores : np.ndarray
        [trials].
    trials : TrialList
        The trials.
    values : Mapping[str, str]
        The group of each speaker; empty for none.

    Returns
    -------
    Rates
        ``mean``, of the groups, counts each alike whatever its size; without
        groups it is the pooled rate.

    Example
    -------
    >>> trials = TrialList([1, 0], [0, 0], [1, 2], ["a/1", "a/2", "b/1"])
    >>> rates(np.array([0.9, 0.1]), trials, {})["mean"]
    0.0
    """
    points = OperatingPoints(*trials.split(scores))
    pooled = points.eer_threshold()[0]
    groups: dict[str, float] = {}
    if values:
        parts = by_column(
            trials, {"": scores}, values, speaker_names(trials), "column"
        )
        groups = {
            name: rate
            for name, rate in sorted(parts.rates[""].items())
            if rate is not None
        }
    return {
        "pooled": pooled,
        "groups": groups,
        "mean": float(np.mean(list(groups.values()))) if groups else pooled,
        "min_dcf": points.min_dcf(_P_TARGET, 1.0, 1.0),
    }


def measure(
    system: System, bench: Bench, teacher: System | None = None
) -> dict[str, Rates]:
    """Measures a model under all conditions.

    Arguments
    ---------
    system : System
        As ``bench.load`` gives it.
    bench : Bench
        On what.
    teacher : System | None
        Enrols, where its embeddings are as large as the model's; loaded for
        that. The mean of its embeddings of the training speakers is taken off
        them: what they all share tells nothing about the student.

    Returns
    -------
    dict[str, Rates]
        By condition: ``whole``, ``1 s``, ``10 dB``, ``AS-norm``, ``teacher
        enrols``, ``teacher enrols, AS-norm``, ``teacher enrols, mapped``.
    """
    trials, values = read_trials(bench.corpus.trials), bench.values()
    rows, asked = system.rows_of(trials), bench.conditions
    found = {WHOLE: rates(cosine_scores(rows, trials), trials, values)}
    audio = (
        {"": system.model},
        {"": rows},
        trials,
        {
            name: bench.corpus.test_files[name]
            for name in tested_utterances(trials)
        },
    )
    # What a breakdown asks of each group of scores here is all its rates.
    options = {
        "device": bench.device,
        "progressbar": False,
        "interval": lambda scores, part: rates(scores, part, values),
    }
    parts = []
    if asked.durations:
        parts.append(by_duration(*audio, asked.durations, **options))
    if asked.snrs:
        parts.append(by_snr(*audio, asked.snrs, asked.noise, **options))
    for part in parts:
        # The last group is that without a change, which is known.
        for group in part.groups[:-1]:
            found[group] = part.intervals[""][group]
    if asked.as_norm:
        top = min(asked.as_norm, len(system.cohort))
        scores = system.score(trials, Scoring("as", top))
        found[AS_NORM] = rates(scores, trials, values)
    if teacher is not None:
        found |= _crossed(system, teacher, bench, trials, values)
    return found


def _crossed(
    system: System,
    teacher: System,
    bench: Bench,
    trials: TrialList,
    values: Mapping[str, str],
) -> dict[str, Rates]:
    """Rates where the teacher enrols: as it is, where dimensions agree."""
    asked, ways = bench.conditions, {}
    if teacher.rows.shape[1] == system.rows.shape[1]:
        mean = teacher.cohort.mean
        enrols = replace(teacher, rows=centre(teacher.rows, mean))
        ways[CROSS] = enrols, system, Scoring()
        if asked.as_norm:
            enrols = replace(enrols, cohort=teacher.cohort.centred(mean))
            top = min(asked.as_norm, len(system.cohort), len(teacher.cohort))
            ways[CROSS_AS_NORM] = enrols, system, Scoring("as", top)
    if asked.mapped:
        sides = through(map_between(teacher, system), teacher, system)
        ways[f"{CROSS}, mapped"] = *sides, Scoring()
    return {
        name: rates(enrols.score(trials, how, verifies), trials, values)
        for name, (enrols, verifies, how) in ways.items()
    }


def speaker_of(utterance: str) -> str:
    """The speaker of an utterance, by its name."""
    return utterance.split("/")[0]
