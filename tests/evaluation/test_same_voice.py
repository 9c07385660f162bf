"""Speakers that are one voice, by embeddings."""

import numpy as np
import pytest
import torch
from linkage_by_pairs import joined
from torch.nn.functional import normalize

from speechbrain_kd.evaluation.same_voice import same_voices


def corpus(persons, ids_of, utterances=6, spread=0.4, seed=0, dim=64):
    """Embeddings of persons, some of whom have several ids."""
    draw = torch.Generator().manual_seed(seed)
    voices = normalize(torch.randn(persons, dim, generator=draw))
    rows, names = [], []
    for person in range(persons):
        for number in range(ids_of.get(person, 1)):
            noise = torch.randn(utterances, dim, generator=draw) / dim**0.5
            rows.append(voices[person] + spread * noise)
            names += [f"p{person:02d}-{number}"] * utterances
    return torch.cat(rows), names


def by_all_pairs(embeddings, names, threshold):
    """Average linkage by joining the most alike two, over and over."""
    unit = normalize(embeddings.double()).numpy()
    ids = sorted(set(names))
    sums = np.stack([unit[np.array(names) == one].sum(axis=0) for one in ids])
    centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    groups = joined(centres, threshold)
    return sorted(sorted(ids[x] for x in one) for one in groups if one[1:])


def test_ids_of_one_person_are_found_and_no_others():
    rows, names = corpus(40, {3: 4, 17: 2})
    found = same_voices(rows, names)
    assert found.groups == [
        ["p03-0", "p03-1", "p03-2", "p03-3"],
        ["p17-0", "p17-1"],
    ]
    assert all(found.threshold < cosine <= 1 for cosine in found.likeness)
    assert found.persons()["p03-2"] == "p03-0" and len(found.persons()) == 6
    assert same_voices(*corpus(40, {})).groups == []


def test_the_order_and_length_of_embeddings_do_not_matter():
    rows, names = corpus(30, {1: 2, 2: 2})
    first = same_voices(rows, names, 0.8)
    order = torch.randperm(len(rows)).tolist()
    scaled = rows[order] * torch.rand(len(rows), 1).add(0.1)
    again = same_voices(scaled, [names[place] for place in order], 0.8)
    assert again.groups == first.groups
    assert np.allclose(again.likeness, first.likeness)


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.45, 0.6, 0.9])
def test_average_linkage_as_by_all_pairs(threshold):
    """Also where many are alike, and linkage has to choose."""
    rows, names = corpus(25, {1: 3, 2: 2}, spread=1.5, dim=24, utterances=2)
    expected = by_all_pairs(rows, names, threshold)
    if sum(map(len, expected)) > len(set(names)) / 2:
        with pytest.raises(ValueError, match="does not tell the voices"):
            same_voices(rows, names, threshold)
    else:
        assert same_voices(rows, names, threshold).groups == expected


def test_the_threshold_is_what_halves_of_a_speaker_reach():
    rows, names = corpus(100, {}, spread=0.8)
    found = same_voices(rows, names).threshold
    unit = normalize(rows.double()).view(100, 6, -1)
    halves = [normalize(unit[:, half::2].sum(1), dim=-1) for half in (0, 1)]
    cosines = (halves[0] * halves[1]).sum(1).numpy()
    assert found == pytest.approx(np.quantile(cosines, 0.05))


def test_a_model_that_cannot_tell_is_refused():
    rows = torch.ones(80, 4) + 0.01 * torch.randn(80, 4)
    names = [f"s{number // 4}" for number in range(80)]
    with pytest.raises(ValueError, match="20 of 20 speakers would share"):
        same_voices(rows, names)


def test_too_few_to_find_a_threshold_and_shapes():
    rows, names = corpus(9, {})
    with pytest.raises(ValueError, match="9 speakers have 4 .* give a thresh"):
        same_voices(rows, names)
    assert same_voices(rows, names, 0.9).groups == []
    with pytest.raises(ValueError, match=r"got \[54, 64\] and 53"):
        same_voices(rows, names[1:])
