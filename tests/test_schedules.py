"""Schedules: values, and that they reach optimiser and loss."""

import math

import pytest
import torch
from speechbrain.nnet.losses import (
    AdditiveAngularMargin,
    AngularMargin,
    LogSoftmaxWrapper,
)

from speechbrain_kd.schedules import (
    LargeMarginStage,
    MarginSchedule,
    WarmupCosine,
    set_margin,
)


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=9.0)


def test_warmup_cosine_reaches_the_optimizer():
    schedule = WarmupCosine(1.0, 0.1, epoch_count=10, warmup_epochs=2)
    sgd = optimizer()
    schedule.on_progress(sgd, 1.0)
    assert sgd.param_groups[0]["lr"] == 0.5
    schedule.on_progress(sgd, 6.0)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.55)
    assert schedule(10) == pytest.approx((0.1, 0.1))


def test_no_warmup_starts_at_the_top():
    assert WarmupCosine(1.0, 0.0, 10, warmup_epochs=0).value(0) == 1.0


@pytest.mark.parametrize("loss", [AdditiveAngularMargin, AngularMargin])
def test_set_margin_equals_a_new_loss(loss):
    cosines = torch.linspace(-1, 1, 12).view(4, 1, 3)
    targets = torch.tensor([[0], [1], [2], [0]])
    changed = LogSoftmaxWrapper(loss(margin=0.05, scale=30))
    set_margin(changed, 0.4)
    fresh = LogSoftmaxWrapper(loss(margin=0.4, scale=30))
    assert changed(cosines, targets) == fresh(cosines, targets)


def test_margin_schedule_reaches_the_loss():
    cost = LogSoftmaxWrapper(AdditiveAngularMargin(0.2, 30))
    MarginSchedule(cost, 0.0, 0.2, 1, 3).on_progress(2)
    assert cost.loss_fn.cos_m == math.cos(0.1)


def test_large_margin_stage():
    cost = LogSoftmaxWrapper(AdditiveAngularMargin(0.2, 30))
    stage = LargeMarginStage(3, cost, margin=0.4, lr=0.01)
    assert [stage.active(epoch) for epoch in (1, 2, 3, 4)] == [0, 0, 1, 1]
    sgd = optimizer()
    stage.on_progress(sgd)
    assert cost.loss_fn.margin == 0.4 and sgd.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("schedule", [MarginSchedule, LargeMarginStage])
def test_a_loss_without_margin_is_refused(schedule):
    keys = {"compute_cost": torch.nn.NLLLoss()}
    if schedule is LargeMarginStage:
        keys["start_epoch"] = 1
    with pytest.raises(ValueError, match="got NLLLoss"):
        schedule(**keys)
