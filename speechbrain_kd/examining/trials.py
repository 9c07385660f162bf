"""Error rates of a teacher on trial lists, and whom of them it has met."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.evaluating.inputs import find_files, named_files, read_lists
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System, embed_system
from speechbrain_kd.evaluation.evaluation import ListResult, SystemFacts
from speechbrain_kd.evaluation.measuring import Measures, measure_list
from speechbrain_kd.evaluation.named_speakers import trial_speakers
from speechbrain_kd.evaluation.seen import Exposure, exposure
from speechbrain_kd.evaluation.speakers import speakers_of
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.learners import as_itself, met_by
from speechbrain_kd.teachers.base import Teacher


@dataclass(frozen=True)
class Lists:
    """Trial lists and the files of their utterances.

    Arguments
    ---------
    trials : dict[str, TrialList]
        By name.
    files : dict[str, Path]
        The file of each utterance of all.
    """

    trials: dict[str, TrialList]
    files: dict[str, Path]


def find_lists(texts: list[str], data_folder: str | None) -> Lists:
    """Reads trial lists and finds their files, before any model runs.

    Arguments
    ---------
    texts : list[str]
        ``[NAME=]FILE`` each.
    data_folder : str | None
        Where the utterances are.

    Returns
    -------
    Lists
        What was found. FileNotFoundError where a list or a file is not
        there, ValueError where a list has no labels or only one kind.
    """
    trials = read_lists(named_files(texts))
    for name, one in trials.items():
        try:
            one.split(one.enrol)  # that there are labels, and both kinds
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    heard = dict.fromkeys(
        recording for one in trials.values() for recording in one.recordings
    )
    return Lists(trials, find_files(list(heard), data_folder))


def score_lists(
    teacher: Teacher,
    lists: Lists,
    cache: Path,
    device: str,
    draws: int,
    bar: bool,
) -> dict[str, ListResult]:
    """Scores trial lists by cosine, as ``speechbrain-kd evaluate`` does.

    Arguments
    ---------
    teacher : Teacher
        The teacher.
    lists : Lists
        The trials.
    cache : Path
        Embeddings are kept here, and found by ``evaluate`` too.
    device : str
        Where the teacher is.
    draws : int
        Of the bootstrap; 0 for no intervals.
    bar : bool
        Whether to show progress.

    Returns
    -------
    dict[str, ListResult]
        By list.
    """
    facts = SystemFacts(
        name="teacher",
        source=teacher.source,
        params=None,
        gmac=None,
        bytes=None,
        ms_per_second=None,
        dim=teacher.embedding_dim,
        fingerprint=teacher.fingerprint(),
    )
    system = System(facts, teacher)
    embed_system(system, lists.files, None, cache, device, bar)
    measures = Measures(draws=draws)
    return {
        name: measure_list(
            system.score(one, Scoring()), one, speakers_of(one), measures
        )
        for name, one in lists.trials.items()
    }


def exposures(
    teacher: Teacher, trials: Mapping[str, TrialList]
) -> dict[str, Exposure]:
    """What a teacher has met of the speakers of trial lists.

    Arguments
    ---------
    teacher : Teacher
        The teacher.
    trials : Mapping[str, TrialList]
        By name.

    Returns
    -------
    dict[str, Exposure]
        By list.
    """
    learners = as_itself(met_by(teacher))
    return {
        name: exposure(trial_speakers(one), learners)
        for name, one in trials.items()
    }
