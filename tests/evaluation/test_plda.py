"""PLDA: SpeechBrain's scores, by blocks; better than a cosine where it can."""

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import TrialList, cosine_scores, eer, plda
from speechbrain_kd.evaluation.plda import PldaScorer

DIM = 6


def make_rows(speakers, each, seed):
    """Embeddings with most noise where voices differ least, and a mean."""
    rng = np.random.default_rng(seed)
    voices = rng.normal(size=(speakers, DIM)) * np.linspace(1, 0.2, DIM)
    noise = rng.normal(size=(speakers, each, DIM)) * np.linspace(0.2, 1, DIM)
    rows = (0.5 + voices[:, None] + noise).reshape(-1, DIM)
    return rows, [f"s{n // each}" for n in range(speakers * each)]


def make_trials(speakers, count=2000):
    rng, names = np.random.default_rng(3), np.asarray(speakers)
    enrol, test = rng.integers(len(names), size=(2, count))
    return TrialList(
        names[enrol] == names[test],
        enrol,
        test,
        list(map(str, range(len(names)))),
    )


@pytest.fixture(scope="module")
def trained():
    return PldaScorer().fit(*make_rows(150, 8, seed=0))


def log_normal(row, cov):
    """Log-density of a Gaussian around zero, but for a constant."""
    return -0.5 * (np.linalg.slogdet(cov)[1] + row @ np.linalg.solve(cov, row))


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_scores_are_log_likelihood_ratios(monkeypatch, trained, block):
    """Of the joint Gaussian of two embeddings, by its definition."""
    monkeypatch.setattr(plda, "BLOCK_SIZE", block)
    rows, speakers = make_rows(5, 4, seed=1)
    other = make_rows(5, 4, seed=2)[0]
    trials = make_trials(speakers, 50)
    between = trained.model.F @ trained.model.F.T
    total = between + trained.model.Sigma
    zero = np.zeros_like(between)
    one = np.block([[total, between], [between, total]])
    two = np.block([[total, zero], [zero, total]])

    def prepared(row):
        row = row / np.linalg.norm(row) - trained.mean
        return row / np.linalg.norm(row) - trained.model.mean

    expected = []
    for e, t in zip(trials.enrol, trials.test, strict=True):
        both = np.concatenate([prepared(rows[e]), prepared(other[t])])
        expected.append(log_normal(both, one) - log_normal(both, two))
    scores = trained.score(torch.from_numpy(rows), trials, other)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_better_than_a_cosine_where_noise_has_a_direction(trained):
    rows, speakers = make_rows(30, 6, seed=1)
    trials = make_trials(speakers)
    by_plda = eer(*trials.split(trained.score(rows, trials)))
    by_cosine = eer(*trials.split(cosine_scores(rows, trials)))
    assert by_plda < 0.8 * by_cosine


def test_the_same_whatever_the_order_of_training():
    rows, speakers = make_rows(40, 5, seed=0)
    order = np.random.default_rng(0).permutation(len(rows))
    trials = make_trials(speakers, 40)
    one = PldaScorer(rank=4).fit(rows, speakers)
    other = PldaScorer(rank=4).fit(rows[order], [speakers[n] for n in order])
    assert one.model.F.shape == (DIM, 4)
    np.testing.assert_allclose(
        one.score(rows, trials), other.score(rows, trials), atol=1e-3
    )


@pytest.mark.parametrize(
    "speakers, each, rank, message",
    [
        (1, 20, None, "20 utterances of 1 speakers"),
        (20, 1, None, "20 utterances of 20 speakers"),
        (3, 2, None, "needs more than 6 utterances, got 6"),
        (4, 5, 4, "rank 4 is above 3.* 4 speakers"),
        (9, 5, 7, "rank 7 is above 6.*6 dim"),
    ],
)
def test_too_little_to_train_on(speakers, each, rank, message):
    with pytest.raises(ValueError, match=message):
        PldaScorer(rank=rank).fit(*make_rows(speakers, each, seed=0))


def test_bad_use_is_named(trained):
    trials = TrialList([1, 0], [0, 0], [1, 1], ["a", "b"])
    with pytest.raises(ValueError, match="trained by `fit` before"):
        PldaScorer().score(np.ones((2, DIM)), trials)
    with pytest.raises(ValueError, match="on 6 dimensions, got .* of 3"):
        trained.score(np.ones((2, 3)), trials)
    with pytest.raises(ValueError, match="at least 1, got 0 and 10"):
        PldaScorer(rank=0)
    rows, speakers = make_rows(4, 5, seed=0)
    rows[7] = np.nan
    with pytest.raises(ValueError, match="'an utterance of s1' is NaN"):
        PldaScorer().fit(rows, speakers)
