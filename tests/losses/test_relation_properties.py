"""What holds of every term that relates utterances."""

from itertools import permutations

import pytest
import torch
from relations_by_hand import BATCH, DIM, SHAPES, TERMS, make, random

from speechbrain_kd.losses import ContrastiveQueue, QueueSimilarity


@pytest.mark.parametrize("name", [*SHAPES, "neighbours"])
def test_zero_at_equality_and_positive_elsewhere(name):
    student, teacher = random(2, BATCH, DIM)
    term = make(name)
    assert term(student, student).item() == pytest.approx(0, abs=1e-6)
    assert term(student, teacher).item() > 0.01


def test_contrast_is_least_for_the_right_utterances():
    teacher, term = random(BATCH, DIM), make("contrast")
    right = term(teacher, teacher)
    for places in list(permutations(range(BATCH)))[1::97]:
        assert term(teacher[list(places)], teacher) > right


@pytest.mark.parametrize("name", TERMS)
def test_gradient_reaches_the_student_alone_and_brings_it_closer(name):
    student, teacher = (x.requires_grad_() for x in random(2, BATCH, DIM))
    term = make(name)
    before = term(student, teacher)
    before.backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None
    step = student.detach() - 1e-3 * student.grad
    assert term(step, teacher) < before


@pytest.mark.parametrize("name", TERMS)
def test_what_changes_nothing(name):
    """All but the queues' terms: a rotation; for raw ones also a shift."""
    student, teacher = random(2, BATCH, DIM)
    term = make(name)
    value = term(student, teacher)
    torch.testing.assert_close(term(7 * student, teacher / 3), value)
    if "raw" not in name:
        lengths = torch.arange(1, BATCH + 1)[:, None]
        torch.testing.assert_close(term(lengths * student, teacher), value)
    else:
        torch.testing.assert_close(term(student + 3, teacher - 2), value)
    if name in SHAPES:
        turn = torch.linalg.qr(random(DIM, DIM, seed=2))[0]
        torch.testing.assert_close(term(student @ turn, teacher), value)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(term(student[order], teacher[order]), value)


@pytest.mark.parametrize("name", TERMS)
def test_bf16_inputs_and_autocast_give_fp32(name):
    student, teacher = random(2, BATCH, DIM).bfloat16()
    term = make(name)
    exact = term(student.float(), teacher.float())
    with torch.autocast("cpu", torch.bfloat16):
        held = student.requires_grad_()
        value = term(held, teacher)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert held.grad.isfinite().all()


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(
    "rows",
    [
        torch.ones(BATCH, DIM),
        1e4 * random(BATCH, DIM),
        1e-6 * random(BATCH, DIM),
        random(3, DIM).repeat(2, 1),
        random(1, DIM),
        random(2, DIM),
    ],
    ids=["equal", "large", "small", "twice", "one", "two"],
)
def test_finite_at_extremes(name, rows):
    for teacher in (rows, random(len(rows), DIM, seed=2)):
        student = rows.clone().requires_grad_()
        loss = make(name)(student, teacher)
        loss.backward()
        assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize("name", TERMS)
def test_wrong_shapes_are_named(name):
    with pytest.raises(ValueError, match=r"\[6, 5\].*\[6, 4\]"):
        make(name)(random(6, 5), random(6, 4))
    with pytest.raises(ValueError, match=r"\[batch, dim\]"):
        make(name)(random(6), random(6))


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: QueueSimilarity(size=0), "size must be positive; got 0"),
        (lambda: QueueSimilarity(temperature=0.0), "temperature must be"),
        (
            lambda: QueueSimilarity(teacher_temperature=-1.0),
            "teacher_temperature must be positive; got -1.0",
        ),
        (lambda: ContrastiveQueue(temperature=0.0), "temperature must be"),
    ],
)
def test_what_cannot_be(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()
