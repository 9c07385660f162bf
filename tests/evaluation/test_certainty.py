"""Intervals and paired tests over speakers."""

import numpy as np
import pytest

from speechbrain_kd.bench.coverage import KINDS, coverage, make_corpus, truth
from speechbrain_kd.evaluation import eer, min_dcf, resampling
from speechbrain_kd.evaluation.certainty import (
    paired_difference,
    speaker_bootstrap,
)
from speechbrain_kd.evaluation.resampling import ResampledRate
from speechbrain_kd.evaluation.trials import TrialList

WHO = np.arange(60)


@pytest.fixture(scope="module")
def corpus():
    return make_corpus("speakers differ", np.random.default_rng(0))


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("statistic", ["eer", "min_dcf"])
def test_a_draw_is_the_rate_of_repeated_trials(corpus, statistic, decimals):
    scores, _, trials = corpus
    scores = scores.round(decimals)
    counts = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60))
    times = counts[trials.enrol] * np.where(
        trials.labels, 1, counts[trials.test]
    )
    target, impostor = (
        np.repeat(scores[kind], times[kind])
        for kind in (trials.labels, ~trials.labels)
    )
    measure = {"eer": eer, "min_dcf": min_dcf}[statistic]
    found = ResampledRate(scores, trials, WHO, statistic).value(counts)
    assert found == pytest.approx(measure(target, impostor), abs=1e-12)


@pytest.mark.parametrize("statistic", ["eer", "min_dcf"])
def test_thinned_levels_give_almost_the_same(corpus, statistic, monkeypatch):
    scores, _, trials = corpus
    exact = ResampledRate(scores, trials, WHO, statistic)
    monkeypatch.setattr(resampling, "_LEVELS", 500)
    thinned = ResampledRate(scores, trials, WHO, statistic)
    for counts in (np.ones(60), np.arange(60) % 3):
        assert thinned.value(counts) == pytest.approx(
            exact.value(counts), abs=4 / 500
        )


def test_same_seed_same_interval_and_numbers_of_speakers_do_not_matter(corpus):
    scores, _, trials = corpus
    first = speaker_bootstrap(scores, trials, WHO, draws=50)
    assert first == speaker_bootstrap(scores, trials, 7 * WHO + 3, draws=50)
    assert first != speaker_bootstrap(scores, trials, WHO, draws=50, seed=1)
    assert (first.level, first.draws) == (0.95, 50)
    wider = speaker_bootstrap(scores, trials, WHO, draws=50, level=0.99)
    assert wider.low < first.low < eer(*trials.split(scores)) < first.high
    assert wider.high > first.high


def test_more_utterances_of_the_same_speakers_say_little_more(corpus):
    scores, _, trials = corpus
    many = np.tile(np.arange(len(trials)), 4)
    more = TrialList(
        *(x[many] for x in (trials.labels, trials.enrol, trials.test)),
        trials.utterances,
    )
    one = speaker_bootstrap(scores, trials, WHO, draws=50)
    four = speaker_bootstrap(scores[many], more, WHO, draws=50)
    assert four.low == pytest.approx(one.low, rel=0.1)
    assert four.high == pytest.approx(one.high, rel=0.1)


def test_no_error_is_not_certainty(corpus):
    _, _, trials = corpus
    found = speaker_bootstrap(1.0 * trials.labels, trials, WHO, draws=20)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 60))


def test_paired_test_finds_what_the_intervals_do_not(corpus):
    scores, _, trials = corpus
    worse = scores - 0.35 * trials.labels
    intervals = [
        speaker_bootstrap(x, trials, WHO, draws=200) for x in (scores, worse)
    ]
    assert intervals[0].high > intervals[1].low
    found = paired_difference(worse, scores, trials, WHO, draws=200)
    assert found.significant and found.p_value < 0.01
    assert 0 < found.low < found.value < found.high
    back = paired_difference(scores, worse, trials, WHO, draws=200)
    assert back.value == -found.value and back.p_value == found.p_value


def test_zero_is_in_the_interval_unless_significant():
    rng = np.random.default_rng(2)
    for _ in range(20):
        one, two, trials = make_corpus("many errors", rng)
        found = paired_difference(one, two, trials, WHO, draws=30, level=0.6)
        assert found.significant == (not found.low <= 0 <= found.high)
        assert found.significant == (found.p_value < 0.4)


def test_few_speakers_say_nothing(caplog):
    trials = TrialList([1, 0, 1], [0, 0, 2], [1, 2, 3], list("abcd"))
    given = trials, np.array([0, 0, 1, 1])
    found = speaker_bootstrap(np.array([0.9, 0.1, 0.8]), *given)
    assert (found.low, found.high) == (0.0, 1.0)
    assert "over 2 speakers says nothing" in caplog.text
    test = paired_difference(np.array([0.9, 0.1, 0.8]), np.zeros(3), *given)
    assert not test.significant and test.p_value == 1.0


def test_bad_input(corpus):
    scores, _, trials = corpus
    with pytest.raises(ValueError, match="60 utterances, got"):
        speaker_bootstrap(scores, trials, WHO[:10])
    with pytest.raises(ValueError, match="expected one score for each"):
        speaker_bootstrap(scores[1:], trials, WHO)
    with pytest.raises(ValueError, match="1 of 4740 scores are NaN"):
        broken = np.where(np.arange(scores.size) == 3, np.nan, scores)
        speaker_bootstrap(broken, trials, WHO)
    for name, value in (("draws", 1), ("level", 1.0), ("p_target", 0.0)):
        with pytest.raises(ValueError, match=name):
            speaker_bootstrap(scores, trials, WHO, **{name: value})
    with pytest.raises(ValueError, match="eer, min_dcf, got 'auc'"):
        speaker_bootstrap(scores, trials, WHO, "auc")
    one_class = TrialList([1] * 9, range(9), range(9), list("abcdefghi"))
    with pytest.raises(ValueError, match="no impostor"):
        speaker_bootstrap(np.ones(9), one_class, np.arange(9))


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_of_the_simulation_is_that_of_many_corpora(kind):
    rng = np.random.default_rng(3)
    corpora = [make_corpus(kind, rng) for _ in range(40)]
    parts = [trials.split(scores) for scores, _, trials in corpora]
    together = [np.concatenate(x) for x in zip(*parts, strict=True)]
    assert eer(*together) == pytest.approx(truth(kind, "eer", 0.01), rel=0.1)
    assert min_dcf(*together) == pytest.approx(
        truth(kind, "min_dcf", 0.01), rel=0.1
    )


@pytest.mark.slow
@pytest.mark.parametrize("statistic", ["eer", "min_dcf"])
def test_intervals_hold_the_truth(statistic):
    found = coverage("speakers differ", statistic, corpora=200, draws=100)
    # Three deviations of 200 throws at 95 %.
    assert 0.904 <= found["held"] <= 0.996
    assert found["false"] <= 0.096
