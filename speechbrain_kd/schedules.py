"""Schedules that depend on the progress of training alone.

They hold no state of their own, so a resumed run finds them where it left
them, in mid-epoch too.
"""

import math

import torch


class WarmupCosine:
    """A learning rate that rises linearly, then falls along a half cosine.

    It has SpeechBrain's scheduler call, ``(old, new) = schedule(epoch)``, and
    ``on_progress``, with which ``DistillationBrain`` moves it every step.

    Arguments
    ---------
    initial_value : float
        The highest rate.
    final_value : float
        The rate at the end.
    epoch_count : int
        Epochs of the whole schedule.
    warmup_epochs : float
        Epochs, or a fraction of one, of the rise from 0.

    Example
    -------
    >>> schedule = WarmupCosine(1.0, 0.0, epoch_count=10, warmup_epochs=2)
    >>> [round(schedule.value(epoch), 3) for epoch in (0, 1, 2, 6, 10, 11)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_value: float,
        final_value: float,
        epoch_count: int,
        warmup_epochs: float = 0.5,
    ) -> None:
        self.initial_value = initial_value
        self.final_value = final_value
        self.epoch_count = epoch_count
        self.warmup_epochs = warmup_epochs

    def value(self, epoch: float) -> float:
        """The rate after so many epochs (with a fraction)."""
        if epoch < self.warmup_epochs:
            return self.initial_value * epoch / self.warmup_epochs
        span = max(self.epoch_count - self.warmup_epochs, 1e-9)
        done = min((epoch - self.warmup_epochs) / span, 1.0)
        fall = (1 + math.cos(math.pi * done)) / 2
        return self.final_value + fall * (self.initial_value - self.final_value)

    def on_progress(
        self, optimizer: torch.optim.Optimizer, epoch: float
    ) -> None:
        """Sets the rate of every parameter group.

        Arguments
        ---------
        optimizer : torch.optim.Optimizer
            Its groups get the rate.
        epoch : float
            Epochs done, with the fraction of the present one.
        """
        for group in optimizer.param_groups:
            group["lr"] = self.value(epoch)

    def __call__(self, epoch: int) -> tuple[float, float]:
        """The rates before and after the end of an epoch, as SpeechBrain's."""
        return self.value(epoch), self.value(epoch)


class MarginSchedule:
    """A margin that rises from one epoch to another.

    A margin from the first step on slows a small network down; WeSpeaker and
    3D-Speaker raise it from 0 as here.

    Arguments
    ---------
    compute_cost : torch.nn.Module
        SpeechBrain's ``LogSoftmaxWrapper`` around an ``AngularMargin`` or
        ``AdditiveAngularMargin``; its margin is set in place.
    initial_margin : float
        In radians for the additive angular margin.
    final_margin : float
        The same, from ``end_epoch`` on.
    start_epoch : float
        Epochs done when the rise begins.
    end_epoch : float
        Epochs done when it ends.

    Example
    -------
    >>> from speechbrain.nnet import losses
    >>> cost = losses.LogSoftmaxWrapper(losses.AdditiveAngularMargin(0.2, 30))
    >>> schedule = MarginSchedule(cost, 0.0, 0.2, start_epoch=2, end_epoch=4)
    >>> [schedule.value(epoch) for epoch in (0, 2, 3, 4, 5)]
    [0.0, 0.0, 0.1, 0.2, 0.2]
    """

    def __init__(
        self,
        compute_cost: torch.nn.Module,
        initial_margin: float = 0.0,
        final_margin: float = 0.2,
        start_epoch: float = 0.0,
        end_epoch: float = 5.0,
    ) -> None:
        check_margin_loss(compute_cost)
        self.compute_cost = compute_cost
        self.initial_margin = initial_margin
        self.final_margin = final_margin
        self.start_epoch = start_epoch
        self.end_epoch = end_epoch

    def value(self, epoch: float) -> float:
        """The margin after so many epochs (with a fraction)."""
        span = max(self.end_epoch - self.start_epoch, 1e-9)
        done = min(max((epoch - self.start_epoch) / span, 0.0), 1.0)
        return self.initial_margin + done * (
            self.final_margin - self.initial_margin
        )

    def on_progress(self, epoch: float) -> None:
        """Sets the margin for a moment of the training."""
        set_margin(self.compute_cost, self.value(epoch))


class LargeMarginStage:
    """The second stage of training: longer crops, a larger margin.

    Large-margin fine-tuning (Thienpondt et al.) for baseline and student
    alike. The stage is the last epochs of one run; give it to both the
    baseline and the student, or their comparison is not fair.

    Arguments
    ---------
    start_epoch : int
        The first epoch of the stage, counted from 1.
    compute_cost : torch.nn.Module
        The margin loss, as in ``MarginSchedule``.
    margin : float
        Margin of the stage.
    sentence_len : float
        Seconds of a training crop in the stage.
    lr : float
        Constant learning rate of the stage.

    Reference
    ---------
    Thienpondt et al., "The IDLAB VoxSRC-20 Submission: Large Margin
    Fine-tuning and Quality-aware Score Calibration", ICASSP 2021,
    arXiv 2010.11255.
    """

    def __init__(
        self,
        start_epoch: int,
        compute_cost: torch.nn.Module,
        margin: float = 0.4,
        sentence_len: float = 5.0,
        lr: float = 1e-4,
    ) -> None:
        check_margin_loss(compute_cost)
        self.start_epoch = start_epoch
        self.compute_cost = compute_cost
        self.margin = margin
        self.sentence_len = sentence_len
        self.lr = lr

    def active(self, epoch: int) -> bool:
        """Whether an epoch, counted from 1, belongs to the stage."""
        return epoch >= self.start_epoch

    def on_progress(self, optimizer: torch.optim.Optimizer) -> None:
        """Sets the stage's margin and learning rate."""
        set_margin(self.compute_cost, self.margin)
        for group in optimizer.param_groups:
            group["lr"] = self.lr


def check_margin_loss(compute_cost: torch.nn.Module) -> None:
    """Refuses a loss that has no margin.

    Raises
    ------
    ValueError
        If ``compute_cost.loss_fn.margin`` does not exist.
    """
    if not hasattr(getattr(compute_cost, "loss_fn", None), "margin"):
        raise ValueError(
            "a margin is scheduled, but compute_cost has none: expected "
            "speechbrain.nnet.losses.LogSoftmaxWrapper around "
            f"AdditiveAngularMargin, got {type(compute_cost).__name__}. Give "
            "such a loss, or set margin_schedule and large_margin to null"
        )


def set_margin(compute_cost: torch.nn.Module, margin: float) -> None:
    """Sets the margin of SpeechBrain's margin softmax in place.

    Arguments
    ---------
    compute_cost : torch.nn.Module
        ``LogSoftmaxWrapper`` around a margin loss.
    margin : float
        The new margin.
    """
    set_loss_margin(compute_cost.loss_fn, margin)


def set_loss_margin(loss: torch.nn.Module, margin: float) -> None:
    """Sets the margin of a margin loss itself.

    ``AdditiveAngularMargin`` keeps four constants beside the margin.

    Arguments
    ---------
    loss : torch.nn.Module
        ``AngularMargin`` or ``AdditiveAngularMargin``.
    margin : float
        The new margin.
    """
    loss.margin = margin
    if hasattr(loss, "cos_m"):
        loss.cos_m, loss.sin_m = math.cos(margin), math.sin(margin)
        loss.th = math.cos(math.pi - margin)
        loss.mm = math.sin(math.pi - margin) * margin
