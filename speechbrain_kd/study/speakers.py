"""By how much two cells differ, for other speakers than those of the test.

Seeds say how much a training may vary; the test speakers are a sample as well.
So speakers are drawn anew, all seeds and groups of both cells with the same
draws, as `speechbrain_kd.evaluation.certainty` does for two systems.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from speechbrain_kd.data.corpus import load_corpus
from speechbrain_kd.evaluation.breakdown import MIN_TRIALS, part_of
from speechbrain_kd.evaluation.certainty import half_width
from speechbrain_kd.evaluation.resampling import (
    ResampledRate,
    draw_rates,
    renumber,
)
from speechbrain_kd.evaluation.score_files import read_scores
from speechbrain_kd.evaluation.speakers import speaker_names, speakers_of
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.study.jobs import Study
from speechbrain_kd.study.shared import bench_of


def over_speakers(
    cell: Sequence[np.ndarray],
    against: Sequence[np.ndarray],
    trials: TrialList,
    values: Mapping[str, str],
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float] | None:
    """Interval of the difference of mean EER, by resampled speakers.

    Arguments
    ---------
    cell : Sequence[np.ndarray]
        Scores of its runs, one a seed, [trials].
    against : Sequence[np.ndarray]
        Those of the cell that it is compared with.
    trials : TrialList
        The trials.
    values : Mapping[str, str]
        The group of each speaker; empty for none.
    draws : int
        Of the bootstrap.
    level : float
        Of the interval.
    seed : int
        Of the draws.

    Returns
    -------
    dict[str, float] | None
        ``mean``, ``low``, ``high``, 0 to 1, below 0 where the cell is better;
        None where there are too few speakers to say.

    Example
    -------
    >>> names = [f"s{number // 2}/{number % 2}" for number in range(40)]
    >>> one, two = np.triu_indices(40, 1)
    >>> trials = TrialList(one // 2 == two // 2, one, two, names)
    >>> scores = np.random.default_rng(0).normal(3 * trials.labels)
    >>> over_speakers([scores], [2 * scores], trials, {}, draws=20)
    {'mean': 0.0, 'low': 0.0, 'high': 0.0}
    """
    speakers, number = renumber(trials, speakers_of(trials))
    parts = _parts(trials, values)
    rates = [
        ResampledRate(scores[at], part, speakers)
        for side in (cell, against)
        for scores in side
        for at, part in parts
    ]
    ones = np.ones(number, np.int64)
    each = np.array([[rate.value(ones)] for rate in rates])
    drawn = draw_rates(rates, number, draws, seed)
    if drawn is None or drawn.shape[1] < 2:
        return None
    count = len(cell) * len(parts)
    # Rates 0 to count are the cell's, the others those of the other.
    mean, errors = (
        found[:count].mean(0) - found[count:].mean(0) for found in (each, drawn)
    )
    half = half_width(level, number) * errors.std()
    value = float(mean[0])
    return {
        "mean": value,
        "low": float(value - half),
        "high": float(value + half),
    }


def _parts(
    trials: TrialList, values: Mapping[str, str]
) -> list[tuple[np.ndarray, TrialList]]:
    """Positions and trials of each group that is large enough for a rate."""
    everything = np.arange(len(trials))
    if not values:
        return [(everything, trials)]
    own = np.array([values.get(name, "") for name in speaker_names(trials)])
    found = []
    for value in np.unique(own[own != ""]):
        inside = (own[trials.enrol] == value) & (own[trials.test] == value)
        targets = int(trials.labels[inside].sum())
        if min(targets, int(inside.sum()) - targets) >= MIN_TRIALS:
            found.append((everything[inside], part_of(trials, inside)))
    return found or [(everything, trials)]


def over_runs(
    study: Study, cell: Sequence[Path], against: Sequence[Path]
) -> dict[str, float] | None:
    """The same of run folders, by the scores that they hold.

    Arguments
    ---------
    study : Study
        The study.
    cell : Sequence[Path]
        Its runs, one a seed.
    against : Sequence[Path]
        Those of the cell that it is compared with.

    Returns
    -------
    dict[str, float] | None
        As `over_speakers`; None where a run is no longer there.
    """
    files = [folder / "scores.txt" for folder in (*cell, *against)]
    if not all(file.is_file() for file in files):
        return None
    corpus = load_corpus(cell[0] / "save")
    scores = [read_scores(file)[1] for file in files]
    return over_speakers(
        scores[: len(cell)],
        scores[len(cell) :],
        read_trials(corpus.trials),
        bench_of(study, corpus).values(),
    )
