"""Memory that a step frees stays with the process for the next step.

glibc hands large blocks back to the kernel when they are freed, and the kernel
fills each page with zeros when it is asked for again. A training step frees and
takes the same hundreds of megabytes every time; on the CPU that costs a fifth
of the step of a small student.
"""

import ctypes
import logging
import platform

logger = logging.getLogger(__name__)

# From malloc.h: parameters of mallopt.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1
_TOP_PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory; call it once, early.

    The peak of memory stays what it is; between the steps the process holds
    on to it.

    Returns
    -------
    bool
        Whether it was done: only glibc (Linux) knows how.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, _LARGEST_INT),
        (_M_TOP_PAD, _TOP_PAD_BYTES),
    )
    return all(libc.mallopt(key, value) == 1 for key, value in settings)
