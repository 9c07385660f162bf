"""Class centres, recomputed by loops."""

import math

import pytest
import torch

from speechbrain_kd.losses import DistillationObjective, TeacherCentres
from speechbrain_kd.losses.centres import KINDS

SCALE, MARGIN = 20.0, 0.3
LABELS = torch.tensor([1, 0, 1, 3, -1])


def embeddings(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(kind="frozen", classes=4, **given):
    """A term that has heard of the first three classes."""
    term = TeacherCentres(kind, SCALE, **({"margin": MARGIN} | given))
    term.learn(embeddings(30, 6, seed=1), torch.arange(30) % 3)
    term.expect(classes)
    return term


def by_hand(student, rows, labels, classes):
    """Mean over utterances; only these classes are there."""
    losses = []
    for row, label in zip(student, labels.tolist(), strict=True):
        if label not in classes:
            continue
        angles = {
            one: math.acos(
                torch.cosine_similarity(row, rows[one], dim=0).item()
            )
            for one in classes
        }
        assert angles[label] + MARGIN < math.pi
        angles[label] += MARGIN
        logits = [SCALE * math.cos(angle) for angle in angles.values()]
        total = math.log(sum(math.exp(logit) for logit in logits))
        losses.append(total - SCALE * math.cos(angles[label]))
    return sum(losses) / len(losses)


def test_centres_are_means_of_unit_embeddings():
    rows = made().rows
    unit = torch.nn.functional.normalize(embeddings(30, 6, seed=1), dim=1)
    for label in range(3):
        mean = unit[label::3].mean(dim=0)
        assert torch.allclose(rows[label], mean / mean.norm(), atol=1e-6)
    assert made().known.tolist() == [True, True, True, False]


def test_frozen_by_hand_without_unknown_classes():
    term = made()
    student, teacher = embeddings(5, 6, seed=2), embeddings(5, 6, seed=3)
    expected = by_hand(student, term.rows, LABELS, [0, 1, 2])
    assert term(student, teacher, LABELS).item() == pytest.approx(expected)
    moved = term(7 * student, -teacher, LABELS).item()
    assert moved == pytest.approx(expected)  # the length is left free


def test_trained_centres_learn_and_begin_anywhere_where_unheard():
    term, again = made("trained"), made("trained")
    (rows,) = term.parameters()
    assert torch.equal(rows, again.rows)
    assert rows[3].norm().item() == pytest.approx(1.0)
    student = embeddings(5, 6, seed=2).requires_grad_()
    teacher = embeddings(5, 6, seed=3).requires_grad_()
    loss = term(student, teacher, LABELS)
    expected = by_hand(student.detach(), rows.detach(), LABELS, range(4))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert rows.grad.abs().sum() > 0 and student.grad[:4].abs().sum() > 0
    assert teacher.grad is None and not student.grad[4].any()


def test_following_by_hand():
    term = made("following")
    before = term.rows.clone()
    student = embeddings(5, 6, seed=2)
    # Near enough that α is neither 0 nor 1 for the first.
    teacher = student + 0.3 * embeddings(5, 6, seed=3)
    student[0] = before[1] + 0.5 * student[0]
    teacher[0] = before[1] + 0.3 * teacher[0]
    student.requires_grad_()
    loss = term(student, teacher, LABELS)
    moved = {}
    for row, label in enumerate(LABELS.tolist()):
        unit = teacher[row] / teacher[row].norm()
        first = torch.cosine_similarity(student[row], teacher[row], dim=0)
        second = torch.cosine_similarity(before[label], teacher[row], dim=0)
        stay = max((first * second).item(), 0.0)
        if row == 0:
            assert 0.1 < stay < 0.95
        if label == 3:
            stay = 0.0
        if label >= 0:
            step = stay * before[label] + (1 - stay) * unit
            moved.setdefault(label, []).append(step)
    for label, rows in moved.items():
        mean = torch.stack(rows).mean(dim=0)
        assert torch.allclose(term.rows[label], mean, atol=1e-6)
    assert torch.equal(term.rows[2], before[2])
    expected = by_hand(student.detach(), term.rows, LABELS, range(4))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert not list(term.parameters()) and student.grad.abs().sum() > 0


def test_following_stays_in_eval_mode_and_is_resumed():
    term = made("following").eval()
    before = term.rows.clone()
    rows = embeddings(5, 6, seed=2)
    term(rows, rows, LABELS)
    assert torch.equal(term.rows, before)
    term.train()(rows, rows, LABELS)
    resumed = made("following")
    resumed.load_state_dict(term.state_dict())
    assert torch.equal(resumed.rows, term.rows)
    assert torch.equal(resumed.known, term.known)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_minimum_at_the_centres_and_bf16(kind):
    term = TeacherCentres(kind, SCALE, margin=0.0)
    term.learn(torch.eye(4), torch.arange(4))
    labels = torch.arange(4)
    best = term.eval()(torch.eye(4), torch.eye(4), labels)
    worse = term(torch.eye(4) + 0.3, torch.eye(4), labels)
    assert best < 1e-4 and worse > 2 * best
    half = term(torch.eye(4).bfloat16(), torch.eye(4).bfloat16(), labels)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, best)


def test_the_margin_may_rise():
    term = made(margin=[0.0, 0.4, 2, 4])
    rows = embeddings(5, 6, seed=2)
    losses = []
    for epoch in (0, 3, 9):
        term.on_progress(epoch)
        assert term.cost.margin == pytest.approx([0, 0.2, 0.4][len(losses)])
        losses.append(term(rows, rows, LABELS).item())
    assert losses == sorted(losses) and losses[0] < losses[2]


def test_the_objective_hands_over_the_projected_student():
    term = made("trained")
    objective = DistillationObjective(
        {"centres": term}, {"classification": 0.0, "centres": 1.0}
    )
    objective.project(3, 6)
    student, teacher = embeddings(5, 3), embeddings(5, 6)
    loss = objective({"embeddings": student}, {"embeddings": teacher}, LABELS)
    expected = term(objective.projector(student), teacher, LABELS)
    assert torch.equal(loss["centres"], expected)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="one of frozen, trained, following"):
        TeacherCentres("thawed")
    with pytest.raises(ValueError, match="scale must be positive"):
        TeacherCentres(scale=0)
    with pytest.raises(ValueError, match="centre needs centres: mean; got 'fr"):
        TeacherCentres(centre=True)
    with pytest.raises(ValueError, match=r"margin: expected.*\[from, to"):
        TeacherCentres(margin=[0.0, 0.2])
    with pytest.raises(ValueError, match="has learned from none"):
        TeacherCentres().expect(3)
    with pytest.raises(ValueError, match=r"got \[3, 2\] and \[2\]"):
        TeacherCentres().learn(torch.ones(3, 2), torch.tensor([0, 1]))
    rows = torch.ones(2, 6)
    with pytest.raises(ValueError, match="needs the labels"):
        made()(rows, rows)


@pytest.mark.parametrize("centre", [False, True])
def test_means_of_views_tell_unlabelled_utterances_apart(centre):
    term = TeacherCentres("mean", SCALE, margin=MARGIN, centre=centre)
    assert not term.learns and term.takes_unlabelled
    term.expect(classes=4, unlabelled=2)
    student, teacher = embeddings(5, 6, seed=2), embeddings(5, 6, seed=3)
    unit = torch.nn.functional.normalize(teacher, dim=1)
    rows = torch.zeros(6, 6)
    for row, place in zip(unit, [1, 0, 1, 3, 4], strict=True):
        rows[place] += row / (2 if place == 1 else 1)
    if centre:
        met = [0, 1, 3, 4]
        rows[met] -= rows[met].mean(dim=0)
    expected = by_hand(
        student, rows, torch.tensor([1, 0, 1, 3, 4]), [0, 1, 3, 4]
    )
    loss = term(student, teacher, LABELS)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    again = term.eval()(student, teacher, torch.tensor([2, -2, 1, 3, -1]))
    kept = by_hand(
        student[2:], rows, torch.tensor([1, 3, 4]), [0, 1, 3, 4]
    )  # classes that were never met are left out
    assert again.item() == pytest.approx(kept, rel=1e-5)
