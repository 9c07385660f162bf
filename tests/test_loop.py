"""Steadiness of the loop: seeds of steps, interrupts, means of terms."""

import random
import signal

import numpy as np
import pytest
import speechbrain as sb
import torch

from speechbrain_kd.loop import SteadyBrain


class Toy(SteadyBrain):
    """Fits a scalar; notes the random numbers of every step."""

    def __init__(self, run_opts=None, checkpointer=None, seed=1):
        torch.manual_seed(0)
        self.drawn = {}
        self.press_at = None
        super().__init__(
            {"model": torch.nn.Linear(1, 1)},
            lambda params: torch.optim.SGD(params, lr=0.1),
            {"seed": seed},
            {"device": "cpu", "noprogressbar": True} | (run_opts or {}),
            checkpointer,
        )

    def compute_forward(self, batch, stage):
        if stage == sb.Stage.TRAIN:
            self.drawn[self.epoch, self.step] = (
                random.random(),
                float(np.random.rand()),
                float(torch.rand(1)),
            )
            if (self.epoch, self.step) == self.press_at:
                signal.raise_signal(signal.SIGINT)
        return self.modules.model(batch)

    def compute_objectives(self, predictions, batch, stage):
        loss = predictions.square().mean()
        if stage == sb.Stage.TRAIN:
            self._track({"square": loss, "twice": 2 * loss})
        return loss

    def on_stage_end(self, stage, stage_loss, epoch=None):
        if stage == sb.Stage.TRAIN:
            self.means = self.term_means()
            self.mean_loss = stage_loss


def data(batches=3):
    return [torch.full((2, 1), float(row + 1)) for row in range(batches)]


def fit(brain, epochs=2):
    brain.fit(range(1, epochs + 1), data())
    return brain


def checkpointer(folder):
    return sb.utils.checkpoints.Checkpointer(folder)


def test_a_step_draws_the_same_whatever_came_before():
    first, second = Toy(), Toy()
    torch.rand(17), random.random(), np.random.rand(3)
    assert fit(first).drawn == fit(second).drawn
    later = Toy()
    later.epoch, later.step = 2, 3
    torch.manual_seed(99)
    later.on_fit_batch_start(None, True)
    drawn = (random.random(), float(np.random.rand()), float(torch.rand(1)))
    assert drawn == first.drawn[2, 3]


def test_steps_epochs_and_seeds_draw_differently():
    drawn = fit(Toy()).drawn
    other = fit(Toy(seed=2)).drawn
    every = [*drawn.values(), *other.values()]
    assert len(drawn) == 6
    assert len({value for values in every for value in values}) == 36


def test_ranks_draw_differently(monkeypatch):
    brain = Toy()
    brain.epoch, brain.step = 1, 1
    numbers = set()
    brain.distributed_launch = True
    for rank in (0, 1):
        brain.rank = rank
        brain._seed_step()
        numbers.add(torch.rand(1).item())
    assert len(numbers) == 2


def test_progress():
    brain = Toy()
    brain.epoch, brain.step, brain.steps_per_epoch = 3, 2, 4
    assert brain.progress == 2.25


def test_means_of_terms_are_of_one_epoch():
    brain = fit(Toy())
    assert set(brain.means) == {"square", "twice"}
    assert brain.means["square"] == pytest.approx(brain.mean_loss, abs=1e-3)
    assert brain.means["twice"] == pytest.approx(
        2 * brain.means["square"], abs=2e-4
    )


def test_an_interrupt_saves_and_ends_the_step(tmp_path):
    brain = Toy(checkpointer=checkpointer(tmp_path))
    brain.press_at = (1, 2)
    with pytest.raises(KeyboardInterrupt):
        fit(brain)
    assert list(brain.drawn) == [(1, 1), (1, 2)]
    (saved,) = brain.checkpointer.list_checkpoints()
    assert saved.meta["end-of-epoch"] is False
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_interrupt_without_a_checkpointer():
    brain = Toy()
    brain.press_at = (1, 2)
    with pytest.raises(KeyboardInterrupt):
        fit(brain)
    assert list(brain.drawn) == [(1, 1), (1, 2)]


def test_an_interrupt_waits_for_accumulated_gradients(tmp_path):
    brain = Toy({"grad_accumulation_factor": 2}, checkpointer(tmp_path))
    brain.press_at = (1, 1)
    with pytest.raises(KeyboardInterrupt):
        fit(brain)
    assert list(brain.drawn) == [(1, 1), (1, 2)]
    assert brain.optimizer_step == 1


def test_an_interrupt_after_the_last_step(tmp_path, monkeypatch):
    brain = Toy()
    monkeypatch.setattr(
        Toy,
        "on_stage_end",
        lambda *given: signal.raise_signal(signal.SIGINT),
    )
    with pytest.raises(KeyboardInterrupt):
        fit(brain, epochs=1)
    assert len(brain.drawn) == 3
