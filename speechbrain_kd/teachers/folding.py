"""A projector as a part of the layer that gives the embeddings."""

from collections.abc import Iterator

import torch
from torch import nn

_AFFINE = (nn.Linear, nn.Conv1d)


@torch.no_grad()
def fold(model: nn.Module, projector: nn.Linear, feats: torch.Tensor) -> bool:
    """Multiplies the projector into the last layer of a model.

    The model then speaks in the projector's space at no cost of its own.
    ECAPA-TDNN and x-vectors end in an affine layer, SpeechBrain's ResNet in one
    and a batch norm. Which layer is the last is found by running the model:
    that whose output is the embedding.

    Arguments
    ---------
    model : torch.nn.Module
        ``(feats, lens)`` to embeddings, in evaluation; changed in place.
    projector : torch.nn.Linear
        Without bias.
    feats : torch.Tensor
        Features to run on, [2, frames, mels].

    Returns
    -------
    bool
        False where it ends in anything else: then it is as it was.

    Example
    -------
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.last = nn.Linear(5, 3)
    ...
    ...     def forward(self, feats, lens):
    ...         return self.last(feats.mean(dim=1))
    >>> net, feats = Net(), torch.randn(2, 7, 5)
    >>> projector = nn.Linear(3, 4, bias=False)
    >>> expected = projector(net(feats, None))
    >>> fold(net, projector, feats)
    True
    >>> torch.allclose(net(feats, None), expected, atol=1e-6)
    True
    """
    layers = _last_layers(model, feats)
    if layers is None:
        return False
    layer, norm = layers
    kernel = layer.weight.double().flatten(1)  # [dim, inputs]
    bias = kernel.new_zeros(len(kernel))
    if layer.bias is not None:
        bias = layer.bias.double()
    if norm is not None:
        scale, shift = _line_of(norm)
        kernel, bias = scale[:, None] * kernel, scale * bias + shift
        _become_identity(norm, projector.out_features)
    matrix = projector.weight.double().to(kernel)
    kernel = (matrix @ kernel).to(layer.weight)
    shape = (len(kernel), *layer.weight.shape[1:])
    layer.weight = nn.Parameter(kernel.reshape(shape), requires_grad=False)
    layer.bias = nn.Parameter(
        (matrix @ bias).to(layer.weight), requires_grad=False
    )
    sizes = "out_features" if isinstance(layer, nn.Linear) else "out_channels"
    setattr(layer, sizes, len(kernel))
    return True


def _last_layers(
    model: nn.Module, feats: torch.Tensor
) -> tuple[nn.Module, nn.BatchNorm1d | None] | None:
    """The affine layer that gives the embedding, and a norm after it."""
    seen: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []

    def look(layer, given, came):
        seen.append((layer, given[0], came))

    hooks = [one.register_forward_hook(look) for one in _candidates(model)]
    try:
        wanted = _rows(model(feats, torch.ones(len(feats))))
    finally:
        for hook in hooks:
            hook.remove()
    norm = None
    for layer, given, came in reversed(seen):
        if not torch.equal(_rows(came), wanted):
            continue
        if isinstance(layer, _AFFINE):
            return layer, norm
        norm, wanted = layer, _rows(given)
    return None


def _candidates(model: nn.Module) -> Iterator[nn.Module]:
    """Layers that can be the last, each met once in a run."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d):
            if layer.kernel_size == (1,) and layer.groups == 1:
                yield layer
        elif isinstance(layer, nn.Linear) or (
            isinstance(layer, nn.BatchNorm1d) and layer.track_running_stats
        ):
            yield layer


def _rows(values: torch.Tensor) -> torch.Tensor:
    """[batch, dim], of whatever other sizes of 1 there are."""
    return values.reshape(len(values), -1)


def _line_of(norm: nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch norm does in evaluation: scale and shift."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = -scale * norm.running_mean.double()
    if norm.affine:
        shift = shift + norm.bias.double()
    return scale, shift


def _become_identity(norm: nn.BatchNorm1d, dim: int) -> None:
    """Makes a batch norm hand on what it gets, in any dimension."""
    norm.num_features = dim
    like = norm.running_mean
    norm.running_mean = like.new_zeros(dim)
    norm.running_var = like.new_full((dim,), 1 - norm.eps)
    if norm.affine:
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            made = nn.Parameter(like.new_full((dim,), value), False)
            setattr(norm, name, made)
