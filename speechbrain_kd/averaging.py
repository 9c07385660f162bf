"""A mean of the student's weights over the training, beside the raw ones."""

from collections.abc import Mapping
from typing import Any

import torch
from speechbrain.utils import checkpoints
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn


@checkpoints.register_checkpoint_hooks
class WeightAverage:
    """An exponential mean of the weights, or an equal one from an epoch on.

    After each step of the optimiser the mean takes in the new weights. It is
    what is validated, kept as ``embedding_model.ckpt`` at the end of an
    epoch, exported and evaluated; the raw weights go on training, and lie in
    ``average.ckpt`` meanwhile. The statistics of BatchNorm are averaged as
    the weights are: to compute them anew takes a pass over the training data
    and, in a trial on minivox, changed the EER by 0.2 points at most either
    way, and at the end of the schedule not for the better.

    Arguments
    ---------
    decay : float | None
        What the mean keeps of itself at a step, below 1; it rises to this
        from 0.1 in the first steps, so that the random start is forgotten.
        ``None`` gives every step since ``start_epoch`` the same weight.
    start_epoch : float
        Epochs done when the mean begins; until then it is the raw weights.

    Raises
    ------
    ValueError
        If the decay is not from 0 to 1, or the start is negative.

    Reference
    ---------
    Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018, arXiv 1803.05407; Polyak and Juditsky,
    "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on
    Control and Optimization 30, 1992.

    Example
    -------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> average = WeightAverage(decay=None)
    >>> average.follow({"model": model})
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = model.weight.data.fill_(value)
    ...     average.update(epoch=1.0)
    >>> average.put_in()
    >>> model.weight.item()
    3.0
    >>> average.put_back()
    >>> model.weight.item()
    6.0
    """

    def __init__(
        self, decay: float | None = 0.999, start_epoch: float = 0.0
    ) -> None:
        if decay is not None and not 0 < decay < 1:
            raise ValueError(
                "WeightAverage: decay must be above 0 and below 1, or null "
                f"for an equal mean; got {decay}"
            )
        if start_epoch < 0:
            raise ValueError(
                f"WeightAverage: start_epoch must be at least 0; got "
                f"{start_epoch}"
            )
        self.decay = decay
        self.start_epoch = start_epoch
        self.is_in = False
        self.steps = 0
        self._own: dict[str, torch.Tensor] = {}
        self._other: dict[str, torch.Tensor] = {}

    def __str__(self) -> str:
        if self.decay is not None:
            how = f"exponential mean (decay {self.decay:g})"
        else:
            how = "equal mean"
        since = f" after epoch {self.start_epoch:g}" if self.start_epoch else ""
        return f"an {how} over the steps{since}"

    def follow(self, modules: Mapping[str, torch.nn.Module]) -> None:
        """Names what is averaged; where it lies in memory must last.

        Arguments
        ---------
        modules : Mapping[str, torch.nn.Module]
            By name; parameters and floating buffers are averaged.
        """
        self._own = {
            f"{name}.{key}": tensor
            for name, module in modules.items()
            for key, tensor in module.state_dict().items()
            if tensor.is_floating_point()
        }
        self._other = {key: row.clone() for key, row in self._own.items()}

    @torch.no_grad()
    def update(self, epoch: float) -> None:
        """Takes in the weights after a step of the optimiser.

        Arguments
        ---------
        epoch : float
            Epochs done, with the fraction of the present one.
        """
        if epoch < self.start_epoch:
            return
        own, mean = list(self._own.values()), list(self._other.values())
        if self.decay is None or not self.steps:
            get_swa_multi_avg_fn()(mean, own, self.steps)
        else:
            decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
            get_ema_multi_avg_fn(decay)(mean, own, self.steps)
        self.steps += 1

    def put_in(self) -> None:
        """Puts the mean into the modules; the raw weights are kept."""
        if self.steps and not self.is_in:
            self._swap()

    def put_back(self) -> None:
        """Puts the raw weights back, to go on with the training."""
        if self.is_in:
            self._swap()

    @torch.no_grad()
    def _swap(self):
        """Exchanges in place: optimiser, DDP and CUDA graphs see it too."""
        for name, tensor in self._own.items():
            kept = tensor.clone()
            tensor.copy_(self._other[name])
            self._other[name].copy_(kept)
        self.is_in = not self.is_in

    @checkpoints.mark_as_saver
    def _save(self, path: Any) -> None:
        facts = {"steps": self.steps, "is_in": self.is_in}
        torch.save(facts | {"tensors": self._other}, path)

    @checkpoints.mark_as_loader
    def _load(self, path: Any, end_of_epoch: bool) -> None:
        device = next(iter(self._other.values())).device
        saved = torch.load(path, map_location=device, weights_only=True)
        if saved["tensors"].keys() != self._other.keys():
            named = sorted(saved["tensors"].keys() ^ self._other.keys())
            raise ValueError(
                f"{path}: averages of other weights than this student has "
                f"({', '.join(named[:3])} …): give another output_folder"
            )
        self.steps, self.is_in = saved["steps"], saved["is_in"]
        for name, tensor in saved["tensors"].items():
            self._other[name].copy_(tensor)
