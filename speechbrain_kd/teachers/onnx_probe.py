"""A first run of a foreign ONNX model, in a process with limits of its own."""

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_MEMORY_BYTES = 4 * 1024**3  # beside the model's weights
_SECONDS = 60  # of one processor

# Only onnxruntime and numpy are loaded there. The search path is the parent's,
# so that nothing in the working folder is imported instead.
_CHILD = """\
import sys
path, memory, seconds, *sys.path[:] = sys.argv[1:]
import resource
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import numpy
import onnxruntime
KINDS = {"tensor(float)": "f4", "tensor(float16)": "f2", "tensor(double)":
         "f8", "tensor(int64)": "i8", "tensor(int32)": "i4"}
AXES = {1: 1, 2: 32000, 3: 200}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
step = "loading"
try:
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"])
    step = "running"
    feed = {}
    for node in session.get_inputs():
        shape = [size if isinstance(size, int) and size > 0 else
                 AXES.get(len(node.shape), 200) if place else 1
                 for place, size in enumerate(node.shape)]
        feed[node.name] = numpy.full(shape, 100, KINDS[node.type])
    session.run(None, feed)
except Exception as error:
    text = str(error) or type(error).__name__
    if "NOT_IMPLEMENTED" not in text and (
            step == "loading" or "alloc" in text.lower()):
        print(text.splitlines()[0])
        sys.exit(3)
"""


def probe(path: Path, weights_bytes: int) -> None:
    """Loads a model and runs it on 2 s, where it can take no more than 4 GiB
    and a minute of one processor.

    Only where the operating system has such limits: not on Windows.

    Arguments
    ---------
    path : Path
        The ``.onnx`` file.
    weights_bytes : int
        Size of the model with all its weights.

    Raises
    ------
    ValueError
        Naming the model, if it takes more, or onnxruntime cannot load it.
    """
    if any(
        importlib.util.find_spec(name) is None
        for name in ("onnxruntime", "resource")
    ):
        logger.warning("%s is not tried within limits of memory first", path)
        return
    memory = _MEMORY_BYTES + 4 * weights_bytes
    arguments = [str(path.absolute()), str(memory), str(_SECONDS)]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments, *filter(None, sys.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    reason = done.stdout.strip()
    if done.returncode != 3 or "alloc" in reason.lower():
        reason = (
            f"2 s of speech took it more than {memory / 1024**3:.1f} GiB or "
            f"{_SECONDS} s (it ended with {done.returncode}"
            + (f", {reason[:200]})" if reason else ")")
        )
        raise ValueError(f"{path} is refused: {reason}")
    raise ValueError(f"{path} is refused by onnxruntime: {reason}")
