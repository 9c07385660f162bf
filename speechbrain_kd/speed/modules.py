"""Work that SpeechBrain's encoders do and that changes nothing."""

import torch
from speechbrain.nnet.CNN import Conv1d


def skip_empty_padding(model: torch.nn.Module) -> int:
    """Stops 1x1 convolutions from copying their input.

    ``Conv1d(padding="same")`` pads by 0 samples where the kernel has one tap,
    which copies the input, forward and backward. ``"valid"`` gives the same
    bits without.

    Arguments
    ---------
    model : torch.nn.Module
        Changed in place; its parameters are not.

    Returns
    -------
    int
        How many convolutions were changed.

    Example
    -------
    >>> layer = Conv1d(out_channels=4, in_channels=4, kernel_size=1)
    >>> feats = torch.randn(2, 50, 4)
    >>> before = layer(feats)
    >>> skip_empty_padding(layer), torch.equal(layer(feats), before)
    (1, True)
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, Conv1d)
        and type(module).forward is Conv1d.forward
        and module.kernel_size == 1
        and module.stride == 1
        and module.padding == "same"
    ]
    for module in found:
        module.padding = "valid"
    return len(found)
