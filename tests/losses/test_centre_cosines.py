"""Cosines with centres as they are, recomputed by loops."""

import pytest
import torch
from centres_by_hand import (
    LABELS,
    centres_by_hand,
    embeddings,
    is_as_by_hand,
    made,
)

from speechbrain_kd.losses import CentreCosines, CentrePosteriors


def by_hand(student, batches, centre):
    """Mean squared error of the last batch, over the centres of all."""
    centres, mean = centres_by_hand(batches, centre)
    errors = []
    for own, other in zip(student, batches[-1][0], strict=True):
        other = other / other.norm() - mean
        for row in centres:
            cosines = [
                float((side @ row) / side.norm()) for side in (own, other)
            ]
            errors.append((cosines[0] - cosines[1]) ** 2)
    return sum(errors) / len(errors)


@pytest.mark.parametrize("centre", [False, True])
def test_by_hand_over_batches(centre):
    is_as_by_hand(made(CentreCosines, centre=centre), by_hand, centre)


def test_least_where_equal_and_free_of_length():
    term, teacher = made(CentreCosines, centre=False), embeddings(5, 6)
    assert term(2 * teacher, teacher, LABELS) < 1e-12
    other = embeddings(5, 6, seed=1)
    loss = term.eval()(other, teacher, LABELS)
    assert loss > 0.01
    assert torch.allclose(loss, term(3 * other, 5 * teacher, LABELS))


def test_sees_what_posteriors_do_not():
    """All cosines of an utterance moved by as much."""
    labels, centres = torch.arange(4), torch.eye(4, 5)

    def students(shift):
        """Unit rows; the last direction is one in which no centre lies."""
        rows = 0.1 * centres
        rows[:, :4] += shift
        rows[:, 4] = (1 - rows.square().sum(dim=1)).sqrt()
        return rows

    posteriors, cosines = CentrePosteriors(), CentreCosines(centre=False)
    for term in (posteriors, cosines):
        term.expect(classes=4)
    still, moved = (
        posteriors(students(by), centres, labels) for by in (0, 0.2)
    )
    assert moved.item() == pytest.approx(still.item(), rel=1e-4)
    still, moved = (cosines(students(by), centres, labels) for by in (0, 0.2))
    expected = 0.2**2 + 0.2 * 2 * (0 * 3 + 0.1 - 1) / 4
    assert (moved - still).item() == pytest.approx(expected, rel=1e-4)


def test_bf16_and_extremes_are_finite():
    term = made(CentreCosines)
    student = (1e4 * embeddings(5, 6)).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = term(student, -student.detach(), LABELS)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert student.grad.isfinite().all()
