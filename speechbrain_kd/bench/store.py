"""Reading, writing and size of what the teacher said of views."""

import random
import shutil
import tempfile
import time
from pathlib import Path

import torch

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import CROP_S
from speechbrain_kd.bench.features import feature_functions
from speechbrain_kd.bench.student_step import student_step
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.teachers.store import TeacherStore

VIEWS = 100_000
DIMS = (192, 256, 512)

#: Utterances: VoxCeleb2, and a hundred times that.
CORPORA = {"voxceleb2": 1_090_000, "hundredfold": 109_000_000}

_EACH = 8  # views of an utterance
_BATCH = 64


def measure(options: Options) -> dict:
    """Writes and reads stores of random embeddings.

    Arguments
    ---------
    options : Options
        The stores lie in ``work`` and are removed; ``student`` and
        ``batch_size`` are of the step that reading is a share of.

    Returns
    -------
    dict
        ``dims``: by size of an embedding, what a view costs; ``step_us``: an
        utterance of the student's step.
    """
    step_us = 1e6 * step_seconds(options) / options.batch_size
    options.work.mkdir(parents=True, exist_ok=True)
    dims = {}
    for dim in DIMS:
        folder = Path(tempfile.mkdtemp(prefix="store-", dir=options.work))
        try:
            dims[str(dim)] = measure_store(folder, dim, VIEWS)
        finally:
            shutil.rmtree(folder)
    for facts in dims.values():
        read = facts["read_us"]
        facts["share_of_step"] = read / (read + step_us)
    return {
        "student": options.student,
        "views": VIEWS,
        "views_each": _EACH,
        "write_batch": _BATCH,
        "step_us": step_us,
        "dims": dims,
    }


def step_seconds(options: Options) -> float:
    """Features, forward and backward of the student on a batch."""
    wavs = 0.1 * torch.randn(options.batch_size, round(16000 * CROP_S))
    wavs = wavs.to(options.device)
    features = feature_functions(options.device)[1]
    step = student_step(options, features(wavs))

    def whole():
        features(wavs)
        step()

    return best_of_each({"whole": whole}, options.device, repeats=15)["whole"]


def measure_store(folder: Path, dim: int, views: int) -> dict:
    """What a store costs.

    Arguments
    ---------
    folder : Path
        Where to; empty.
    dim : int
        Size of an embedding.
    views : int
        How many to write and read, eight of each utterance.

    Returns
    -------
    dict
        Bytes; seconds of all; microseconds a view, of the best eighth;
        gigabytes of large corpora.
    """
    store = TeacherStore(folder, "random", "0", dim, {"of": "the bench"})
    utterances = [f"id{at:07d}--video--00001" for at in range(views // _EACH)]
    began = time.perf_counter()
    store.register(utterances)
    registered = time.perf_counter() - began
    order = random.Random(1)
    written, read = (
        [
            work(store, order.sample(utterances, len(utterances)), view)
            for view in range(_EACH)
        ]
        for work in (_write, _read)
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    number = _EACH * len(utterances)
    bytes_each = sum(path.stat().st_size for path in files) / number
    return {
        "bytes_a_view": bytes_each,
        "register_s": registered,
        "write_s": sum(written),
        "read_s": sum(read),
        "write_us": 1e6 * min(written) / len(utterances),
        "read_us": 1e6 * min(read) / len(utterances),
        "gigabytes": {
            name: bytes_each * _EACH * size / 1e9
            for name, size in CORPORA.items()
        },
    }


def _write(store: TeacherStore, utterances: list[str], view: int) -> float:
    """Seconds to write a view of all utterances, in batches."""
    rows = torch.randn(_BATCH, store.dim)
    began = time.perf_counter()
    for first in range(0, len(utterances), _BATCH):
        part = utterances[first : first + _BATCH]
        same = [view] * len(part)
        store.write(part, same, same, rows[: len(part)])
    return time.perf_counter() - began


def _read(store: TeacherStore, utterances: list[str], view: int) -> float:
    """Seconds to read a view of all utterances, one by one."""
    began = time.perf_counter()
    missing = sum(store.read(x, view, view) is None for x in utterances)
    seconds = time.perf_counter() - began
    if missing:
        raise ValueError(f"{store.path}: {missing} views cannot be read")
    return seconds


def report(facts: dict) -> str:
    """One row for each size of an embedding."""
    rows = [
        (
            dim,
            cost["bytes_a_view"],
            cost["write_s"],
            cost["write_us"],
            cost["read_s"],
            cost["read_us"],
            f"{cost['share_of_step']:.2%}",
            *cost["gigabytes"].values(),
        )
        for dim, cost in facts["dims"].items()
    ]
    header = ["dim", "bytes a view", "write s", "write µs", "read s"]
    header += ["read µs", "share of step"]
    each = facts["views_each"]
    header += [f"GB, {size / 1e6:g}M x {each}" for size in CORPORA.values()]
    return (
        table(header, rows)
        + f"\n{facts['views']:,} views in random order, warm cache: written "
        f"{facts['write_batch']} at a time, read one by one; seconds are of "
        "all, microseconds a view of the best eighth. The step is "
        f"features, forward and backward of {facts['student']}: "
        f"{facts['step_us']:,.0f} µs an utterance.\n"
    )
