"""Differences over resampled speakers, seeds and groups together."""

import numpy as np
import pytest

from speechbrain_kd.evaluation.certainty import paired_difference
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.speakers import speakers_of
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.study.speakers import over_speakers


@pytest.fixture
def trials() -> TrialList:
    """All pairs of 20 speakers of 4 utterances."""
    names = [f"s{number // 4:02d}/{number % 4}" for number in range(80)]
    one, two = np.triu_indices(80, 1)
    return TrialList(one // 4 == two // 4, one, two, names)


def scored(trials: TrialList, apart: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(apart * trials.labels)


def test_one_seed_without_groups_is_the_paired_test(trials):
    one, two = scored(trials, 3.0, 0), scored(trials, 2.0, 1)
    found = over_speakers([one], [two], trials, {}, draws=50)
    known = paired_difference(one, two, trials, speakers_of(trials), draws=50)
    assert [found["mean"], found["low"], found["high"]] == pytest.approx(
        [known.value, known.low, known.high]
    )
    assert found["high"] < 0


def test_groups_and_seeds_count_each_alike(trials):
    values = {f"s{number:02d}": "ab"[number < 5] for number in range(20)}
    cell = [scored(trials, 3.0, seed) for seed in (0, 1)]
    other = [scored(trials, 2.0, seed) for seed in (2, 3)]
    found = over_speakers(cell, other, trials, values, draws=20)
    own = np.array([values[name[:3]] for name in trials.utterances])
    means = []
    for side in (cell, other):
        rates = []
        for scores in side:
            for group in "ab":
                at = (own[trials.enrol] == group) & (own[trials.test] == group)
                both = scores[at & trials.labels], scores[at & ~trials.labels]
                rates.append(eer(*both))
        means.append(np.mean(rates))
    assert found["mean"] == pytest.approx(means[0] - means[1])


def test_too_few_speakers_say_nothing(trials):
    few = TrialList([1, 0, 1], [0, 0, 4], [1, 4, 5], trials.utterances)
    scores = np.array([0.3, 0.1, 0.2])
    assert over_speakers([scores], [scores], few, {}) is None
