"""What stands for speech where none is needed."""

import numpy as np


def speech(count: int) -> list[np.ndarray]:
    """Noise that swells and falls silent, each 0.75 s at 16 kHz."""
    generator = np.random.default_rng(0)
    time_s = np.arange(12000) / 16000
    swell = np.clip(np.sin(9 * time_s), 0, None)
    noise = 0.1 * generator.standard_normal((count, 12000))
    return list((noise * swell).astype(np.float32))
