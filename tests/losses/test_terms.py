"""Every term against a plain loop, its minimum, its gradient, its dtype."""

import math

import pytest
import torch

from speechbrain_kd.losses import (
    CosineEmbedding,
    PosteriorKL,
    SquaredErrorEmbedding,
)

BATCH, DIM = 5, 7
TERMS = {
    "cosine": CosineEmbedding(),
    "squared": SquaredErrorEmbedding(),
    "squared, raw": SquaredErrorEmbedding(normalise=False),
    "posteriors": PosteriorKL(scale=30.0, temperature=2.0),
    "posteriors, linear teacher": PosteriorKL(30.0, 2.0, teacher_scale=30.0),
}


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(BATCH, DIM, generator=generator),
        torch.randn(BATCH, DIM, generator=generator),
    )


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_cosine_by_a_loop(pair):
    student, teacher = (tensor.tolist() for tensor in pair)
    expected = 0.0
    for s, t in zip(student, teacher, strict=True):
        cosine = dot(s, t) / math.sqrt(dot(s, s) * dot(t, t))
        expected += (1 - cosine) / BATCH
    assert CosineEmbedding()(*pair).item() == pytest.approx(expected, rel=1e-5)


def test_raw_squared_error_by_a_loop(pair):
    student, teacher = (tensor.tolist() for tensor in pair)
    expected = 0.0
    for s, t in zip(student, teacher, strict=True):
        expected += sum((x - y) ** 2 for x, y in zip(s, t, strict=True)) / BATCH
    term = SquaredErrorEmbedding(normalise=False)
    assert term(*pair).item() == pytest.approx(expected, rel=1e-5)


def posterior(logits, scale, temperature):
    powers = [math.exp(scale * x / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("teacher_scale", [None, 1.0])
def test_posteriors_by_a_loop(pair, teacher_scale):
    term = PosteriorKL(3.0, 1.5, teacher_scale)
    expected = 0.0
    for s, t in zip(*(tensor.tolist() for tensor in pair), strict=True):
        ours = posterior(s, 3.0, 1.5)
        theirs = posterior(t, 3.0 if teacher_scale is None else 1.0, 1.5)
        for p, q in zip(theirs, ours, strict=True):
            expected += 1.5**2 * p * math.log(p / q) / BATCH
    assert term(*pair).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", TERMS)
def test_zero_at_equality_and_positive_elsewhere(pair, name):
    student, teacher = pair
    assert TERMS[name](student, student).item() == pytest.approx(0, abs=1e-5)
    assert TERMS[name](student, teacher).item() > 0.01


@pytest.mark.parametrize("name", TERMS)
def test_gradient_reaches_the_student_alone(pair, name):
    student, teacher = (tensor.clone().requires_grad_() for tensor in pair)
    TERMS[name](student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("name", TERMS)
def test_gradient_step_comes_closer(pair, name):
    student, teacher = pair[0].clone().requires_grad_(), pair[1]
    before = TERMS[name](student, teacher)
    before.backward()
    step = student.detach() - 1e-3 * student.grad
    assert TERMS[name](step, teacher) < before


@pytest.mark.parametrize("name", TERMS)
def test_bf16_inputs_and_autocast_give_fp32(pair, name):
    student, teacher = pair
    exact = TERMS[name](student.bfloat16().float(), teacher.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        value = TERMS[name](student.bfloat16(), teacher.bfloat16())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_wrong_shapes_are_named(pair, name):
    with pytest.raises(ValueError, match=r"\[5, 7\].*\[5, 6\]"):
        TERMS[name](pair[0], pair[1][:, :6])
    with pytest.raises(ValueError, match="one shape"):
        TERMS[name](pair[0][0], pair[1][0])


@pytest.mark.parametrize(
    "arguments", [{"scale": 0.0}, {"temperature": -1}, {"teacher_scale": 0}]
)
def test_scales_must_be_positive(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        PosteriorKL(**arguments)


def test_kl_is_finite_at_any_logit_gap():
    student = torch.tensor([[500.0, -500.0]], requires_grad=True)
    loss = PosteriorKL()(student, torch.tensor([[-500.0, 500.0]]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(student.grad).all()
