"""Label-level terms: by a loop, minimum, gradient, invariances, extremes."""

import math

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from label_loops import (
    BATCH,
    CLASSES,
    LABELS,
    cosines,
    divergence,
    groups,
    rows,
    softmax,
)

from speechbrain_kd.losses import (
    ConfusionTriage,
    DecoupledLogits,
    PosteriorKL,
    StandardisedLogits,
)


def triage(epoch, **arguments):
    term = ConfusionTriage(**arguments)
    term.on_progress(epoch)
    return term


TERMS = {
    "standardised": StandardisedLogits(),
    "decoupled": DecoupledLogits(),
    "decoupled, T=4": DecoupledLogits(5.0, 4.0, 0.5, 8.0, teacher_scale=2.0),
    "triage, all others": triage(0),
    "triage, some": triage(20, scale=20.0),
    "triage, few": triage(99),
}


def value(term, student, teacher, labels=LABELS):
    return (
        term(student, teacher, labels)
        if term.needs_labels
        else term(student, teacher)
    )


@pytest.fixture
def pair():
    return cosines()


def test_standardised_by_a_loop(pair):
    expected = 0.0
    for student, teacher, _ in rows(*pair):
        posteriors = []
        for logits in (teacher, student):
            mean = sum(logits) / CLASSES
            spread = math.sqrt(sum((x - mean) ** 2 for x in logits) / CLASSES)
            posteriors.append(
                softmax([(x - mean) / spread / 3 for x in logits])
            )
        expected += 9 * divergence(*posteriors) / BATCH
    term = StandardisedLogits(temperature=3.0)
    assert term(*pair).item() == pytest.approx(expected, rel=1e-4)


def test_decoupled_by_a_loop(pair):
    term = DecoupledLogits(6.0, 1.5, 0.7, 3.0, teacher_scale=4.5)
    expected = 0.0
    for student, teacher, label in rows(*pair):
        others = [k for k in range(CLASSES) if k != label]
        masses, within = groups(
            [4 * x for x in student], [3 * x for x in teacher], label, others
        )
        expected += 1.5**2 * (0.7 * masses + 3.0 * within) / BATCH
    assert term(*pair, LABELS).item() == pytest.approx(expected, rel=1e-4)


def test_plain_kl_is_the_decoupled_one_with_the_rests_mass(pair):
    """Equation 8 of Zhao et al., for one utterance."""
    student, teacher = (side[:1] for side in pair)
    rest = 1 - (15 * teacher).softmax(-1)[0, 3].item()
    term = DecoupledLogits(30.0, 2.0, 1.0, rest_weight=rest)
    plain = PosteriorKL(30.0, 2.0)(student, teacher)
    assert torch.allclose(term(student, teacher, LABELS[:1]), plain, rtol=1e-4)


@pytest.mark.parametrize("name", TERMS)
def test_zero_at_equality_and_positive_elsewhere(pair, name):
    if name != "decoupled, T=4":  # of two scales: its minimum is elsewhere
        equal = value(TERMS[name], pair[0], pair[0])
        assert equal.item() == pytest.approx(0, abs=1e-5)
    assert value(TERMS[name], *pair).item() > 0.01


def test_minimum_where_the_scaled_logits_are_equal(pair):
    term = TERMS["decoupled, T=4"]
    least = value(term, pair[0], 2.5 * pair[0])
    assert least.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_gradient_reaches_the_student_alone(pair, name):
    student, teacher = (side.clone().requires_grad_() for side in pair)
    before = value(TERMS[name], student, teacher)
    before.backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    step = student.detach() - 1e-4 * student.grad
    assert value(TERMS[name], step, teacher) < before


@pytest.mark.parametrize("name", TERMS)
def test_a_shift_and_the_order_of_classes_change_nothing(pair, name):
    student, teacher = pair
    before = value(TERMS[name], student, teacher)
    shifts = torch.linspace(-2, 2, BATCH)[:, None]
    shifted = value(TERMS[name], student + shifts, teacher - 2 * shifts)
    assert torch.allclose(shifted, before, rtol=1e-3)
    order = torch.randperm(CLASSES, generator=torch.Generator().manual_seed(1))
    shuffled = value(
        TERMS[name],
        student[:, order],
        teacher[:, order],
        order.argsort()[LABELS],
    )
    assert torch.allclose(shuffled, before, rtol=1e-4)


@pytest.mark.parametrize("name", TERMS)
def test_log_probabilities_may_lie_anywhere(pair, name):
    student, teacher = ((64 * side).round() / 64 for side in pair)
    before = value(TERMS[name], student, teacher)
    low = value(TERMS[name], student - 1024, teacher - 2048)
    assert torch.allclose(low, before, rtol=0.02)


def test_standardised_ignores_the_scale_of_either_side(pair):
    student, teacher = pair
    scaled = StandardisedLogits()(30 * student, 0.2 * teacher)
    assert torch.allclose(scaled, StandardisedLogits()(*pair), rtol=1e-4)


@pytest.mark.parametrize("name", TERMS)
def test_bf16_inputs_and_autocast_give_fp32(pair, name):
    student, teacher = (side.bfloat16() for side in pair)
    exact = value(TERMS[name], student.float(), teacher.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = value(TERMS[name], student, teacher)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("gap", [110.0, 1e4])
@pytest.mark.parametrize("name", TERMS)
def test_finite_at_any_logit_gap(name, gap):
    high = torch.full((2, 4), -gap / 2).scatter(
        1, torch.tensor([[0], [2]]), gap
    )
    sides = [high, high.roll(1, dims=1), high.roll(2, dims=1), -high]
    sides += [torch.zeros(2, 4), gap * torch.arange(8.0).view(2, 4)]
    for teacher in sides:
        for student in sides:
            student = student.clone().requires_grad_()
            loss = value(TERMS[name], student, teacher, torch.tensor([0, 1]))
            loss.backward()
            assert loss.isfinite() and loss >= -1e-5
            assert student.grad.isfinite().all()


@pytest.mark.parametrize("name", ["decoupled", "triage, all others"])
def test_a_sure_teacher_still_tells_the_others_apart(name):
    """Where 1 minus the target's mass rounds to 0, and the plain KL is 0."""
    teacher = torch.tensor([[9.0, 0.3, 0.0, 0.1]])
    student = torch.tensor([[9.0, 0.0, 0.3, 0.1]])
    assert PosteriorKL()(student, teacher) < 1e-6
    assert value(TERMS[name], student, teacher, torch.tensor([0])) > 0.1


@pytest.mark.parametrize("name", TERMS)
def test_wrong_shapes_are_named(pair, name):
    with pytest.raises(ValueError, match=r"\[5, 9\].*\[5, 8\]"):
        value(TERMS[name], pair[0], pair[1][:, :8])
    if TERMS[name].needs_labels:
        with pytest.raises(ValueError, match=r"labels.*\[5\]; got \[5, 1\]"):
            TERMS[name](*pair, LABELS[:, None])
        with pytest.raises(ValueError, match="labels.*got None"):
            TERMS[name](*pair)


@pytest.mark.parametrize("term", [DecoupledLogits, ConfusionTriage])
def test_the_teachers_scale_follows_its_logits(term):
    free, given = term(), term(teacher_scale=7.0)
    for one in (free, given):
        one.meet(cosine_logits=False)
    assert (free.teacher_scale, given.teacher_scale) == (1.0, 7.0)
    free.meet(cosine_logits=True)
    assert free.teacher_scale == 30.0


@pytest.mark.parametrize(
    "term, arguments, match",
    [
        (StandardisedLogits, {"temperature": 0}, "temperature.*positive.*0"),
        (DecoupledLogits, {"scale": -1.0}, "scale.*positive.*-1.0"),
        (DecoupledLogits, {"rest_weight": -1.0}, "rest_weight.*least 0"),
        (ConfusionTriage, {"mass_weight": -1.0}, "mass_weight.*least 0"),
        (ConfusionTriage, {"last_share": 0.0}, "last_share.*positive"),
        (ConfusionTriage, {"first_share": 1.5}, "at most 1; got 1.5"),
        (ConfusionTriage, {"end_epoch": 5.0}, "end_epoch.*got 5.0 and 10.0"),
    ],
)
def test_arguments_are_checked(term, arguments, match):
    with pytest.raises(ValueError, match=f"{term.__name__}: .*{match}"):
        term(**arguments)


def test_in_yaml():
    fragment = """\
        terms:
            standardised: !new:speechbrain_kd.losses.StandardisedLogits
            decoupled: !new:speechbrain_kd.losses.DecoupledLogits
                rest_weight: 8
            triage: !new:speechbrain_kd.losses.ConfusionTriage
                end_epoch: 15
    """
    terms = load_hyperpyyaml(fragment)["terms"]
    assert terms["decoupled"].rest_weight == 8
    assert terms["triage"].end_epoch == 15
