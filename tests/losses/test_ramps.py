"""Weights, temperatures and margins that move with the training."""

import pytest
import torch

from speechbrain_kd.losses import (
    ConfusionTriage,
    CosineEmbedding,
    DecoupledLogits,
    DistillationObjective,
    PosteriorKL,
    StandardisedLogits,
)
from speechbrain_kd.losses.ramps import Schedule


def weights_of(ramp, epochs):
    objective = DistillationObjective(
        {"embedding": CosineEmbedding()},
        {"classification": 1.0, "embedding": 10.0},
        warmup_epochs=3,
        ramps={"embedding": ramp},
    )
    return [objective.weight("embedding", epoch) for epoch in epochs]


def test_a_trapezoid():
    epochs = (0, 1, 2, 3, 5, 6, 7, 8, 20)
    expected = [0, 0, 5, 10, 10, 10, 5, 0, 0]
    assert weights_of([1, 3, 6, 8], epochs) == expected
    assert weights_of([0, 0, 6, 6], epochs) == [10] * 5 + [0] * 4


@pytest.mark.parametrize("ramp", [[1], [1, 2, 3], [0, 4, 3, 5]])
def test_what_is_no_ramp(ramp):
    with pytest.raises(ValueError, match="ramps: embedding must be"):
        weights_of(ramp, [0])


@pytest.mark.parametrize(
    "given", ["warm", [1, 2], [1, 2, 3], [1, 2, 5, 4], None]
)
def test_what_is_no_schedule(given):
    with pytest.raises(ValueError, match="heat: expected a number, or"):
        Schedule(given, "heat")


@pytest.mark.parametrize(
    "kind", [PosteriorKL, DecoupledLogits, StandardisedLogits, ConfusionTriage]
)
def test_a_temperature_that_falls(kind):
    draw = torch.Generator().manual_seed(1)
    pair = torch.rand(2, 4, 6, generator=draw)
    labels = torch.tensor([0, 3, 5, 1])
    term = kind(temperature=[4, 2, 10, 20])
    for epoch, temperature in ((0, 4.0), (15, 3.0), (99, 2.0)):
        fixed = kind(temperature=temperature)
        for one in (term, fixed):
            one.on_progress(epoch)
        assert term.temperature == temperature
        assert torch.equal(term(*pair, labels), fixed(*pair, labels))
    with pytest.raises(ValueError, match="temperature must be positive"):
        kind(temperature=[2, 0, 1, 3])
    with pytest.raises(ValueError, match="temperature: expected a number"):
        kind(temperature=[2, 1])
