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
            self.loss = self.mean_loss(stage_loss)


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
    assert brain.means["square"] == pytest.approx(brain.loss, abs=1e-3)
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


class Halves(SteadyBrain):
    """A linear model on named rows, with two groups of parameters."""

    def __init__(self, run_opts=None, checkpointer=None, groups=False):
        torch.manual_seed(0)
        layers = [torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)]
        self.clipped, self.losses = [], []

        def optimiser(params):
            if groups:
                params = [{"params": layer.parameters()} for layer in layers]
            return torch.optim.SGD(params, lr=0.1)

        super().__init__(
            {"model": torch.nn.Sequential(*layers)},
            optimiser,
            {"seed": 1},
            {"device": "cpu", "noprogressbar": True} | (run_opts or {}),
            checkpointer,
        )

    def compute_forward(self, batch, stage):
        return self.modules.model(batch)

    def compute_objectives(self, predictions, batch, stage):
        self.losses.append(predictions.square().mean())
        return self.losses[-1]

    def on_stage_end(self, stage, stage_loss, epoch=None):
        self.loss = float(stage_loss)

    def optimizers_step(self):
        grads = [p.grad.norm() for p in self.modules.parameters()]
        self.clipped.append(torch.stack(grads).norm())
        before = [p.detach().clone() for p in self.modules.parameters()]
        super().optimizers_step()
        after = self.modules.parameters()
        moved = [(a - b).norm() for a, b in zip(after, before, strict=True)]
        self.moved = torch.stack(moved).norm() / 0.1


def rows(scale=1.0, size=24):
    draw = torch.Generator().manual_seed(3)
    return scale * torch.randn(size, 3, generator=draw)


def fit_rows(brain, data, batch_size, **loading):
    loading = {"shuffle": True, "drop_last": True} | loading
    brain.fit(
        range(1, 3),
        list(data),
        train_loader_kwargs=loading | {"batch_size": batch_size},
    )
    return brain


@pytest.mark.parametrize("size", [24, 28])
def test_two_batches_of_4_step_as_one_of_8(size):
    """What is left of 28 rows after three batches of 8 is dropped by both."""
    whole = fit_rows(Halves(), rows(size=size), 8)
    halves = Halves({"grad_accumulation_factor": 2})
    fit_rows(halves, rows(size=size), 4)
    assert whole.optimizer_step == halves.optimizer_step == 6
    assert len(halves.losses) == 2 * (size // 4)
    for one, other in zip(
        whole.modules.parameters(), halves.modules.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("groups", [False, True])
def test_the_gradients_of_all_groups_are_clipped(groups):
    brain = Halves({"max_grad_norm": 0.5}, groups=groups)
    fit_rows(brain, rows(scale=30.0), 8)
    assert brain.clipped[-1] > 0.5
    assert brain.moved.item() == pytest.approx(0.5, rel=1e-3)


def test_the_mean_loss_is_that_of_the_steps():
    brain = fit_rows(Halves(), rows(), 8)
    last = torch.stack(brain.losses[-3:]).mean()
    assert brain.loss == pytest.approx(last.item())


def test_patience_with_losses_that_are_not_finite():
    data = rows()
    data[:2] = float("nan")
    patient = Halves({"nonfinite_patience": 2, "skip_nonfinite_grads": True})
    fit_rows(patient, data, 1)
    assert patient.nonfinite_count == 2
    finite = [loss for loss in patient.losses[-24:] if loss.isfinite()]
    assert len(finite) == 22
    assert patient.loss == pytest.approx(torch.stack(finite).mean().item())
    with pytest.raises(ValueError, match="patience is exhausted"):
        fit_rows(Halves({"nonfinite_patience": 1}), data, 1)


class Elsewhere(torch.Tensor):
    """A loss that says it lies on a GPU, and counts who waits for it."""

    waited = 0

    @property
    def device(self):
        return torch.device("cuda")

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (
            torch.Tensor.__bool__,
            torch.Tensor.__float__,
            torch.Tensor.__int__,
            torch.Tensor.item,
            torch.Tensor.tolist,
            torch.Tensor.cpu,
        ):
            cls.waited += 1
        return super().__torch_function__(func, types, args, kwargs or {})


class OnGpu(Halves):
    """Its losses pretend to lie on a GPU."""

    def compute_objectives(self, predictions, batch, stage):
        loss = super().compute_objectives(predictions, batch, stage)
        loss = loss.as_subclass(Elsewhere)
        self._track({"square": loss})
        return loss


def test_no_step_waits_for_a_gpu(monkeypatch):
    monkeypatch.setattr(Elsewhere, "waited", 0)
    brain = OnGpu()
    before = []
    monkeypatch.setattr(
        brain, "on_fit_batch_end", lambda *_: before.append(Elsewhere.waited)
    )
    fit_rows(brain, rows(), 1)
    assert before[:24] == [0] * 24  # an epoch of fewer than 50 steps
    assert Elsewhere.waited > 0 and brain.loss > 0


@pytest.mark.parametrize("interval", [0, 10])
def test_losses_on_a_gpu_are_looked_at_in_the_end(interval, tmp_path):
    """At the end of the epoch, or before the first checkpoint."""
    data = rows()
    data[:20] = float("nan")
    options = {"nonfinite_patience": 3, "ckpt_interval_steps": interval}
    options["skip_nonfinite_grads"] = True
    brain = OnGpu(options, checkpointer(tmp_path))
    with pytest.raises(ValueError, match="patience is exhausted"):
        fit_rows(brain, data, 1)
    assert len(brain.losses) == (interval or 24)
    assert not brain.checkpointer.list_checkpoints()


class Stream(torch.utils.data.IterableDataset):
    """Numbers an epoch; can skip."""

    def __init__(self):
        self.called = []

    def __len__(self):
        return 6

    def __iter__(self):
        return iter(rows(size=6))

    def set_epoch(self, epoch):
        self.called.append(("epoch", epoch))

    def skip(self, utterances):
        self.called.append(("skip", utterances))


def test_streams_order_themselves():
    stream = Stream()
    brain = Halves()
    brain.step = 1  # as a checkpoint in mid-epoch leaves it
    brain.fit(range(2, 4), stream, train_loader_kwargs={"batch_size": 2})
    assert stream.called == [("skip", 2), ("epoch", 2), ("epoch", 3)]


def test_a_checkpoint_of_an_earlier_version(tmp_path):
    """It has the step, but not the order."""
    options = {"ckpt_interval_steps": 2}  # of 3 steps an epoch
    brain = Halves(options, checkpointer(tmp_path))
    fit_rows(brain, rows(), 8)
    (saved,) = brain.checkpointer.list_checkpoints()
    (saved.path / "train_order.ckpt").unlink()
    later = Halves(checkpointer=checkpointer(tmp_path))
    with pytest.warns(UserWarning, match="train_order"):
        fit_rows(later, rows(), 8)
    assert len(later.losses) == 1 + 3
