"""Trials among held-out utterances of the training speakers."""

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from speechbrain_kd.evaluation.trials import TrialList


def validation_trials(
    spk_ids: Sequence[str],
    utterances: Sequence[str],
    max_trials: int = 20000,
    seed: int = 1986,
    impostors_per_target: int = 20,
) -> TrialList:
    """Makes trials among held-out utterances of the training speakers.

    All pairs of one speaker are target trials, or a sample of them where they
    would be more than half of ``max_trials``; impostor trials are a sample of
    all pairs of two speakers. No pair comes twice. The same utterances and
    seed give the same trials, in whatever order the utterances come.

    Arguments
    ---------
    spk_ids : Sequence[str]
        The speaker of each utterance.
    utterances : Sequence[str]
        The utterances, all different.
    max_trials : int
        Most trials to make, at least 2.
    seed : int
        Seed of the sample.
    impostors_per_target : int
        Most impostor trials for each target trial.

    Returns
    -------
    TrialList
        The target trials, then the impostor trials.

    Raises
    ------
    ValueError
        If no speaker has two utterances, there is only one speaker, an
        utterance comes twice, or the arguments do not fit.

    Example
    -------
    >>> trials = validation_trials(["s1", "s1", "s2"], ["a", "b", "c"])
    >>> [
    ...     (trials.utterances[e], trials.utterances[t])
    ...     for e, t in zip(trials.enrol, trials.test)
    ... ]
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    _check_validation(spk_ids, utterances, max_trials, impostors_per_target)
    pairs = sorted(zip(spk_ids, utterances, strict=True))
    _, first, sizes = np.unique(
        [speaker for speaker, _ in pairs], return_index=True, return_counts=True
    )
    # In order of speakers, an utterance makes target pairs with the rest of
    # its own speaker and impostor pairs with all that comes after.
    here = np.arange(len(pairs))
    after_speaker = np.repeat(first + sizes, sizes)
    draw = random.Random(seed)
    targets = _sample_pairs(
        here + 1, after_speaker, max(1, max_trials // 2), draw
    )
    room = min(impostors_per_target * len(targets), max_trials - len(targets))
    end = np.full_like(here, len(pairs))
    impostors = _sample_pairs(after_speaker, end, room, draw)
    labels = np.repeat([True, False], [len(targets), len(impostors)])
    both = np.concatenate([targets, impostors])
    used, position = np.unique(both, return_inverse=True)
    position = position.reshape(both.shape)
    names = [pairs[index][1] for index in used]
    return TrialList(labels, position[:, 0], position[:, 1], names)


def _sample_pairs(
    start: np.ndarray, stop: np.ndarray, most: int, draw: random.Random
) -> np.ndarray:
    """Draws pairs (i, j), start[i] <= j < stop[i], without listing them all."""
    upto = np.cumsum(stop - start)
    total = int(upto[-1])
    picked = range(total) if total <= most else draw.sample(range(total), most)
    picked = np.sort(np.asarray(picked, dtype=np.int64))
    one = np.searchsorted(upto, picked, side="right")
    other = stop[one] - (upto[one] - picked)
    return np.stack([one, other], axis=1)


def _check_validation(
    spk_ids: Sequence[str],
    utterances: Sequence[str],
    max_trials: int,
    impostors_per_target: int,
) -> None:
    """Raises where no validation trials can be made, and says why."""
    if len(spk_ids) != len(utterances):
        raise ValueError(
            f"expected a speaker for each utterance, got {len(spk_ids)} "
            f"speakers and {len(utterances)} utterances"
        )
    if max_trials < 2 or impostors_per_target < 1:
        raise ValueError(
            "max_trials must be at least 2 and impostors_per_target at least "
            f"1, got {max_trials} and {impostors_per_target}"
        )
    if len(set(utterances)) != len(utterances):
        twice = Counter(utterances).most_common(1)[0][0]
        raise ValueError(
            f"utterance {twice!r} comes twice: a trial with itself says nothing"
        )
    speakers = len(set(spk_ids))
    if speakers == len(spk_ids):
        raise ValueError(
            f"none of the {speakers} speakers has two held-out utterances, so "
            "no target trial can be made: hold out more of each speaker"
        )
    if speakers == 1:
        raise ValueError(
            f"all utterances are of speaker {spk_ids[0]!r}, so no impostor "
            "trial can be made: validation needs two speakers"
        )
