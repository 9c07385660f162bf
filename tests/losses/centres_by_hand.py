"""A batch of voices, and their centres by hand, for terms on centres."""

import pytest
import torch

LABELS = torch.tensor([1, 0, 1, -2, -1])


def embeddings(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(kind, **given):
    """A term for three classes and two unlabelled utterances."""
    term = kind(**given)
    term.expect(classes=3, unlabelled=2)
    return term


def centres_by_hand(batches, centre):
    """The centres of all batches, of norm 1, and what is taken off."""
    views = {}
    for teacher, labels in batches:
        for row, label in zip(teacher, labels.tolist(), strict=True):
            views.setdefault(label, []).append(row / row.norm())
    means = [sum(rows) / len(rows) for rows in views.values()]
    mean = sum(means) / len(means) if centre else torch.zeros(6)
    return [(row - mean) / (row - mean).norm() for row in means], mean


def is_as_by_hand(term, by_hand, centre):
    """Two batches, the second over the centres of both."""
    student = embeddings(5, 6)
    batches = [
        (embeddings(5, 6, seed=1), LABELS),
        (embeddings(5, 6, seed=2), LABELS.flip(0)),
    ]
    for number in (1, 2):
        expected = by_hand(student, batches[:number], centre)
        found = term(student, *batches[number - 1]).item()
        assert found == pytest.approx(expected, rel=1e-4)
    assert term.centres.counts.tolist() == [2, 4, 0, 2, 2]
