"""Error rates in groups of trials, and groups by what speakers have in common.

A group too small for a rate is shown without one, never dropped: what was not
measured is part of what was found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.trials import TrialList

# A rate from fewer trials of either class says next to nothing.
MIN_TRIALS = 20
UNKNOWN = "(not given)"
MakeInterval = Callable[[np.ndarray, TrialList], Any]


@dataclass
class Breakdown:
    """The EER of every system in groups of trials.

    Arguments
    ---------
    title : str
        What the groups are made by.
    what : str
        How they were made, in a sentence or two.
    groups : list[str]
        The groups, in the order to be shown.
    trials : dict[str, int]
        Trials of each group.
    rates : dict[str, dict[str, float | None]]
        EER by system and group; None where a group is too small.
    intervals : dict[str, dict[str, Interval | None]] | None
        Their intervals, in the same shape; None where none were asked for.
    """

    title: str
    what: str
    groups: list[str]
    trials: dict[str, int]
    rates: dict[str, dict[str, float | None]]
    intervals: dict[str, dict[str, Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The breakdown as a dictionary for JSON."""
        return asdict(self)


def break_down(
    title: str,
    what: str,
    groups: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    trials: TrialList,
    interval: MakeInterval | None = None,
) -> Breakdown:
    """Measures every system in every group of trials.

    Arguments
    ---------
    title : str
        As in `Breakdown`.
    what : str
        As in `Breakdown`.
    groups : Mapping[str, np.ndarray]
        Positions of the trials of each group.
    scores : Mapping[str, Mapping[str, np.ndarray]]
        Scores of all trials by system and group, [trials].
    trials : TrialList
        The trials.
    interval : Callable[[np.ndarray, TrialList], Interval] | None
        Makes the interval of a rate from the scores and trials of a group.

    Returns
    -------
    Breakdown
        With a rate where a group has `MIN_TRIALS` of either class.
    """
    parts = {group: part_of(trials, at) for group, at in groups.items()}
    rates: dict[str, dict[str, float | None]] = {}
    intervals: dict[str, dict[str, Any]] = {}
    for system, by_group in scores.items():
        rates[system], intervals[system] = {}, {}
        for group, part in parts.items():
            own = np.asarray(by_group[group])[groups[group]]
            targets = int(part.labels.sum())
            enough = min(targets, len(part) - targets) >= MIN_TRIALS
            rates[system][group] = eer(*part.split(own)) if enough else None
            intervals[system][group] = (
                interval(own, part) if enough and interval else None
            )
    return Breakdown(
        title,
        what,
        list(groups),
        {group: len(part) for group, part in parts.items()},
        rates,
        intervals if interval else None,
    )


def part_of(trials: TrialList, at: np.ndarray) -> TrialList:
    """The trials at some positions, of the same utterances.

    Arguments
    ---------
    trials : TrialList
        The trials.
    at : np.ndarray
        Positions, or a bool for each trial.

    Returns
    -------
    TrialList
        In that order.
    """
    return TrialList(
        trials.labels[at],
        trials.enrol[at],
        trials.test[at],
        trials.utterances,
        trials.models,
    )


def by_column(
    trials: TrialList,
    scores: Mapping[str, np.ndarray],
    values: Mapping[str, str],
    speakers: Sequence[str],
    column: str,
    interval: MakeInterval | None = None,
) -> Breakdown:
    """EER among the speakers that share a value, such as a gender.

    Arguments
    ---------
    trials : TrialList
        The trials.
    scores : Mapping[str, np.ndarray]
        Scores by system, [trials].
    values : Mapping[str, str]
        The value of each speaker; see `read_speakers`.
    speakers : Sequence[str]
        The speaker of each of ``trials.utterances`` (`speaker_names`).
    column : str
        What the values are, for the title.
    interval : Callable[[np.ndarray, TrialList], Interval] | None
        Makes the interval of a rate.

    Returns
    -------
    Breakdown
        A group for each value, the largest first: trials in which both
        speakers have it.

    Raises
    ------
    ValueError
        If there is not a speaker for each utterance.

    Example
    -------
    >>> trials = TrialList([1, 0], [0, 0], [1, 2], ["a1", "a2", "b"])
    >>> gender = {"a": "f", "b": "m"}
    >>> found = by_column(trials, {}, gender, ["a", "a", "b"], "gender")
    >>> found.trials
    {'f': 1}
    """
    if len(speakers) != len(trials.utterances):
        raise ValueError(
            f"expected a speaker for each of {len(trials.utterances)} "
            f"utterances, got {len(speakers)}"
        )
    own = np.array(
        [values.get(speaker) or UNKNOWN for speaker in speakers], dtype=str
    )
    enrol, test = own[trials.enrol], own[trials.test]
    groups = {
        str(value): np.flatnonzero((enrol == value) & (test == value))
        for value in np.unique(np.concatenate([enrol, test]))
    }
    filled = {name: at for name, at in groups.items() if at.size}
    empty = [name for name in groups if name not in filled]
    across = int((enrol != test).sum())
    what = (
        f"Trials in which both speakers have the same {column}; {across:,} "
        f"of {len(trials):,} trials are across two and in no group."
    )
    if empty:
        what += f" No trial within: {', '.join(empty)}."
    ordered = dict(sorted(filled.items(), key=lambda item: -item[1].size))
    everywhere = {
        system: dict.fromkeys(ordered, own_scores)
        for system, own_scores in scores.items()
    }
    return break_down(
        column.capitalize(), what, ordered, everywhere, trials, interval
    )
