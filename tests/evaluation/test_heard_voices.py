"""Voices among utterances without labels, by embeddings."""

import numpy as np
import pytest
import torch
from linkage_by_pairs import joined
from torch.nn.functional import normalize

from speechbrain_kd.evaluation.heard_voices import (
    NO_VOICE,
    clearest_threshold,
    group_means,
    most_alike,
    voices_of,
)
from speechbrain_kd.evaluation.linkage import linked
from speechbrain_kd.evaluation.unit_rows import unit_rows


def utterances(persons, each=6, spread=0.6, seed=0, dim=48):
    """Embeddings of utterances in a random order, and whose they are."""
    draw = torch.Generator().manual_seed(seed)
    voices = normalize(torch.randn(persons, dim, generator=draw))
    noise = torch.randn(persons * each, dim, generator=draw) / dim**0.5
    rows = voices.repeat_interleave(each, 0) + spread * noise
    order = torch.randperm(len(rows), generator=draw)
    names = [f"p{int(one) // each:02d}" for one in order]
    return rows[order], names


def by_all_pairs(embeddings, threshold):
    """Groups by joining the most alike two, over and over."""
    return joined(normalize(embeddings.double()).numpy(), threshold)


@pytest.mark.parametrize("threshold", [0.2, 0.35, 0.5, 0.7])
def test_linkage_is_that_of_all_pairs(threshold, monkeypatch):
    rows, _ = utterances(8, each=4, spread=1.0)
    monkeypatch.setattr("speechbrain_kd.evaluation.linkage._AT_ONCE", 250)
    wanted = by_all_pairs(rows, threshold)
    found = sorted(linked(unit_rows(rows), threshold))
    assert found == [one for one in wanted if len(one) > 1]
    numbers = voices_of(unit_rows(rows), threshold, least=3)
    kept = [one for one in wanted if len(one) > 2]
    assert len(kept) == numbers.max() + 1
    for number, group in enumerate(kept):
        assert np.flatnonzero(numbers == number).tolist() == group
    assert (numbers == NO_VOICE).sum() == len(rows) - sum(map(len, kept))


def test_too_many_hold_together(monkeypatch):
    monkeypatch.setattr("speechbrain_kd.evaluation.linkage._MOST_TOGETHER", 5)
    with pytest.raises(ValueError, match=r"6 of 12 hold together by pairs"):
        voices_of(np.eye(2).repeat(6, 0), 0.5, 2)


def test_the_threshold_finds_the_speakers():
    rows, names = utterances(30)
    threshold, agreement = clearest_threshold(rows, names)
    assert agreement == 1 and 0.3 < threshold < 0.9
    others, whose = utterances(25, seed=3)
    numbers = voices_of(unit_rows(others), threshold, least=2)
    pairs = set(zip(numbers.tolist(), whose, strict=True))
    assert len(pairs) == 25 and numbers.min() == 0


def test_the_threshold_is_the_best_of_all():
    """Where voices overlap, by the pairs that groups and speakers share."""
    rows, names = utterances(16, each=5, spread=1.5, seed=5)
    threshold, agreement = clearest_threshold(rows, names)
    assert 0.5 <= agreement < 1
    whose = np.array(names)

    def rand_index(tried):
        label = np.arange(len(rows))
        for group in by_all_pairs(rows, tried):
            label[group] = group[0]
        upper = np.triu_indices(len(rows), 1)
        together = (label[:, None] == label)[upper]
        true = (whose[:, None] == whose)[upper]
        chance = together.sum() * true.sum() / len(true)
        most = (together.sum() + true.sum()) / 2
        return ((together & true).sum() - chance) / (most - chance)

    assert rand_index(threshold) == pytest.approx(agreement)
    for tried in (0.2, threshold - 0.07, threshold + 0.07, 0.8):
        assert rand_index(tried) <= agreement + 1e-9


def test_some_speakers_of_many(monkeypatch):
    rows, names = utterances(40)
    monkeypatch.setattr("speechbrain_kd.evaluation.heard_voices._MOST", 100)
    threshold, agreement = clearest_threshold(rows, names)
    assert agreement == 1 and 0.2 <= threshold < 0.9


def test_no_threshold_from_what_tells_nothing():
    rows, names = utterances(20)
    with pytest.raises(ValueError, match="does not tell these voices apart"):
        clearest_threshold(torch.randn(len(rows), 48), names)
    with pytest.raises(ValueError, match="9 speakers have two utterances"):
        clearest_threshold(*utterances(9))
    with pytest.raises(ValueError, match="as many speakers; got"):
        clearest_threshold(rows, names[1:])


def test_mean_cosines_by_a_loop():
    one, _ = utterances(3, each=4, spread=1.0)
    other, _ = utterances(2, each=5, spread=1.0, seed=1)
    groups = np.array([0, 1, 1, -1] * 3)
    others = np.array([2, 0, -1, 1, 2] * 2)
    unit, means = unit_rows(one * 3), group_means(unit_rows(other), others)
    found = group_means(unit, groups) @ means.T
    assert found.shape == (2, 3)
    alone = group_means(unit, np.arange(len(one))) @ means.T
    most = most_alike(unit, means)
    assert most.tolist() == pytest.approx(alone.max(axis=1).tolist())
    for a in range(2):
        for b in range(3):
            pairs = [
                torch.cosine_similarity(x, y, dim=0).item()
                for x, g in zip(one, groups, strict=True)
                for y, h in zip(other, others, strict=True)
                if g == a and h == b
            ]
            assert found[a, b] == pytest.approx(np.mean(pairs), abs=1e-6)
