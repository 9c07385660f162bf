"""The worst of a system: single trials and speakers, to be listened to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speechbrain_kd.evaluation.trials import TrialList


@dataclass
class HardTrial:
    """A trial on the wrong side of the threshold.

    Arguments
    ---------
    kind : str
        "miss" (one speaker, rejected) or "false alarm" (two, accepted).
    enrol : str
        The enrolled utterance or model.
    test : str
        The test utterance.
    score : float
        Its score.
    """

    kind: str
    enrol: str
    test: str
    score: float


@dataclass
class HardSpeaker:
    """The errors of the trials that a speaker takes part in.

    Arguments
    ---------
    speaker : str
        The speaker.
    misses : int
        Target trials that were rejected.
    target_trials : int
        All target trials of the speaker.
    false_alarms : int
        Impostor trials, with the speaker on either side, that were accepted.
    impostor_trials : int
        All impostor trials of the speaker.
    rate : float
        Mean of miss rate and false alarm rate.
    utterance : str
        The speaker's utterance in most of these errors.
    errors : int
        The errors that it is in.
    """

    speaker: str
    misses: int
    target_trials: int
    false_alarms: int
    impostor_trials: int
    rate: float
    utterance: str
    errors: int


@dataclass
class HardCases:
    """The worst speakers and trials of one system on one list.

    Arguments
    ---------
    speakers : list[HardSpeaker]
        The worst first.
    trials : list[HardTrial]
        The worst misses, then the worst false alarms.
    """

    speakers: list[HardSpeaker]
    trials: list[HardTrial]

    def to_dict(self) -> dict[str, Any]:
        """The cases as a dictionary for JSON."""
        return asdict(self)


def hard_cases(
    trials: TrialList,
    scores: np.ndarray,
    speakers: Sequence[str],
    threshold: float,
    count: int = 10,
) -> HardCases:
    """The worst speakers and trials at once.

    Arguments
    ---------
    trials : TrialList
        The trials.
    scores : np.ndarray
        Their scores, [trials].
    speakers : Sequence[str]
        The speaker of each of ``trials.utterances`` (`speaker_names`).
    threshold : float
        A trial is accepted when ``score >= threshold``.
    count : int
        Most speakers, most misses and most false alarms to list.
    """
    return HardCases(
        worst_speakers(trials, scores, speakers, threshold, count),
        worst_trials(trials, scores, threshold, count),
    )


def worst_trials(
    trials: TrialList, scores: np.ndarray, threshold: float, count: int = 10
) -> list[HardTrial]:
    """The errors furthest from the threshold, of either kind.

    Arguments
    ---------
    trials : TrialList
        The trials.
    scores : np.ndarray
        Their scores, [trials].
    threshold : float
        A trial is accepted when ``score >= threshold``.
    count : int
        Most misses, and most false alarms, to list.

    Returns
    -------
    list[HardTrial]
        Misses from the lowest score on, then false alarms from the highest
        on; ties in the order of the list.

    Example
    -------
    >>> trials = TrialList([1, 1, 0], [0, 0, 0], [1, 2, 3], list("abcd"))
    >>> worst_trials(trials, [0.9, 0.2, 0.7], 0.5)[0]
    HardTrial(kind='miss', enrol='a', test='c', score=0.2)
    """
    scores = _checked(trials, scores)
    misses = np.flatnonzero(trials.labels & (scores < threshold))
    alarms = np.flatnonzero(~trials.labels & (scores >= threshold))
    misses = misses[np.argsort(scores[misses], kind="stable")][:count]
    alarms = alarms[np.argsort(-scores[alarms], kind="stable")][:count]
    return [
        HardTrial(
            kind,
            trials.utterances[trials.enrol[at]],
            trials.utterances[trials.test[at]],
            float(scores[at]),
        )
        for kind, found in (("miss", misses), ("false alarm", alarms))
        for at in found
    ]


def worst_speakers(
    trials: TrialList,
    scores: np.ndarray,
    speakers: Sequence[str],
    threshold: float,
    count: int = 10,
) -> list[HardSpeaker]:
    """The speakers whose trials go wrong most often.

    Arguments
    ---------
    trials : TrialList
        The trials.
    scores : np.ndarray
        Their scores, [trials].
    speakers : Sequence[str]
        The speaker of each of ``trials.utterances`` (`speaker_names`).
    threshold : float
        A trial is accepted when ``score >= threshold``.
    count : int
        Most speakers to list.

    Returns
    -------
    list[HardSpeaker]
        By falling `HardSpeaker.rate`; speakers without an error are left out.

    Raises
    ------
    ValueError
        If scores or speakers do not fit the trials.

    Example
    -------
    >>> trials = TrialList([1, 0], [0, 0], [1, 2], ["a1", "a2", "b1"])
    >>> worst = worst_speakers(trials, [0.9, 0.8], ["a", "a", "b"], 0.5)
    >>> [(one.speaker, one.rate, one.utterance) for one in worst]
    [('b', 1.0, 'b1'), ('a', 0.5, 'a1')]
    """
    scores = _checked(trials, scores)
    if len(speakers) != len(trials.utterances):
        raise ValueError(
            f"expected a speaker for each of {len(trials.utterances)} "
            f"utterances, got {len(speakers)}"
        )
    names, of = np.unique(np.asarray(speakers, str), return_inverse=True)
    enrol, test = of[trials.enrol], of[trials.test]
    wrong = (scores >= threshold) != trials.labels

    def per_speaker(which: np.ndarray) -> np.ndarray:
        counts = np.bincount(enrol[which], minlength=names.size)
        # A target trial is of one speaker, who must not count twice.
        other = which & (enrol != test)
        return counts + np.bincount(test[other], minlength=names.size)

    targets, impostors = per_speaker(trials.labels), per_speaker(~trials.labels)
    misses = per_speaker(trials.labels & wrong)
    alarms = per_speaker(~trials.labels & wrong)
    # Of a speaker with trials of one class only, that class is the rate.
    shares = misses / np.maximum(targets, 1) + alarms / np.maximum(impostors, 1)
    rates = shares / np.maximum(1, (targets > 0).astype(int) + (impostors > 0))
    sides = np.concatenate([trials.enrol[wrong], trials.test[wrong]])
    errors = np.bincount(sides, minlength=len(trials.utterances))
    found = []
    for at in np.argsort(-rates, kind="stable")[:count]:
        if rates[at] > 0:
            own = np.flatnonzero(of == at)
            worst = own[np.argmax(errors[own])]
            found.append(
                HardSpeaker(
                    str(names[at]),
                    *(int(n[at]) for n in (misses, targets, alarms, impostors)),
                    float(rates[at]),
                    trials.utterances[worst],
                    int(errors[worst]),
                )
            )
    return found


def _checked(trials: TrialList, scores: np.ndarray) -> np.ndarray:
    """Scores as an array, one for each trial."""
    scores = np.asarray(scores)
    if scores.shape != (len(trials),):
        raise ValueError(
            f"expected one score for each of {len(trials)} trials, got "
            f"scores of shape {scores.shape}"
        )
    return scores
