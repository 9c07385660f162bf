"""Whom a teacher has met: by its record, by its yaml, through its teachers.

A teacher that is a run of ours has a record of its training speakers, which
also names whom its own teachers have met. Of others we know what the yaml
states in ``trained_on``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from speechbrain_kd.evaluation.named_speakers import named_set
from speechbrain_kd.evaluation.seen import ITSELF, Learner, learner
from speechbrain_kd.export.model_card import TeacherFacts
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.card import members_of
from speechbrain_kd.teachers.hub import locate
from speechbrain_kd.training_data import FILE, read_learners

#: For each single teacher its source, and itself and its own teachers.
Met = list[tuple[str, list[Learner]]]


def single_teachers(teacher: Teacher | None) -> list[Teacher]:
    """The teachers that an ensemble or a wrapper is made of.

    Arguments
    ---------
    teacher : Teacher | None
        A teacher, or none.

    Returns
    -------
    list[Teacher]
        Those that hold no other; a single teacher is its own only one.
    """
    if teacher is None:
        return []
    members = members_of(teacher)
    if not members:
        return [teacher]
    return [single for one in members for single in single_teachers(one)]


def met_by(teacher: Teacher | None) -> Met:
    """Whom a teacher has met, itself and by way of its own teachers.

    Arguments
    ---------
    teacher : Teacher | None
        Any, or none.

    Returns
    -------
    Met
        For each of those that it is made of.
    """
    return [
        (one.source, met_in(one.source, one.trained_on, one.revision))
        for one in single_teachers(teacher)
    ]


def as_itself(met: Met) -> list[Learner]:
    """What was met, as the teacher sees it that is made of these.

    Arguments
    ---------
    met : Met
        As `met_by` gives it.

    Returns
    -------
    list[Learner]
        A single teacher is ``itself``; of several each is ``its teacher``.
    """
    return met[0][1] if len(met) == 1 else as_student(met)


def as_student(met: Met) -> list[Learner]:
    """What was met, as the student of these teachers sees it.

    Arguments
    ---------
    met : Met
        As `met_by` gives it.

    Returns
    -------
    list[Learner]
        Called ``its teacher …``.

    Example
    -------
    >>> met = [("a", [Learner("itself"), Learner("its teacher b")])]
    >>> [one.who for one in as_student(met)]
    ['its teacher a', 'its teacher b (by way of a)']
    """
    return [
        one.renamed(
            f"its teacher {source}"
            if one.who == ITSELF
            else f"{one.who} (by way of {source})"
        )
        for source, learners in met
        for one in learners
    ]


def began_as(run: str | None) -> list[Learner]:
    """Whom the run has met that a training began with (``start_from``).

    Arguments
    ---------
    run : str | None
        Its folder, or none.

    Returns
    -------
    list[Learner]
        Called ``what it began as, …``; nobody without one.

    Example
    -------
    >>> [one.who for one in began_as("results/a")], began_as(None)
    (['what it began as, results/a'], [])
    """
    if run is None:
        return []
    return [
        one.renamed(
            f"what it began as, {run}"
            if one.who == ITSELF
            else f"{one.who} (by way of {run})"
        )
        for one in met_in(str(run), ())
    ]


def met_in(
    source: str, trained_on: Sequence[str], revision: str | None = None
) -> list[Learner]:
    """Whom the model of a place has met.

    Arguments
    ---------
    source : str
        A run, an exported folder, a file, or a hub id.
    trained_on : Sequence[str]
        What its user states. Where nothing is, a hub is asked for the
        record.
    revision : str | None
        On the hub.

    Returns
    -------
    list[Learner]
        By its record, where it has one, and by what is stated.

    Raises
    ------
    ValueError
        If the record is not one.
    FileNotFoundError
        If a file of ids that is stated is not there.
    """
    stated = learner(ITSELF, trained_on)
    record = _find_record(source, None if trained_on else revision or "main")
    if record is None:
        return [stated]
    own, *others = read_learners(record)
    sets = [*own.sets, *stated.sets]
    return [Learner(own.who, sets, own.unknown), *others]


def _find_record(source: str, revision: str | None) -> Path | None:
    """The record of a run, a folder or, with a revision, of a hub's model."""
    place = Path(source)
    if place.exists():
        for path in (place / "export" / FILE, place / FILE):
            if path.is_file():
                return path
        return None
    return None if revision is None else _of_hub(source, revision)


@cache
def _of_hub(source: str, revision: str) -> Path | None:
    """The record of a model on the hub, asked for once."""
    try:
        return locate(source, revision).fetch(FILE)
    except FileNotFoundError:
        return None


def described(learners: Sequence[Learner]) -> list[str]:
    """What the first learner was trained on, in words.

    Arguments
    ---------
    learners : Sequence[Learner]
        As `met_in` gives them.

    Returns
    -------
    list[str]
        Names of sets, with their speakers where they are counted.
    """
    return [
        known.name
        if named_set(known.name) == known
        else f"{known.name} ({len(known.ids):,} speakers)"
        for known in learners[0].sets
    ]


def facts_of(teacher: Teacher | None) -> list[TeacherFacts]:
    """Where a teacher comes from, for records and cards.

    Arguments
    ---------
    teacher : Teacher | None
        Any, or none.

    Returns
    -------
    list[TeacherFacts]
        One for each that it is made of; and one for what a wrapper of several
        has learnt itself.
    """
    singles = single_teachers(teacher)
    facts = []
    for (source, met), one in zip(met_by(teacher), singles, strict=True):
        stated = one.trained_on or described(met)
        facts.append(TeacherFacts(source, one.revision, one.digests, stated))
    if len(facts) == 1:
        return [replace(facts[0], digests=teacher.digests)]
    known = {digest for one in singles for digest in one.digests.values()}
    learnt = {
        name: digest
        for name, digest in (teacher.digests if teacher else {}).items()
        if digest not in known
    }
    if learnt:
        kind, stated = type(teacher).__name__, teacher.trained_on
        facts.append(TeacherFacts(kind, None, learnt, stated))
    return facts
