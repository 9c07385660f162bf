"""Posteriors over centres, recomputed by loops."""

import math

import pytest
import torch
from centres_by_hand import (
    LABELS,
    centres_by_hand,
    embeddings,
    is_as_by_hand,
    made,
)

from speechbrain_kd.losses import CentrePosteriors


def by_hand(student, batches, centre, temperature=0.05):
    """KL of the last batch over the centres of all batches."""
    centres, mean = centres_by_hand(batches, centre)

    def posterior(row):
        exps = [
            math.exp(float(row @ centre) / row.norm().item() / temperature)
            for centre in centres
        ]
        return [value / sum(exps) for value in exps]

    total = 0.0
    for own, other in zip(student, batches[-1][0], strict=True):
        other = other / other.norm() - mean
        for p, q in zip(posterior(other), posterior(own), strict=True):
            total += p * (math.log(p) - math.log(q))
    return total / len(student)


@pytest.mark.parametrize("centre", [False, True])
def test_by_hand_over_batches(centre):
    is_as_by_hand(made(CentrePosteriors, centre=centre), by_hand, centre)


def test_least_where_equal_and_free_of_length():
    term, teacher = made(CentrePosteriors), embeddings(5, 6)
    assert term(2 * teacher, teacher, LABELS).abs() < 1e-6
    other = embeddings(5, 6, seed=1)
    loss = term.eval()(other, teacher, LABELS)
    assert loss > 0.1
    assert torch.allclose(loss, term(3 * other, 5 * teacher, LABELS))


def test_bf16_and_extremes_are_finite():
    term = made(CentrePosteriors, temperature=0.01)
    student = embeddings(5, 6).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = term(student, -student.detach(), LABELS)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_is_checked(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        CentrePosteriors(temperature=temperature)
