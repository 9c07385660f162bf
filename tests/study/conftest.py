"""A small plan, and jobs that are done without any training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speechbrain_kd.study.files import write_json
from speechbrain_kd.study.jobs import Job, Study
from speechbrain_kd.study.plan_file import read_plan

PLAN = """\
recipe: hparams/student.yaml
places: {data_folder: null}
options: {data_folder: <data_folder>, lr: 0.1}
students: {small: hparams/students/ecapa_c16.yaml, large: large.yaml}
seeds: [1, 2, 3]
search_seed: 9
teacher: run
evaluate: {column: corpus, durations: [1]}
cells:
    baseline:
        says: Alone.
        options: {teacher: null}
    cosine:
        says: With it.
        options: {distillation: hparams/distillation/embedding.yaml}
        search: {key: distillation.weights.embedding, values: [5, 1e1]}
    both:
        says: With more.
        like: cosine
        against: cosine
        options: {distillation.weights.posteriors: 2, lr: 0.3}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """A plan of two students, three seeds and three cells."""
    path = tmp_path / "small.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def study(plan_file: Path, tmp_path: Path) -> Study:
    """The study of that plan, of which nothing is done."""
    plan = read_plan(plan_file).with_places({"data_folder": "vox"})
    return Study(plan, tmp_path / "study")


@pytest.fixture
def finish() -> Callable:
    """Writes a job's result as a training would."""

    def write(job: Job, eer: float, validation: float = 0.1) -> None:
        def rates(shift: float) -> dict:
            return {
                "pooled": eer + shift,
                "groups": {"a": eer + shift - 0.01, "b": eer + shift + 0.01},
                "mean": eer + shift,
                "min_dcf": 0.5,
            }

        errors = {
            "whole": rates(0.0),
            "1 s": rates(0.1),
            "10 dB": rates(0.2),
            "AS-norm": rates(-eer / 2),
            "teacher enrols": rates(eer / 2),
            "teacher enrols, AS-norm": rates(0.1),
        }
        found = {"validation": {"mean": validation, "groups": {}}}
        if not job.searching:
            found["errors"] = errors
        write_json(
            job.result_file,
            {
                "cell": job.cell.name,
                "student": job.student,
                "seed": job.seed,
                "command": job.command(),
                "digest": job.full_digest(),
                "seen": "none of 2",
                "train_s": 90.0,
                "measure_s": 10.0,
                **found,
            },
        )

    return write
