"""What a job should cost, by those like it that are done."""

from collections.abc import Sequence
from statistics import median

from speechbrain_kd.study.files import read_json
from speechbrain_kd.study.jobs import Job, Study


def expected_s(study: Study, job: Job) -> float | None:
    """Seconds that a job should take, by those like it that are done.

    Arguments
    ---------
    study : Study
        The study.
    job : Job
        One that is not done.

    Returns
    -------
    float | None
        The median of the same cell and student, each for as many epochs; else
        of the same student; None where there is nothing to go by.
    """
    near, far = [], []
    epochs = _epochs(job.command())
    for path in sorted((study.output / "cells").glob("*.json")):
        found = read_json(path)
        if found.get("student") != job.student:
            continue
        its = _epochs(found["command"])
        longer = epochs / its if epochs and its else 1.0
        seconds = longer * found["train_s"] + found["measure_s"]
        (near if found["cell"] == job.cell.name else far).append(seconds)
    return median(near or far) if near or far else None


def _epochs(command: Sequence[str]) -> float | None:
    """Epochs of a training, where its command says them."""
    for option in command:
        key, _, value = option.partition("=")
        if key == "--number_of_epochs":
            return float(value)
    return None
