"""Terms that relate utterances to one another or a queue, by plain loops."""

import math
from itertools import combinations, permutations

import pytest
import torch
from relations_by_hand import (
    BATCH,
    DIM,
    TERMS,
    dot,
    huber,
    minus,
    random,
    unit,
    units,
)

from speechbrain_kd.losses import (
    ContrastiveQueue,
    CosineGram,
    QueueSimilarity,
    RelationalAngle,
    RelationalDistance,
    relational_angle,
)


def test_gram_by_a_loop():
    student, teacher = random(2, BATCH, DIM)
    ours, theirs = units(student), units(teacher)
    expected = 0.0
    for i in range(BATCH):
        for j in range(BATCH):
            gap = dot(ours[i], ours[j]) - dot(theirs[i], theirs[j])
            expected += gap**2 / BATCH**2
    found = CosineGram()(student, teacher).item()
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_distances_by_a_loop(normalise):
    student, teacher = random(2, BATCH, DIM)
    student = 30 * student + 5
    sides = []
    for rows in (student, teacher):
        rows = units(rows) if normalise else rows.tolist()
        apart = [math.dist(*pair) for pair in combinations(rows, 2)]
        sides.append([each * len(apart) / sum(apart) for each in apart])
    gaps = [huber(x - y) for x, y in zip(*sides, strict=True)]
    found = RelationalDistance(normalise)(student, teacher).item()
    assert found == pytest.approx(sum(gaps) / len(gaps), rel=1e-4)


def angles(rows):
    """Cosines at the second of every three rows."""
    return [
        dot(unit(minus(one, vertex)), unit(minus(other, vertex)))
        for one, vertex, other in permutations(rows, 3)
    ]


@pytest.mark.parametrize("at_once", [1, 2**22])
@pytest.mark.parametrize("normalise", [True, False])
def test_angles_by_a_loop(normalise, at_once, monkeypatch):
    monkeypatch.setattr(relational_angle, "_AT_ONCE", at_once)
    student, teacher = random(2, BATCH, DIM)
    student = 30 * student + 5
    sides = [
        angles(units(rows) if normalise else rows.tolist())
        for rows in (student, teacher)
    ]
    gaps = [huber(x - y) for x, y in zip(*sides, strict=True)]
    found = RelationalAngle(normalise)(student, teacher).item()
    assert found == pytest.approx(sum(gaps) / len(gaps), rel=1e-4)


def test_angles_where_the_student_hears_no_difference():
    """A direction of no length is at right angles to all, as in the paper."""
    student, teacher = random(2, BATCH, DIM)
    student[1] = student[0]
    sides = [angles(units(rows)) for rows in (student, teacher)]
    gaps = [huber(x - y) for x, y in zip(*sides, strict=True)]
    found = RelationalAngle()(student, teacher).item()
    assert found == pytest.approx(sum(gaps) / len(gaps), rel=1e-3)


@pytest.mark.parametrize("kind", [RelationalDistance, RelationalAngle])
def test_exact_far_from_the_origin(kind):
    student, teacher = random(2, BATCH, DIM)
    term = kind(normalise=False)
    near, far = term(student, teacher), term(student + 1000, teacher)
    torch.testing.assert_close(far, near, rtol=1e-3, atol=0)


def test_angles_in_pieces_have_the_gradient_of_the_whole(monkeypatch):
    grads = []
    for at_once in (2**22, 2 * BATCH**2):
        monkeypatch.setattr(relational_angle, "_AT_ONCE", at_once)
        student, teacher = random(2, BATCH, DIM)
        student.requires_grad_()
        RelationalAngle()(student, teacher).backward()
        grads.append(student.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("name", ["distance", "angle, raw"])
def test_gradients_by_small_steps(name):
    """The scale that is left out of the gradient does not belong to it."""
    term, teacher = TERMS[name](), random(BATCH, DIM, seed=1).double()
    student = random(BATCH, DIM).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rows: term.distance(rows, teacher), (student,), atol=1e-6
    )


def logits_by_a_loop(rows, others, temperature):
    return [[dot(row, other) / temperature for other in others] for row in rows]


def log_softmax(logits):
    total = math.log(sum(math.exp(x) for x in logits))
    return [x - total for x in logits]


@pytest.mark.parametrize("teacher_temperature", [None, 0.1])
def test_queue_similarity_by_a_loop(teacher_temperature):
    term = QueueSimilarity(9, 0.3, teacher_temperature)
    held, (student, teacher) = random(4, DIM, seed=3), random(2, BATCH, DIM)
    term(held, held)
    others = units(teacher) + units(held)
    expected = 0.0
    for ours, theirs in zip(
        logits_by_a_loop(units(student), others, 0.3),
        logits_by_a_loop(units(teacher), others, teacher_temperature or 0.3),
        strict=True,
    ):
        pairs = zip(log_softmax(theirs), log_softmax(ours), strict=True)
        expected += sum(math.exp(p) * (p - q) for p, q in pairs) / BATCH
    found = term(student, teacher).item()
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("same_above", [None, 0.2])
def test_contrast_by_a_loop(same_above):
    term = ContrastiveQueue(9, 0.3, same_above)
    held, (student, teacher) = random(4, DIM, seed=3), random(2, BATCH, DIM)
    term(held, held)
    own, others = units(teacher), units(teacher) + units(held)
    expected, left_out = 0.0, 0
    rows = logits_by_a_loop(units(student), others, 0.3)
    for row, logits in enumerate(rows):
        total = 0.0
        for place, logit in enumerate(logits):
            alike = dot(own[row], others[place]) > (same_above or 2)
            if alike and place != row:
                left_out += 1
            else:
                total += math.exp(logit)
        expected += (math.log(total) - logits[row]) / BATCH
    assert bool(left_out) == (same_above is not None)
    found = term(student, teacher).item()
    assert found == pytest.approx(expected, rel=1e-4)
