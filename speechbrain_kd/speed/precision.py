"""Half precision where it is faster, and a word where it is not."""

import logging
import platform

import torch

logger = logging.getLogger(__name__)


def warn_of_slow_bf16(precision: str, device_type: str) -> bool:
    """Says that a processor computes bf16 by detours.

    Without bf16 instructions a step of a small student takes four times as
    long as in fp32.

    Arguments
    ---------
    precision : str
        SpeechBrain's ``--precision``.
    device_type : str
        ``"cpu"``, ``"cuda"``, ...

    Returns
    -------
    bool
        Whether it was said.
    """
    if precision != "bf16" or device_type != "cpu" or has_bf16():
        return False
    logger.warning(
        "--precision=bf16 on a processor without bf16 instructions is slower "
        "than fp32: leave it out here"
    )
    return True


def has_bf16() -> bool:
    """Whether this processor may have instructions for bf16.

    Asked of x86 alone; of others nothing is known, and nothing is said.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return bool(torch.cpu._is_avx512_bf16_supported())
