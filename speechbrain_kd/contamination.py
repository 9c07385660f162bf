"""A run's guard against test speakers that student or teacher have met.

It is asked before the training, of what the yaml says, so that nobody hears
of it after a week; and after it, of the teacher as it was loaded, for the
marks in tables and cards.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.data.unlabelled import unlabelled_names
from speechbrain_kd.evaluation.named_speakers import trial_speakers
from speechbrain_kd.evaluation.seen import (
    ITSELF,
    Exposure,
    Learner,
    check_unseen,
    exposure,
)
from speechbrain_kd.evaluation.speaker_files import read_manifest
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.experiment import Tagged
from speechbrain_kd.learners import Met, as_itself, as_student, began_as, met_in

logger = logging.getLogger(__name__)

KEY = "allow_contaminated"


def check_before_training(values: Mapping[str, Any], corpus: Corpus) -> None:
    """Refuses an experiment whose trial list would say nothing.

    Arguments
    ---------
    values : Mapping[str, Any]
        Of the experiment, nothing made yet. ``allow_contaminated`` turns the
        refusal into a warning.
    corpus : Corpus
        With the trial list, if there is one.

    Raises
    ------
    ValueError
        Naming who has met which speakers of the list.
    """
    allowed = values[KEY]
    if not isinstance(allowed, bool):
        raise ValueError(f"{KEY} must be True or False; got {allowed!r}")
    taught = values["distillation"] is not None
    met = _stated(values["teacher"]) if taught else []
    found = exposures(corpus, met, began_as(values["start_from"]))
    for system, one in found.items():
        if one.mark:
            logger.warning(
                "Speakers that the %s has met: %s", system, one.label
            )
    if corpus.trials is not None and not allowed:
        check_unseen(corpus.trials.name, found, f"--{KEY}=True")


def exposures(
    corpus: Corpus, met: Met, began: Sequence[Learner] = ()
) -> dict[str, Exposure]:
    """What student and teacher have met of the trial list's speakers.

    Arguments
    ---------
    corpus : Corpus
        With the training manifest.
    met : Met
        Whom the teacher has met; empty without one.
    began : Sequence[Learner]
        Whom the run has met that this one began with (``began_as``).

    Returns
    -------
    dict[str, Exposure]
        By system: ``student`` and ``teacher``, or ``model`` alone; empty
        where there is no trial list.
    """
    if corpus.trials is None:
        return {}
    speakers = trial_speakers(read_trials(corpus.trials))
    known = read_manifest(corpus.train_csv, corpus_name(corpus))
    own = Learner(ITSELF, known, unlabelled_names(corpus.train_csv.parent))
    if not met:
        return {"model": exposure(speakers, [own, *began])}
    return {
        "student": exposure(speakers, [own, *began, *as_student(met)]),
        "teacher": exposure(speakers, as_itself(met)),
    }


def corpus_name(corpus: Corpus) -> str:
    """What the training data are called: by their folders."""
    return ", ".join(folder.name for folder in corpus.data_folders)


def _stated(node: Tagged) -> Met:
    """Whom the teachers of a yaml have met."""
    inner = list(_teachers_in(node.arguments))
    if inner:
        return [one for teacher in inner for one in _stated(teacher)]
    # A class of a user's own may know by itself what it was trained on.
    given = node.arguments
    source = str(given.get("source", node.tag.partition(":")[2]))
    trained_on = given.get("trained_on") or ()
    return [(source, met_in(source, trained_on, given.get("revision")))]


def _teachers_in(value: Any) -> Iterator[Tagged]:
    """The teachers that a value of a yaml holds, not those within them."""
    if isinstance(value, Tagged):
        if value.tag.endswith("Teacher") or "trained_on" in value.arguments:
            yield value
        else:
            yield from _teachers_in(value.arguments)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _teachers_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _teachers_in(one)
