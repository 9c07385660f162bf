"""Optimisers that update all parameters in one kernel."""

import functools
from collections.abc import Callable

import torch

_FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


def fused(opt_class: Callable | None) -> Callable | None:
    """The same optimiser, fused, where torch has it.

    Arguments
    ---------
    opt_class : Callable | None
        As SpeechBrain's ``opt_class``: called with the parameters.

    Returns
    -------
    Callable | None
        The same settings; what is no partial of torch's own Adam, AdamW or
        SGD, or says how it wants to be computed, is given back as it is.

    Example
    -------
    >>> fused(functools.partial(torch.optim.Adam, lr=0.1)).keywords
    {'lr': 0.1, 'fused': True}
    >>> fused(torch.optim.Rprop) is torch.optim.Rprop
    True
    """
    if not isinstance(opt_class, functools.partial):
        return opt_class
    said = {"fused", "foreach", "capturable", "differentiable"}
    if opt_class.func not in _FUSED or said & set(opt_class.keywords):
        return opt_class
    return functools.partial(opt_class, fused=True)
