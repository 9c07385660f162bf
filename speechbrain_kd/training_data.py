"""``training_data.json``: whose voices a model has learnt from, to the speaker.

A run writes it from its manifest and its teacher, and an export carries it, so
that an evaluation years later still knows which speakers are no test. What a
teacher of ours was trained on is taken over whole: a student has met, by way
of its teacher, all whom that one has met.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_kd.data.unlabelled import unlabelled_names
from speechbrain_kd.evaluation.named_speakers import SpeakerSet, named_set
from speechbrain_kd.evaluation.seen import ITSELF, Learner
from speechbrain_kd.evaluation.speaker_files import read_manifest
from speechbrain_kd.export.model_card import TeacherFacts

FILE = "training_data.json"
_FORMAT = 1
_MOST_BYTES = 256 << 20


def training_data(
    manifest: str | Path,
    name: str,
    taught_by: Sequence[Learner] = (),
    teachers: Sequence[TeacherFacts] = (),
) -> dict[str, Any]:
    """What a run has learnt from.

    Arguments
    ---------
    manifest : str | Path
        Its training manifest; beside it that of unlabelled audio, if there
        is any.
    name : str
        What its training data are called.
    taught_by : Sequence[Learner]
        Whom its teachers have met (``learners.as_student``).
    teachers : Sequence[TeacherFacts]
        Where they come from (``learners.facts_of``).

    Returns
    -------
    dict[str, Any]
        For JSON: the run and its teachers as learners, and the teachers'
        files.
    """
    unlabelled = unlabelled_names(Path(manifest).parent)
    itself = Learner(ITSELF, read_manifest(manifest, name), unlabelled)
    learners = [itself, *taught_by]
    return {
        "format": _FORMAT,
        "learners": [_plain(one) for one in learners],
        "teachers": [
            {
                "source": teacher.source,
                "revision": teacher.revision,
                "trained_on": list(teacher.trained_on),
                "files": dict(teacher.digests),
            }
            for teacher in teachers
        ],
    }


def read_learners(path: str | Path) -> list[Learner]:
    """Reads a record. It may be a stranger's: names of files in it are names.

    Arguments
    ---------
    path : str | Path
        A ``training_data.json``.

    Returns
    -------
    list[Learner]
        The model itself, then its teachers.

    Raises
    ------
    ValueError
        If it is no record, of another format, or its ids were changed.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(
            f"{path}: expected at most {_MOST_BYTES:,} bytes, got "
            f"{path.stat().st_size:,}"
        )
    try:
        facts = json.loads(path.read_bytes())
        learners = [_learner(path, one) for one in facts["learners"]]
        known = facts["format"] == _FORMAT and learners[0].who == ITSELF
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{path}: expected the record of a training, and there is no "
            f"{error}"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON: {error}") from None
    if not known:
        raise ValueError(
            f"{path}: expected format {_FORMAT}, whose first learner is "
            f"{ITSELF!r}; got {facts['format']!r} and {learners[0].who!r}"
        )
    return learners


def _plain(one: Learner) -> dict[str, Any]:
    """A learner for JSON: named sets by name, others by their ids."""
    sets = [known for known in one.sets if named_set(known.name) != known]
    return {
        "who": one.who,
        "trained_on": [known.name for known in one.sets if known not in sets],
        "sets": [
            {
                "name": known.name,
                "corpus": known.corpus,
                "speakers": len(known.ids),
                "sha256": _digest(known.ids),
                "ids": sorted(known.ids),
            }
            for known in sets
        ],
        "unknown": list(one.unknown),
    }


def _learner(path: Path, facts: Mapping[str, Any]) -> Learner:
    """A learner from JSON."""
    sets = [named_set(str(name)) for name in facts["trained_on"]]
    unknown = [str(name) for name in facts["unknown"]]
    for name, known in zip(facts["trained_on"], sets, strict=True):
        if known is None:
            unknown.append(str(name))
    for part in facts["sets"]:
        ids = frozenset(map(str, part["ids"]))
        if _digest(ids) != part["sha256"]:
            raise ValueError(
                f"{path}: the ids of {part['name']} are not those that were "
                f"written: expected sha256 {part['sha256']}, got {_digest(ids)}"
            )
        corpus = None if part["corpus"] is None else str(part["corpus"])
        sets.append(SpeakerSet(str(part["name"]), corpus, ids))
    kept = [known for known in sets if known is not None]
    return Learner(str(facts["who"]), kept, unknown)


def _digest(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted ids, one a line."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
