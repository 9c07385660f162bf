"""Cosine scores against a loop over the trials."""

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import TrialList, cosine_scores, scoring


def make_trials(count, utterances, seed=0):
    """Random trials of so many utterances."""
    rng = np.random.default_rng(seed)
    enrol, test = rng.integers(utterances, size=(2, count))
    names = [f"u{number}" for number in range(utterances)]
    return TrialList(rng.random(count) < 0.5, enrol, test, names)


def loop(embeddings, trials):
    """One trial after the other in double precision."""
    rows = np.asarray(embeddings, dtype=np.float64)
    scores = []
    for one, other in zip(trials.enrol, trials.test, strict=True):
        lengths = np.linalg.norm(rows[one]) * np.linalg.norm(rows[other])
        scores.append(rows[one] @ rows[other] / lengths)
    return scores


@pytest.mark.parametrize("block", [1, 100, 2**24])
@pytest.mark.parametrize("count, utterances", [(900, 20), (40, 60), (1, 2)])
def test_agrees_with_a_loop(monkeypatch, block, count, utterances):
    monkeypatch.setattr(scoring, "BLOCK_SIZE", block)
    trials = make_trials(count, utterances)
    embeddings = 50 * torch.randn(utterances, 16)
    scores = cosine_scores(embeddings, trials)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, loop(embeddings, trials), atol=1e-6)


@pytest.mark.parametrize("advantage, expected", [(0, "sparse"), (1e9, "dense")])
def test_both_ways_agree(monkeypatch, advantage, expected):
    trials = make_trials(300, 30)
    embeddings = np.random.default_rng(1).normal(size=(30, 8))
    taken = []
    for way in ("sparse", "dense"):
        original = getattr(scoring, f"_{way}_scores")

        def record(*args, way=way, original=original):
            taken.append(way)
            return original(*args)

        monkeypatch.setattr(scoring, f"_{way}_scores", record)
    monkeypatch.setattr(scoring, "DENSE_ADVANTAGE", advantage)
    scores = cosine_scores(embeddings, trials)
    assert taken == [expected]
    np.testing.assert_allclose(scores, loop(embeddings, trials), atol=1e-6)


def test_length_does_not_matter_even_at_the_ends_of_float32():
    trials = make_trials(50, 10)
    embeddings = torch.randn(10, 4)
    scale = torch.logspace(-36, 36, 10)[:, None]
    np.testing.assert_allclose(
        cosine_scores(embeddings * scale, trials),
        cosine_scores(embeddings, trials),
        atol=1e-6,
    )


def test_never_beyond_one():
    trials = TrialList([True] * 64, range(64), range(64), ["u"] * 64)
    scores = cosine_scores(torch.randn(64, 192), trials)
    assert scores.max() <= 1.0
    np.testing.assert_allclose(scores, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "value, kind",
    [(0.0, "zero"), (float("nan"), "NaN or inf"), (float("inf"), "NaN or inf")],
)
def test_broken_embedding_is_named(value, kind):
    trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b.wav", "c"])
    embeddings = torch.ones(3, 2)
    embeddings[1] = value
    with pytest.raises(ValueError, match=f"'b.wav' is {kind}"):
        cosine_scores(embeddings, trials)


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3,), (3, 1, 4)])
def test_rows_must_fit(shape):
    trials = TrialList([True], [0], [2], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"embeddings \[3, dim\]"):
        cosine_scores(torch.ones(shape), trials)


@pytest.mark.parametrize("advantage", [0, 1e9])
def test_one_model_enrols_and_another_verifies(monkeypatch, advantage):
    monkeypatch.setattr(scoring, "DENSE_ADVANTAGE", advantage)
    trials = make_trials(300, 30)
    one, other = torch.randn(2, 30, 8)
    scores = cosine_scores(one, trials, test_embeddings=3 * other)
    expected = torch.nn.functional.cosine_similarity(
        one[trials.enrol], other[trials.test]
    )
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    np.testing.assert_allclose(
        cosine_scores(one, trials, one), cosine_scores(one, trials), atol=0
    )


def test_models_must_share_a_space():
    trials = TrialList([True], [0], [1], ["a", "b"])
    with pytest.raises(ValueError, match="8 dimensions and the test 4"):
        cosine_scores(torch.ones(2, 8), trials, torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"embeddings \[2, dim\]"):
        cosine_scores(torch.ones(2, 8), trials, torch.ones(3, 8))
