"""What a student takes of a device: size, operations, time and memory.

The students have weights of chance: none of these figures depends on them.
"""

import logging
from pathlib import Path

import torch

from speechbrain_kd.bench.budget_student import (
    cpu_ms_per_second,
    measure_student,
    timed_speech,
)
from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import corpus_of, rows_of
from speechbrain_kd.bench.distilling import teacher_fragment
from speechbrain_kd.bench.students import fragments_of
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.evaluation.cost import one_thread
from speechbrain_kd.model_sources import ModelSource, load_model, on_one_thread
from speechbrain_kd.teachers.card import COST_SECONDS, costs_of

logger = logging.getLogger(__name__)

#: Utterances that the ranges of int8 are found on.
CALIBRATION = 24
_TEACHER = "random-ecapa-c1024"
_HEADER = (
    *("model", "parameters", "GMAC per s", "float32 kB", "int8 kB"),
    *("PyTorch ms per s", "onnxruntime", "int8", "MB"),
)


def measure(options: Options) -> dict:
    """Exports and measures the fragments of a folder.

    Arguments
    ---------
    options : Options
        ``students`` is the folder; ``data_folder`` gives the speech;
        ``teachers`` are fragments, by default an ECAPA-TDNN of the published
        size.

    Returns
    -------
    dict
        ``students``: costs by name; ``teachers``: the same, as far as known.
    """
    fragments = fragments_of(options)
    utterances = utterances_of(options, CALIBRATION)
    folder = options.work / "budgets"
    students = {}
    for fragment in fragments:
        students[fragment.stem] = measure_student(fragment, folder, utterances)
        logger.info("%s: %s", fragment.stem, students[fragment.stem])
    teachers = {
        name: measure_teacher(teacher_fragment(options, name))
        for name in options.teachers or (_TEACHER,)
    }
    return {"students": students, "teachers": teachers}


def utterances_of(
    options: Options, most: int | None = None
) -> list[torch.Tensor]:
    """The training speech of the corpus, or the first of it, each [samples]."""
    rows = rows_of(corpus_of(options), "train")[:most]
    return [load_audio(row["wav"]) for row in rows]


def measure_teacher(place: Path) -> dict[str, float | None]:
    """What is known of a teacher.

    Arguments
    ---------
    place : Path
        A fragment.

    Returns
    -------
    dict[str, float | None]
        ``params``, ``gmac_per_s``, ``float_bytes``, and ``torch_ms`` or, where
        onnxruntime runs it, ``onnx_ms``.
    """
    source = ModelSource(place.stem, str(place))
    with one_thread():
        teacher = on_one_thread(source, load_model(source))
        costs = costs_of(teacher)
        wavs = timed_speech()
        times = cpu_ms_per_second({"ms": lambda: teacher(wavs)}, repeats=10)
    kind = "torch" if any(True for _ in teacher.parameters()) else "onnx"
    gmac = costs["gmac"]
    return {
        "params": costs["parameters"],
        "gmac_per_s": None if gmac is None else gmac / COST_SECONDS,
        "float_bytes": costs["bytes"],
        f"{kind}_ms": times["ms"],
    }


def report(facts: dict) -> str:
    """The costs as Markdown, the smallest first, then the teachers."""
    students = sorted(facts["students"].items(), key=lambda x: x[1]["params"])
    teachers = [
        (f"teacher: {Path(name).stem}", cost)
        for name, cost in facts["teachers"].items()
    ]
    return table(
        _HEADER, [_row(name, cost) for name, cost in [*students, *teachers]]
    )


def _row(name: str, cost: dict) -> tuple[object, ...]:
    """A line of the table; what is not known is None."""

    def told(key: str, form: str, scale: float = 1.0) -> str | None:
        value = cost.get(key)
        return None if value is None else format(value / scale, form)

    return (
        *(name, told("params", ",.0f"), told("gmac_per_s", ".4f")),
        *(told("float_bytes", ",.0f", 1e3), told("int8_bytes", ",.0f", 1e3)),
        *(told(f"{one}_ms", ".2f") for one in ("torch", "onnx", "int8")),
        told("peak_mb_60", ".0f"),
    )
