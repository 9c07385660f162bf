"""What all cells of a study share: teacher and views of the corpus."""

from pathlib import Path

import speechbrain as sb

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.evaluation.evaluation import plain
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.inputs import (
    create_folder,
    make_missing_teacher,
    prepare_data,
)
from speechbrain_kd.model_sources import ModelSource, parse_models
from speechbrain_kd.study.files import read_json, write_json
from speechbrain_kd.study.jobs import TEACHER, WITHHELD, Job, Study
from speechbrain_kd.study.options import digest, fill
from speechbrain_kd.study.plan import Cell
from speechbrain_kd.study.rates import Bench, Rates, measure
from speechbrain_kd.study.withheld import withhold


def run_teacher(study: Study) -> dict[str, Rates]:
    """Measures the teacher under the plan's conditions.

    Arguments
    ---------
    study : Study
        The study.

    Returns
    -------
    dict[str, Rates]
        By condition.
    """
    done = teacher_result(study)
    if done is not None:
        return done
    experiment = plain_experiment(study)
    create_folder(experiment)
    make_missing_teacher(experiment)
    corpus = prepare_data(experiment)
    bench = bench_of(study, corpus)
    errors = measure(bench.load(teacher_source(study)), bench)
    write_json(
        _teacher_file(study), {"digest": _asked(study), "errors": errors}
    )
    return plain(errors)


def teacher_result(study: Study) -> dict[str, Rates] | None:
    """What `run_teacher` has found, if it has run."""
    found = read_json(_teacher_file(study))
    return found["errors"] if found.get("digest") == _asked(study) else None


def teacher_source(study: Study) -> ModelSource:
    """The plan's teacher, its places filled in."""
    plan = study.plan
    (source,) = parse_models([fill(plan.teacher, plan.places, "teacher")])
    return source


def _teacher_file(study: Study) -> Path:
    return study.output / "cells" / f"{TEACHER}.json"


def _asked(study: Study) -> str:
    """Digest of what is measured of the teacher."""
    source = teacher_source(study)
    return digest([repr(source), repr(study.plan.evaluate)])


def plain_experiment(study: Study) -> Experiment:
    """The plan's options without those of any cell.

    Arguments
    ---------
    study : Study
        The study.

    Returns
    -------
    Experiment
        Checked, nothing made.
    """
    plan = study.plan
    job = Job(study, Cell(TEACHER, ""), next(iter(plan.students)), 0)
    folder = study.output / TEACHER
    given = [*job.arguments(), f"--output_folder={folder}"]
    hparams_file, _, overrides = sb.parse_arguments(given)
    return Experiment(hparams_file, overrides)


def make_view(study: Study, cell: Cell) -> None:
    """Makes the corpus of a cell that withholds labels, where it is missing.

    Arguments
    ---------
    study : Study
        The study.
    cell : Cell
        Any.
    """
    if cell.withhold:
        values = plain_experiment(study).values
        withhold(
            values["data_folder"],
            study.output / WITHHELD / f"{cell.withhold:g}",
            cell.withhold,
            study.plan.evaluate.column,
            values["verification_file"],
        )


def bench_of(study: Study, corpus: Corpus) -> Bench:
    """What models of a study are measured on.

    Arguments
    ---------
    study : Study
        The study.
    corpus : Corpus
        Prepared.

    Returns
    -------
    Bench
        ValueError where the corpus has no trial list.
    """
    if corpus.trials is None:
        raise ValueError(
            f"{corpus.data_folders[0]}: no trial list (meta/veri_test.txt) to "
            "measure on; name one in the plan's options: verification_file"
        )
    cache = study.output / "embeddings"
    return Bench(corpus, study.plan.evaluate, cache, study.device)
