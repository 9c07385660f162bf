"""Whose voice each utterance of a trial list is.

Trials that share a speaker are not independent, so intervals and listings by
speaker must know them. A list says so only in part: a target trial joins two
utterances, an impostor trial parts them.
"""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from speechbrain_kd.evaluation.trials import TrialList


def speakers_of(
    trials: TrialList, speakers: Mapping[str, str] | None = None
) -> np.ndarray:
    """Numbers the speakers of a trial list.

    Arguments
    ---------
    trials : TrialList
        The trials.
    speakers : Mapping[str, str] | None
        The speaker of each utterance, if that is known; see `speaker_names`.

    Returns
    -------
    np.ndarray
        int64, [utterances]: the speaker of each, from 0. Number n is the nth
        of the sorted set of names that `speaker_names` gives.

    Raises
    ------
    ValueError
        As `speaker_names`.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a/1", "a/2", "b/1"])
    >>> speakers_of(trials).tolist()
    [0, 0, 1]
    """
    names = np.asarray(speaker_names(trials, speakers))
    return np.unique(names, return_inverse=True)[1].reshape(-1)


def speaker_names(
    trials: TrialList, speakers: Mapping[str, str] | None = None
) -> list[str]:
    """Names the speaker of each utterance of a trial list.

    The mapping says, where there is one. Otherwise it is the first folder of
    the utterance's path, as in VoxCeleb, if that agrees with the label of
    every trial. Otherwise utterances that target trials join, directly or
    through others, are of one speaker, named after the first of them; an
    utterance without target trials is then a speaker of its own.

    Arguments
    ---------
    trials : TrialList
        The trials.
    speakers : Mapping[str, str] | None
        The speaker of each utterance, for all of them.

    Returns
    -------
    list[str]
        A name for each utterance, [utterances].

    Raises
    ------
    ValueError
        If the mapping lacks an utterance or contradicts a label, or target
        trials join what an impostor trial parts.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["x", "y", "z"])
    >>> speaker_names(trials)
    ['x', 'x', 'z']
    >>> speaker_names(trials, {"x": "Ann", "y": "Ann", "z": "Bob"})
    ['Ann', 'Ann', 'Bob']
    """
    if speakers is not None:
        names = _by_mapping(trials, speakers)
        _check(trials, names, "the speakers that were given")
        return names
    folders = [name.split("/", 1)[0] for name in trials.utterances]
    if all("/" in name for name in trials.utterances):
        if not _contradicted(trials, folders).size:
            return folders
    names = _by_target_trials(trials)
    _check(trials, names, "the target trials taken together")
    return names


def _by_mapping(trials: TrialList, speakers: Mapping[str, str]) -> list[str]:
    """Looks up every utterance."""
    missing = [name for name in trials.utterances if name not in speakers]
    if missing:
        raise ValueError(
            f"no speaker given for utterance {missing[0]!r}, which the trials "
            f"name ({len(missing)} of {len(trials.utterances)} lack one)"
        )
    return [speakers[name] for name in trials.utterances]


def _by_target_trials(trials: TrialList) -> list[str]:
    """Names what target trials join after the first utterance of it."""
    number = len(trials.utterances)
    ends = trials.enrol[trials.labels], trials.test[trials.labels]
    joins = coo_matrix((np.ones(ends[0].size, bool), ends), (number, number))
    part = connected_components(joins, directed=False)[1]
    _, first, inverse = np.unique(part, return_index=True, return_inverse=True)
    return [trials.utterances[at] for at in first[inverse.reshape(-1)]]


def _contradicted(trials: TrialList, names: list[str]) -> np.ndarray:
    """Positions of the trials whose labels do not fit the names."""
    numbers = np.unique(np.asarray(names), return_inverse=True)[1].reshape(-1)
    same = numbers[trials.enrol] == numbers[trials.test]
    return np.flatnonzero(same != trials.labels)


def _check(trials: TrialList, names: list[str], source: str) -> None:
    """Raises where a label does not fit, and names the trial."""
    wrong = _contradicted(trials, names)
    if not wrong.size:
        return
    enrol, test = trials.enrol[wrong[0]], trials.test[wrong[0]]
    kind = "a target" if trials.labels[wrong[0]] else "an impostor"
    raise ValueError(
        f"trial {trials.utterances[enrol]!r} with {trials.utterances[test]!r} "
        f"is {kind} trial, but by {source} they are of {names[enrol]!r} and "
        f"{names[test]!r} ({wrong.size} of {len(trials)} trials contradict)"
    )
