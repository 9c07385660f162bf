"""Models of several utterances: pooled, scored, refused."""

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import TrialList, cosine_scores
from speechbrain_kd.evaluation.enrolment import pool_enrolments

MODELS = {"s1": ("a", "b", "c"), "s2": ("c", "d")}


def make_trials():
    names = ["s1", "x", "s2", "a"]
    return TrialList([1, 0, 1], [0, 2, 2], [1, 3, 1], names, MODELS)


def test_scores_against_the_mean_of_unit_rows():
    trials = make_trials()
    assert trials.recordings == ["a", "b", "c", "x", "d"]
    rows = 10 * torch.randn(5, 8).double()
    unit = dict(zip(trials.recordings, rows / rows.norm(dim=1)[:, None]))
    one = (unit["a"] + unit["b"] + unit["c"]) / 3
    two = (unit["c"] + unit["d"]) / 2
    pooled = pool_enrolments(rows, trials)
    assert pooled.shape == (4, 8) and pooled.dtype == np.float32
    np.testing.assert_allclose(pooled[0], one, atol=1e-6)
    np.testing.assert_array_equal(pooled[1], rows[3].float())
    cos = torch.nn.functional.cosine_similarity
    pairs = [(one, unit["x"]), (two, unit["a"]), (two, unit["x"])]
    np.testing.assert_allclose(
        cosine_scores(pooled, trials),
        [cos(enrol, test, dim=0) for enrol, test in pairs],
        atol=1e-6,
    )


def test_a_list_without_models_keeps_its_rows():
    trials = TrialList([1], [0], [1], ["a", "b"])
    rows = np.float32([[3, 4], [0, 2]])
    np.testing.assert_array_equal(pool_enrolments(rows, trials), rows)


def test_bad_rows_are_named():
    trials, rows = make_trials(), np.ones((5, 4))
    with pytest.raises(ValueError, match=r"embeddings \[5, dim\].*recording"):
        pool_enrolments(rows[:4], trials)
    rows[2] = 0
    with pytest.raises(ValueError, match="'c' is zero"):
        pool_enrolments(rows, trials)
    rows[2], rows[4] = 1, -1
    with pytest.raises(ValueError, match="model 's2' cancel each other out"):
        pool_enrolments(rows, trials)


def test_a_model_has_an_utterance():
    with pytest.raises(ValueError, match="model 's' is enrolled with no utt"):
        TrialList([1], [0], [1], ["s", "x"], {"s": ()})
