"""What the runtime takes without torch: time to start, and memory.

It imports nothing but numpy and onnxruntime, so that it also runs where there
is nothing else; as a process of its own:

python -m speechbrain_kd.bench.runtime_alone student.onnx
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.bench.memory import peak_mb

#: Lengths of utterances after each of which the peak is read.
SECONDS = (3, 10, 60)


def runtime_costs(model: str | Path) -> dict[str, float]:
    """Measures a model in a process of its own.

    Arguments
    ---------
    model : str | Path
        What ``speechbrain-kd export --to onnx`` wrote.

    Returns
    -------
    dict[str, float]
        As ``measure_here`` gives it.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(model)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def measure_here(
    model: str, seconds: Sequence[int] = SECONDS
) -> dict[str, float]:
    """Measures a model in this process, which should have done nothing else.

    Arguments
    ---------
    model : str
        The file.
    seconds : Sequence[int]
        Lengths of what is embedded.

    Returns
    -------
    dict[str, float]
        ``import_s`` and ``open_s`` from the start, and with ``_cpu`` the time
        that a core worked on it; ``open_mb`` and ``peak_mb_3`` and so on: the
        most memory until then.
    """
    began, worked = time.perf_counter(), time.process_time()
    from speechbrain_kd.runtime import SpeakerVerifier

    costs = {
        "import_s": time.perf_counter() - began,
        "import_cpu_s": time.process_time() - worked,
    }
    verifier = SpeakerVerifier(model)
    costs |= {
        "open_s": time.perf_counter() - began,
        "open_cpu_s": time.process_time() - worked,
        "open_mb": peak_mb(),
    }
    import numpy as np

    generator = np.random.default_rng(1986)
    rate = verifier.facts.sample_rate
    for length in seconds:
        noise = generator.integers(-3000, 3000, length * rate, dtype=np.int16)
        verifier.embed(noise)
        costs[f"peak_mb_{length}"] = peak_mb()
    return {name: round(value, 3) for name, value in costs.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_here(sys.argv[1])) + "\n")
