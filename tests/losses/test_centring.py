"""Terms on embeddings less the teacher's mean, whitened or not."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from speechbrain_kd.losses import (
    CosineEmbedding,
    DistillationObjective,
    SquaredErrorEmbedding,
)

DIM = 5
WAYS = [
    {"centre": True},
    {"whiten": True},
    {"centre": True, "whiten": True, "shrinkage": 0.3},
]
TEACHERS = [way | {"sides": "teacher"} for way in WAYS]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def seen():
    """Training embeddings that lie to one side and along one axis."""
    return random(40, DIM, seed=1) * torch.tensor([3.0, 1, 1, 1, 0.2]) + 2


def taught(kind, way):
    term = kind(**way)
    term.learn(seen())
    return term


@pytest.mark.parametrize("kind", [CosineEmbedding, SquaredErrorEmbedding])
def test_off_is_the_plain_term(kind):
    student, teacher = random(2, 6, DIM)
    term = kind()
    assert not term.learns and not term.state_dict()
    mapped = term.centred(student, teacher)
    assert mapped[0] is student and mapped[1] is teacher


def by_a_loop(student, teacher, centre):
    """1 - cos of unit rows less the mean of unit training rows."""
    mean = [0.0] * DIM
    if centre:
        for row in seen().tolist():
            length = math.sqrt(sum(x * x for x in row))
            mean = [m + x / length / 40 for m, x in zip(mean, row, strict=True)]
    total = 0.0
    for pair in zip(student.tolist(), teacher.tolist(), strict=True):
        sides = []
        for row in pair:
            length = math.sqrt(sum(x * x for x in row))
            side = [x / length - m for x, m in zip(row, mean, strict=True)]
            length = math.sqrt(sum(x * x for x in side))
            sides.append([x / length for x in side])
        total += 1 - sum(x * y for x, y in zip(*sides, strict=True))
    return total / len(student)


def test_centred_by_a_loop():
    student, teacher = random(2, 6, DIM)
    term = taught(CosineEmbedding, {"centre": True})
    expected = by_a_loop(student, teacher, centre=True)
    assert term(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    plain = by_a_loop(student, teacher, centre=False)
    assert abs(plain - expected) > 0.01
    squared = taught(SquaredErrorEmbedding, {"centre": True})
    both = squared(student, teacher).item()
    assert both == pytest.approx(2 * expected, rel=1e-5)


@pytest.mark.parametrize("kind", [CosineEmbedding, SquaredErrorEmbedding])
def test_the_teachers_side_alone(kind):
    """Equal to the plain term on a teacher whose mean was taken off by hand."""
    student, teacher = random(2, 6, DIM)
    term = taught(kind, {"centre": True, "sides": "teacher"})
    mean = normalize(seen(), dim=-1).mean(dim=0)
    moved = normalize(teacher, dim=-1) - mean
    torch.testing.assert_close(term(student, teacher), kind()(student, moved))
    both = taught(kind, {"centre": True})(student, teacher)
    assert (term(student, teacher) - both).abs() > 1e-3


def test_sides_that_are_none():
    with pytest.raises(ValueError, match="CosineEmbedding: sides .*'student'"):
        CosineEmbedding(centre=True, sides="student")


@pytest.mark.parametrize("way", TEACHERS)
@pytest.mark.parametrize("kind", [CosineEmbedding, SquaredErrorEmbedding])
def test_the_teachers_side_at_its_minimum(kind, way):
    term = taught(kind, way)
    student, teacher = (x.requires_grad_() for x in random(2, 6, DIM))
    _, target = term.centred(student, teacher)
    assert term(target, teacher).item() == pytest.approx(0, abs=1e-5)
    before = term(student, teacher)
    before.backward()
    assert before > 0.01 and teacher.grad is None
    assert term(student.detach() - 1e-3 * student.grad, teacher) < before
    torch.testing.assert_close(
        term(7 * student, 0.1 * teacher), term(student, teacher)
    )
    exact = term(student.bfloat16().float(), teacher.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        value = term(student.bfloat16(), teacher.bfloat16())
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


def test_whitened_embeddings_vary_alike():
    """At little shrinkage; at 1 whitening is a scale and does nothing."""
    rows = normalize(seen(), dim=-1)
    term = taught(
        CosineEmbedding, {"centre": True, "whiten": True, "shrinkage": 1e-6}
    )
    mapped, _ = term.centred(seen(), seen())
    assert torch.allclose(mapped.mean(0), torch.zeros(DIM), atol=1e-3)
    assert torch.allclose(mapped.T @ mapped / 40, torch.eye(DIM), atol=1e-2)
    student, teacher = random(2, 6, DIM)
    whole = taught(CosineEmbedding, {"whiten": True, "shrinkage": 1.0})
    plain = CosineEmbedding()(student, teacher)
    torch.testing.assert_close(whole(student, teacher), plain)
    # Half way, against numpy-like algebra of the definition.
    half = taught(CosineEmbedding, {"whiten": True, "shrinkage": 0.5})
    covariance = torch.cov(rows.T, correction=0)
    shrunk = 0.5 * covariance + 0.5 * covariance.trace() / DIM * torch.eye(DIM)
    found = half.whitening @ shrunk @ half.whitening
    assert torch.allclose(found, torch.eye(DIM), atol=1e-4)


def test_raw_whitened_distance_is_mahalanobis():
    way = {"normalise": False, "whiten": True, "shrinkage": 1e-6}
    term = taught(SquaredErrorEmbedding, way)
    student, teacher = random(2, 6, DIM)
    precision = torch.linalg.inv(torch.cov(seen().T, correction=0))
    expected = sum(
        (gap @ precision @ gap).item() / 6 for gap in student - teacher
    )
    assert term(student, teacher).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [CosineEmbedding, SquaredErrorEmbedding])
class TestEvery:
    """What holds of every kind of mapping."""

    def test_minimum_and_gradient(self, kind, way):
        term = taught(kind, way)
        student, teacher = (x.requires_grad_() for x in random(2, 6, DIM))
        assert term(student, student).item() == pytest.approx(0, abs=1e-5)
        before = term(student, teacher)
        before.backward()
        assert before > 0.01 and teacher.grad is None
        step = student.detach() - 1e-3 * student.grad
        assert term(step, teacher) < before

    def test_length_says_nothing(self, kind, way):
        term = taught(kind, way)
        student, teacher = random(2, 6, DIM)
        torch.testing.assert_close(
            term(7 * student, 0.1 * teacher), term(student, teacher)
        )

    def test_bf16_gives_fp32(self, kind, way):
        term = taught(kind, way)
        student, teacher = random(2, 6, DIM).bfloat16()
        exact = term(student.float(), teacher.float())
        with torch.autocast("cpu", torch.bfloat16):
            value = term(student, teacher)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact.item(), rel=1e-5)

    def test_finite_where_nothing_is_left(self, kind, way):
        term = taught(kind, way)
        mean = normalize(seen(), dim=-1).mean(0).expand(3, DIM)
        for rows in (mean, 1e18 * mean, torch.zeros(3, DIM)):
            student = rows.clone().requires_grad_()
            loss = term(student, random(3, DIM))
            loss.backward()
            assert loss.isfinite() and student.grad.isfinite().all()

    def test_a_checkpoint_has_what_was_learned(self, kind, way):
        weights = {"classification": 1.0, "embedding": 1.0}

        def objective():
            return DistillationObjective({"embedding": kind(**way)}, weights)

        old, new = objective(), objective()
        old.terms["embedding"].learn(seen())
        new.load_state_dict(old.state_dict(), strict=True)
        pair = random(2, 6, DIM)
        term = new.terms["embedding"]
        assert torch.equal(term(*pair), old.terms["embedding"](*pair))
        again = objective()
        again.terms["embedding"].learn(seen() + 1)
        again.load_state_dict(old.state_dict(), strict=True)
        assert torch.equal(again.terms["embedding"](*pair), term(*pair))

    def test_untaught_is_refused(self, kind, way):
        with pytest.raises(ValueError, match="has learned from none: call"):
            kind(**way)(*random(2, 6, DIM))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.ones(1, 3), r"two utterances or more; got \[1, 3\]"),
        (torch.full((4, 3), torch.nan), "no numbers"),
        (torch.ones(4, 3), "the same embedding for all of 4"),
    ],
)
def test_what_teaches_nothing_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        CosineEmbedding(whiten=True).learn(rows)


@pytest.mark.parametrize("shrinkage", [0.0, 1.5])
def test_shrinkage_is_a_share(shrinkage):
    with pytest.raises(ValueError, match="shrinkage must be above 0"):
        SquaredErrorEmbedding(whiten=True, shrinkage=shrinkage)
