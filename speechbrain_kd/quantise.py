"""Training in the rounding of int8, so that the weights learn to bear it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

#: Numbers of a weight below which scales outweigh what int8 saves.
LEAST_WEIGHTS = 256
# As the export rounds: weights to 7 bits, or onnxruntime saturates on
# processors without VNNI; activations to 8 bits.
_WEIGHT, _LEVELS = 64, 255
_LAYERS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Linear)


@dataclass(frozen=True)
class Site:
    """A layer, and where its output is rounded.

    Arguments
    ---------
    layer : str
        The path of the layer.
    output : str
        That of the module whose output is rounded: the ReLU that follows, or
        the layer itself.
    """

    layer: str
    output: str


class FakeInt8(torch.nn.Module):
    """Rounds a student's layers in training as ``--to onnx-int8`` will.

    The weights, inputs and outputs of its convolutions and linear layers are
    rounded to what int8 can hold and taken back to float; gradients pass
    through the rounding. Weights have a scale for each output channel;
    inputs and outputs have a range that follows the training. The student is
    not edited: hooks round, and are taken away when the training ends, so its
    weights and its export are as always.

    Arguments
    ---------
    momentum : float
        How much of a batch's range a range takes in, above 0 and at most 1.

    Raises
    ------
    ValueError
        If the momentum is out of range.

    Reference
    ---------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, arXiv 1712.05877.

    Example
    -------
    >>> model = torch.nn.Sequential(torch.nn.Linear(32, 16), torch.nn.ReLU())
    >>> fake = FakeInt8()
    >>> fake.fit(model, lambda: model(torch.ones(1, 32)))
    [Site(layer='0', output='1')]
    >>> feats = torch.randn(4, 32)
    >>> before = model(feats)
    >>> fake.attach(model)
    >>> 0 < (model(feats) - before).abs().max() < 0.1
    tensor(True)
    >>> fake.detach()
    >>> torch.equal(model(feats), before)
    True
    """

    def __init__(self, momentum: float = 0.05) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError(
                "FakeInt8: momentum must be above 0 and at most 1; got "
                f"{momentum}"
            )
        self.momentum = momentum
        self.sites: list[Site] = []
        self._model: list[torch.nn.Module] = []  # no submodule of this one
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def fit(
        self, model: torch.nn.Module, run: Callable[[], torch.Tensor]
    ) -> list[Site]:
        """Finds the layers, by a dry run.

        Arguments
        ---------
        model : torch.nn.Module
            The student's encoder.
        run : Callable
            Runs it once.

        Returns
        -------
        list[Site]
            In the order in which they compute.

        Raises
        ------
        ValueError
            If there is no layer that can be rounded.
        """
        self.sites = find_sites(model, run)
        if not self.sites:
            raise ValueError(
                "FakeInt8: expected convolutions or linear layers of at least "
                f"{LEAST_WEIGHTS} weights, came none in {type(model).__name__}"
            )
        # By site: least and greatest of its input, and of its output; 0, 0
        # where none is known yet.
        self.register_buffer("ranges", torch.zeros(len(self.sites), 2, 2))
        return self.sites

    def attach(self, model: torch.nn.Module) -> None:
        """Begins to round.

        Arguments
        ---------
        model : torch.nn.Module
            The encoder that was fitted.
        """
        self.detach()
        self._model = [model]
        for number, site in enumerate(self.sites):
            layer = model.get_submodule(site.layer)
            output = model.get_submodule(site.output)
            layer.forward = partial(_with_rounded_weight, layer)
            hook = partial(self._on_input, number)
            self._handles.append(layer.register_forward_pre_hook(hook))
            hook = partial(self._on_output, number)
            self._handles.append(output.register_forward_hook(hook))

    def detach(self) -> None:
        """Ends the rounding; the model is as it was."""
        for handle in self._handles:
            handle.remove()
        for model in self._model:
            for site in self.sites:
                model.get_submodule(site.layer).__dict__.pop("forward", None)
        self._handles, self._model = [], []

    def _on_input(self, number, layer, given):
        return (self._rounded(number, 0, given[0], layer.training), *given[1:])

    def _on_output(self, number, module, _, came):
        return self._rounded(number, 1, came, module.training)

    def _rounded(self, number, side, values, training):
        """Values to 8 bits of their range, which follows them in training."""
        known, floats = self.ranges[number, side], values.float()
        if training:
            self._follow(known, floats.detach())
        scale = ((known[1] - known[0]) / _LEVELS).clamp(min=1e-12)
        zero = (-known[0] / scale).round().to(torch.int32)
        fake = torch.fake_quantize_per_tensor_affine
        return fake(floats, scale, zero, 0, _LEVELS).to(values.dtype)

    @torch.no_grad()
    def _follow(self, known, floats):
        """Moves a range; the first batch sets it, and NaN leaves it."""
        low, high = floats.aminmax()
        found = torch.stack((low.clamp(max=0), high.clamp(min=0)))
        found = torch.where(found.isfinite(), found, known)
        known.lerp_(found, torch.where(known.any(), self.momentum, 1.0))


def find_sites(
    model: torch.nn.Module, run: Callable[[], torch.Tensor]
) -> list[Site]:
    """The layers of a model, and the ReLU that each may have after it.

    Arguments
    ---------
    model : torch.nn.Module
        The model.
    run : Callable
        Runs it once.

    Returns
    -------
    list[Site]
        Of layers with at least ``LEAST_WEIGHTS`` weights. A ReLU counts where
        it takes what the layer gave, and serves it alone.
    """
    gave: dict[str, torch.Tensor] = {}  # kept alive, so that none is another
    took: dict[str, list[torch.Tensor]] = {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ReLU):
            took[name] = []
            handles.append(
                module.register_forward_pre_hook(
                    lambda _, given, name=name: took[name].append(given[0])
                )
            )
        elif isinstance(module, _LAYERS):
            if module.weight.numel() >= LEAST_WEIGHTS:
                handles.append(
                    module.register_forward_hook(
                        lambda _, given, came, name=name: gave.update(
                            {name: came}
                        )
                    )
                )
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return [
        Site(name, _relu_of(came, took) or name) for name, came in gave.items()
    ]


def _relu_of(
    came: torch.Tensor, took: dict[str, list[torch.Tensor]]
) -> str | None:
    """The ReLU that takes a tensor, and nothing else."""
    for name, tensors in took.items():
        if len(tensors) == 1 and tensors[0] is came:
            return name
    return None


def _with_rounded_weight(
    layer: torch.nn.Module, given: torch.Tensor
) -> torch.Tensor:
    """A layer's forward, its weight rounded for each output channel."""
    weight = layer.weight.float()
    others = tuple(range(1, weight.dim()))
    peaks = weight.detach().abs().amax(dim=others)
    rounded = torch.fake_quantize_per_channel_affine(
        weight,
        (peaks / _WEIGHT).clamp(min=1e-12),
        torch.zeros_like(peaks, dtype=torch.int32),
        0,
        -_WEIGHT,
        _WEIGHT,
    ).to(layer.weight.dtype)
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.functional.linear(given, rounded, layer.bias)
    return layer._conv_forward(given, rounded, layer.bias)
