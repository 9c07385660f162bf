"""Trains a job and measures what came out."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from speechbrain_kd.data.corpus import load_corpus
from speechbrain_kd.evaluation.evaluation import plain
from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.model_sources import ModelSource, load_model
from speechbrain_kd.process import run_training
from speechbrain_kd.study.files import read_json, write_json
from speechbrain_kd.study.jobs import TEACHER, Job
from speechbrain_kd.study.rates import measure
from speechbrain_kd.study.shared import bench_of, make_view, teacher_source
from speechbrain_kd.study.validation import validate

logger = logging.getLogger(__name__)

_NOTE = "study.json"


def run_job(job: Job) -> dict[str, Any]:
    """Trains and measures, unless that is done; what is half done goes on.

    Arguments
    ---------
    job : Job
        The job, its value chosen.

    Returns
    -------
    dict[str, Any]
        What `Job.result` reads back: ``errors`` and ``validation`` (see
        `rates`), ``train_s``, ``measure_s``, the command, the machine.

    Raises
    ------
    ValueError
        If the training fails.
    """
    done = job.result()
    if done is not None:
        return done
    make_view(job.study, job.cell)
    train(job)
    began = time.monotonic()
    corpus = load_corpus(job.folder / "save")
    study = job.study
    bench = bench_of(study, corpus)
    source = ModelSource(job.name, str(job.folder))
    found: dict[str, Any] = {}
    if job.searching:  # no test trial takes part
        model = load_model(source, study.device)
    else:
        system = bench.load(source)
        enrols = bench.load(teacher_source(study), enrols=True)
        found["errors"] = measure(system, bench, enrols)
        model = system.model
    found["validation"] = validate(model, bench)
    result = {
        "cell": job.cell.name,
        "student": job.student,
        "seed": job.seed,
        "value": job.value,
        "digest": job.full_digest(),
        "command": job.command(),
        **found,
        "seen": _seen(job.folder),
        "train_s": read_json(job.folder / _NOTE)["train_s"],
        "measure_s": time.monotonic() - began,
        "machine": describe_machine(),
    }
    write_json(job.result_file, result)
    return plain(result)


def train(job: Job) -> None:
    """Runs the training, or goes on with it where it was interrupted.

    A run of another command that stands in its folder is removed.

    Arguments
    ---------
    job : Job
        The job.

    Raises
    ------
    ValueError
        If the training fails.
    """
    note = job.folder / _NOTE
    noted = read_json(note)
    if noted.get("digest") != job.digest():
        shutil.rmtree(job.folder, ignore_errors=True)
        noted = {"digest": job.digest(), "train_s": 0.0, "finished": False}
        write_json(note, noted)
    if noted["finished"]:
        return
    began = time.monotonic()
    status = run_training(job.command())
    noted["train_s"] += time.monotonic() - began
    noted["finished"] = status == 0
    write_json(note, noted)
    if status == 130:
        raise KeyboardInterrupt
    if status != 0:
        raise ValueError(f"{job.name}: the training failed, status {status}")


def _seen(folder: Path) -> str | None:
    """What the run says that its student has met of the test speakers."""
    path = folder / "report" / "results.json"
    systems = json.loads(path.read_text(encoding="utf-8"))["systems"]
    return next(
        (one.get("seen") for name, one in systems.items() if name != TEACHER),
        None,
    )
