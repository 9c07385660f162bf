"""Cosines with centres as they are, recomputed by loops."""

import copy

import pytest
import torch

from speechbrain_kd.losses import CentreCosines, CentrePosteriors

LABELS = torch.tensor([1, 0, 1, -2, -1])


def embeddings(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(**given):
    """A term for three classes and two unlabelled utterances."""
    term = CentreCosines(**given)
    term.expect(classes=3, unlabelled=2)
    return term


def by_hand(student, batches, centre):
    """Mean squared error of the last batch, over the centres of all."""
    views = {}
    for teacher, labels in batches:
        for row, label in zip(teacher, labels.tolist(), strict=True):
            views.setdefault(label, []).append(row / row.norm())
    means = [sum(rows) / len(rows) for rows in views.values()]
    mean = sum(means) / len(means) if centre else torch.zeros(6)
    errors = []
    for own, other in zip(student, batches[-1][0], strict=True):
        other = other / other.norm() - mean
        for row in means:
            cosines = [
                float((side @ (row - mean)) / side.norm() / (row - mean).norm())
                for side in (own, other)
            ]
            errors.append((cosines[0] - cosines[1]) ** 2)
    return sum(errors) / len(errors)


@pytest.mark.parametrize("centre", [False, True])
def test_by_hand_over_batches(centre):
    term, student = made(centre=centre), embeddings(5, 6)
    batches = [
        (embeddings(5, 6, seed=1), LABELS),
        (embeddings(5, 6, seed=2), LABELS.flip(0)),
    ]
    for number in (1, 2):
        expected = by_hand(student, batches[:number], centre)
        found = term(student, *batches[number - 1]).item()
        assert found == pytest.approx(expected, rel=1e-4)
    assert term.centres.counts.tolist() == [2, 4, 0, 2, 2]


def test_least_where_equal_and_free_of_length():
    term, teacher = made(centre=False), embeddings(5, 6)
    assert term(2 * teacher, teacher, LABELS) < 1e-12
    other = embeddings(5, 6, seed=1)
    loss = term.eval()(other, teacher, LABELS)
    assert loss > 0.01
    assert torch.allclose(loss, term(3 * other, 5 * teacher, LABELS))


def test_what_all_embeddings_share_is_taken_off():
    term, teacher = made(), embeddings(5, 6)
    unit = torch.nn.functional.normalize(teacher, dim=1)
    labels = torch.tensor([0, 1, 2, -1, -2])  # each its own voice
    assert term(unit - unit.mean(dim=0), teacher, labels) < 1e-12
    assert term(unit, teacher, labels) > 1e-4


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


def test_gradient_to_the_student_alone():
    student = embeddings(5, 6).requires_grad_()
    teacher = embeddings(5, 6, seed=1).requires_grad_()
    made()(student, teacher, LABELS).backward()
    assert student.grad.norm(dim=1).min() > 0 and teacher.grad is None


def test_nothing_is_met_in_eval_mode_and_the_rest_is_resumed():
    old, new = made(), made()
    old(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    before = copy.deepcopy(old.state_dict())
    new.load_state_dict(before)
    batch = embeddings(5, 6, seed=2), embeddings(5, 6, seed=3), LABELS
    old.eval()(*batch)
    assert all(
        torch.equal(old.state_dict()[key], before[key]) for key in before
    )
    assert torch.equal(old.train()(*batch), new(*batch))


def test_bf16_and_extremes_are_finite():
    term = made()
    student = (1e4 * embeddings(5, 6)).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = term(student, -student.detach(), LABELS)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert student.grad.isfinite().all()


def test_labels_are_needed():
    with pytest.raises(ValueError, match="needs the labels"):
        made()(embeddings(5, 6), embeddings(5, 6))
