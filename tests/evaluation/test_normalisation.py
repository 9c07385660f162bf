"""Normalised scores against a loop over the trials, as upstream's recipe is."""

import logging

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import TrialList, cosine_scores, normalisation
from speechbrain_kd.evaluation.normalisation import Cohort, centre, normalise


def make_trials(count=60, utterances=25, seed=0):
    """Random trials; one utterance is in none."""
    rng = np.random.default_rng(seed)
    enrol, test = rng.integers(utterances - 1, size=(2, count))
    names = [f"id{n // 3}/v/{n}.wav" for n in range(utterances)]
    return TrialList(rng.random(count) < 0.5, enrol, test, names)


def rows_of(seed, count=25, dim=12):
    return np.random.default_rng(seed).normal(0.3, 1.0, (count, dim))


def one_trial(kind, enrol, test, cohorts, size):
    """What upstream's recipe does with a trial, in double precision."""
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    against = [
        torch.topk(similarity(row[None], cohort), size).values
        for row, cohort in zip((enrol, test), cohorts, strict=True)
    ]
    score = similarity(enrol, test)
    both = [(score - each.mean()) / each.std() for each in against]
    return {"z": both[0], "t": both[1]}.get(kind, sum(both) / 2)


@pytest.mark.parametrize("block", [1, 300, 2**24])
@pytest.mark.parametrize("kind", ["z", "t", "s", "as"])
@pytest.mark.parametrize("other_model, cohorts", [(0, 1), (1, 1), (1, 2)])
def test_agrees_with_the_loop_of_the_recipe(
    monkeypatch, block, kind, other_model, cohorts
):
    monkeypatch.setattr(normalisation, "BLOCK_SIZE", block)
    trials, rows, cohort = make_trials(), rows_of(1), rows_of(2, 40)
    tests = rows_of(3) if other_model else None
    other = rows_of(4, 40) if cohorts == 2 else None
    both = cohort, cohort if other is None else other
    scores = cosine_scores(rows, trials, tests)
    size = 7 if kind == "as" else 40
    enrolled = torch.from_numpy(rows)
    verified = torch.from_numpy(rows if tests is None else tests)
    expected = [
        one_trial(
            kind, enrolled[e], verified[t], map(torch.from_numpy, both), size
        )
        for e, t in zip(trials.enrol, trials.test, strict=True)
    ]
    given = {} if other is None else {"test_cohort": Cohort(other)}
    found = normalise(
        scores, rows, trials, Cohort(cohort), kind, 7, tests, **given
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_adaptive_with_the_whole_cohort_is_s_norm():
    trials, rows, cohort = make_trials(), rows_of(1), Cohort(rows_of(2))
    scores = cosine_scores(rows, trials)
    np.testing.assert_array_equal(
        normalise(scores, rows, trials, cohort, "as", top_k=25),
        normalise(scores, rows, trials, cohort, "s"),
    )


def test_each_utterance_meets_the_cohort_once(monkeypatch):
    trials, rows, seen = make_trials(), rows_of(1), []
    original = normalisation._statistics

    def count(rows, used, *others):
        seen.extend(used.tolist())
        return original(rows, used, *others)

    monkeypatch.setattr(normalisation, "_statistics", count)
    scores = cosine_scores(rows, trials)
    normalise(scores, rows, trials, Cohort(rows_of(2)), "s")
    assert sorted(seen) == np.union1d(trials.enrol, trials.test).tolist()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "a"}, "expected a kind of normalisation of z, t, s, as"),
        ({"top_k": 1}, "which is 20, got 1"),
        ({"top_k": 21}, "from 2 to the number of cohort speakers, which is 20"),
        ({"scores": np.zeros(3)}, "one score for each of 60 trials"),
        ({"cohort": Cohort(rows_of(2, 20, 5))}, "has 5 dimensions and .* 12"),
        ({"cohort": Cohort(rows_of(2, 1)), "kind": "s"}, "needs two speakers"),
        ({"cohort": Cohort(np.ones((20, 12)))}, "'id.*one and the same score"),
        ({"embeddings": rows_of(1, 24)}, r"embeddings \[25, dim\]"),
        ({"test_embeddings": rows_of(1, 25, 11)}, "share a space"),
        ({"test_cohort": Cohort(rows_of(2, 4))}, "which is 4, got 5"),
        ({"test_cohort": Cohort(rows_of(2, 20, 5))}, "has 5 dimensions and"),
    ],
)
def test_bad_arguments(change, message):
    given = {
        "scores": np.zeros(60),
        "embeddings": rows_of(1),
        "trials": make_trials(),
        "cohort": Cohort(rows_of(2, 20)),
        "top_k": 5,
    }
    with pytest.raises(ValueError, match=message):
        normalise(**{**given, **change})


def test_a_known_speaker_is_named(caplog):
    trials, rows = make_trials(), rows_of(1)
    scores = cosine_scores(rows, trials)
    names = ["id7", *(f"dev{n}" for n in range(9))]
    with caplog.at_level(logging.WARNING):
        normalise(scores, rows, trials, Cohort(rows_of(2, 10), names), "s")
    assert "1 of 10 cohort speakers are in the trials too (id7)" in caplog.text
    caplog.clear()
    others = Cohort(rows_of(2, 10), [f"id{n}0" for n in range(1, 11)])
    normalise(scores, rows, trials, others, "s")
    assert not caplog.records


def test_cohort_is_the_mean_of_unit_rows():
    rows = rows_of(4, 30)
    speakers = np.random.default_rng(0).choice(["c", "a", "b"], 30)
    cohort = Cohort.from_utterances(torch.from_numpy(rows), list(speakers))
    assert cohort.speakers == ["a", "b", "c"] and len(cohort) == 3
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for name, row in zip("abc", cohort.embeddings, strict=True):
        np.testing.assert_allclose(
            row, unit[speakers == name].mean(0), atol=1e-6
        )
    centred = cohort.centred(cohort.mean)
    np.testing.assert_allclose(centred.mean, 0, atol=1e-6)
    assert centred.speakers == cohort.speakers


def test_broken_cohorts_are_named():
    with pytest.raises(ValueError, match="'an utterance of b' is zero"):
        Cohort.from_utterances(np.array([[1.0, 0], [0, 0]]), ["a", "b"])
    with pytest.raises(ValueError, match="'cohort speaker 1' is NaN"):
        Cohort(np.array([[1.0, 0], [np.nan, 0]]))
    with pytest.raises(ValueError, match=r"expected embeddings \[1, dim\]"):
        Cohort(np.ones((2, 3)), ["a"])


def test_centring_takes_away_what_all_share():
    """A common offset makes all alike; without it scores are as before."""
    rng, trials = np.random.default_rng(5), make_trials()
    unit = rng.normal(size=(25, 12))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    offset = np.full(12, 2.0)
    shifted = unit + offset
    lengths = np.linalg.norm(shifted, axis=1, keepdims=True)
    # The mean of unit-norm rows, by the definition of `centre`.
    mean = (shifted / lengths).mean(0)
    plain = cosine_scores(shifted, trials)
    centred = cosine_scores(centre(shifted, mean), trials)
    assert np.abs(plain).min() > 0.9 and np.abs(centred).mean() < 0.5
    with pytest.raises(ValueError, match=r"finite mean \[12\].*shape \[3\]"):
        centre(shifted, np.zeros(3))
    with pytest.raises(ValueError, match="finite mean"):
        centre(shifted, np.full(12, np.inf))
