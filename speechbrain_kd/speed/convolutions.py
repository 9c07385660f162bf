"""The fastest of cuDNN's convolutions, where shapes last.

Left to its heuristics, cuDNN computes the gradient of a small student's first
convolution by Fourier transforms, which takes most of the step.
"""

import torch
from speechbrain.utils.quirks import applied_quirks


def tune_convolutions(lasting_shapes: bool) -> bool:
    """Lets cuDNN time its algorithms for each new shape, or not.

    Arguments
    ---------
    lasting_shapes : bool
        Whether batches to come are of one shape. With many shapes the timing
        would cost more than it saves.

    Returns
    -------
    bool
        Whether cuDNN will. It is left alone where it is to be deterministic
        and where SpeechBrain has switched the timing off.

    Example
    -------
    >>> before = torch.backends.cudnn.benchmark
    >>> tune_convolutions(True), tune_convolutions(before) == before
    (True, True)
    """
    forbidden = (
        torch.backends.cudnn.deterministic
        or "disable_cudnn_benchmarking" in applied_quirks
    )
    torch.backends.cudnn.benchmark = lasting_shapes and not forbidden
    return torch.backends.cudnn.benchmark
