"""Adaptive s-norm against the recipe's loop: what is compared and said."""

import numpy as np
import pytest

from speechbrain_kd.bench import norms
from speechbrain_kd.bench.common import Options

SMALL = (400, 90, 60, 20, 16)


def test_a_small_list_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(norms, "SIZES", SMALL)
    facts = norms.measure(Options())
    assert facts["sizes"] == list(SMALL) and facts["sample"] == 200
    assert facts["equal"] and 0 <= facts["largest_difference"] < norms.LIMIT
    seconds = facts["seconds"]
    assert facts["ratio"] == pytest.approx(
        400 * seconds["one_trial_of_the_loop"] / seconds["normalise"]
    )
    assert 0 < facts["memory_mb"]["before"] <= facts["memory_mb"]["peak"]
    text = norms.report(facts)
    assert "400 trials of 90 utterances, cohort 60, top 20" in text
    assert "as they must be" in text


def test_other_scores_are_noticed(monkeypatch):
    original = norms.normalise

    def wrong(*args):
        return original(*args) * 1.01

    monkeypatch.setattr(norms, "normalise", wrong)
    facts = norms.compare(SMALL, sample=20)
    assert not facts["equal"] and facts["sample"] == 20
    assert "TOO MUCH" in norms.report(facts)


def test_the_list_has_both_classes_and_no_cohort_speaker():
    trials, rows, cohort = norms.synthetic((20_000, 1300, 5, 3, 4))
    targets = trials.labels.sum()
    assert 0 < targets < len(trials) and rows.shape == (1300, 4)
    speakers = [name.split("/")[0] for name in trials.utterances]
    assert not set(speakers) & set(cohort.speakers)
    same = [
        speakers[e] == speakers[t]
        for e, t in zip(trials.enrol, trials.test, strict=True)
    ]
    np.testing.assert_array_equal(trials.labels, same)
