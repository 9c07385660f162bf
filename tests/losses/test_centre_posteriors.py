"""Posteriors over centres, recomputed by loops."""

import copy
import math

import pytest
import torch

from speechbrain_kd.losses import CentrePosteriors

LABELS = torch.tensor([1, 0, 1, -2, -1])


def embeddings(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(**given):
    """A term for three classes and two unlabelled utterances."""
    term = CentrePosteriors(**given)
    term.expect(classes=3, unlabelled=2)
    return term


def by_hand(student, batches, temperature=0.05, centre=False):
    """KL of the last batch over the centres of all batches."""
    views = {}
    for teacher, labels in batches:
        for row, label in zip(teacher, labels.tolist(), strict=True):
            views.setdefault(label, []).append(row / row.norm())
    means = [sum(rows) / len(rows) for rows in views.values()]
    mean = sum(means) / len(means) if centre else torch.zeros(6)
    centres = [(row - mean) / (row - mean).norm() for row in means]

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
    term, student = made(centre=centre), embeddings(5, 6)
    batches = [
        (embeddings(5, 6, seed=1), LABELS),
        (embeddings(5, 6, seed=2), LABELS.flip(0)),
    ]
    for number in (1, 2):
        teacher, labels = batches[number - 1]
        expected = by_hand(student, batches[:number], centre=centre)
        assert term(student, teacher, labels).item() == pytest.approx(
            expected, rel=1e-4
        )
    assert term.centres.counts.tolist() == [2, 4, 0, 2, 2]


def test_least_where_equal_and_free_of_length():
    term, teacher = made(), embeddings(5, 6)
    assert term(2 * teacher, teacher, LABELS).abs() < 1e-6
    other = embeddings(5, 6, seed=1)
    loss = term.eval()(other, teacher, LABELS)
    assert loss > 0.1
    assert torch.allclose(loss, term(3 * other, 5 * teacher, LABELS))


def test_what_all_embeddings_share_is_taken_off():
    term, teacher = made(centre=True), embeddings(5, 6)
    unit = torch.nn.functional.normalize(teacher, dim=1)
    # Each its own voice, so that the mean is that of the rows.
    labels = torch.tensor([0, 1, 2, -1, -2])
    assert term(unit - unit.mean(dim=0), teacher, labels).abs() < 1e-6
    assert term(unit, teacher, labels) > 1e-4


def test_gradient_to_the_student_alone():
    student = embeddings(5, 6).requires_grad_()
    teacher = embeddings(5, 6, seed=1).requires_grad_()
    made()(student, teacher, LABELS).backward()
    assert student.grad.norm(dim=1).min() > 0 and teacher.grad is None


def test_nothing_is_met_in_eval_mode():
    term = made()
    term(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    before = copy.deepcopy(term.state_dict())
    term.eval()(embeddings(5, 6), embeddings(5, 6, seed=2), LABELS)
    after = term.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_centres_are_saved_and_resumed():
    old, new = made(), made()
    old(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    new.load_state_dict(old.state_dict())
    batch = embeddings(5, 6, seed=2), embeddings(5, 6, seed=3), LABELS
    assert torch.equal(old(*batch), new(*batch))
    assert torch.equal(old.centres.sums, new.centres.sums)


def test_too_many_unlabelled_utterances_have_no_centres():
    term = made(most_unlabelled=1)
    loss = term(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    assert term.centres.counts.tolist() == [1, 2, 0] and loss > 0


def test_bf16_and_extremes_are_finite():
    term = made(temperature=0.01)
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


def test_labels_are_needed():
    with pytest.raises(ValueError, match="needs the labels"):
        made()(embeddings(5, 6), embeddings(5, 6))
