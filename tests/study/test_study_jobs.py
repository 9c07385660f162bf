"""Commands of jobs, when they are done, and what a search chooses."""

from dataclasses import replace

from speechbrain_kd.study.jobs import Job, cell_jobs, choose, search_jobs
from speechbrain_kd.study.plan import Conditions


def test_the_command_of_a_cell(study):
    both = study.plan.cells["both"]
    job = Job(study, both, "small", 3, "10")
    given = dict(one.split("=", 1) for one in job.command()[1:] if "=" in one)
    assert job.command()[0] == "hparams/student.yaml"
    assert given["--data_folder"] == "vox"
    assert given["--lr"] == "0.3" and given["--seed"] == "3"
    assert given["--embedding_model"].endswith("ecapa_c16.yaml")
    assert given["--distillation"].endswith(
        "embedding.yaml {weights: {posteriors: 2, embedding: 10}}"
    )
    assert given["--output_folder"] == str(study.output / "runs" / job.name)
    assert given["--evaluate_teacher"] == "False"


def test_labels_that_are_withheld(study):
    cell = replace(study.plan.cells["baseline"], withhold=0.5)
    given = Job(study, cell, "small", 1).command()
    view = study.output / "withheld" / "0.5"
    assert f"--data_folder={view}/labelled" in given


def test_a_result_is_of_its_command_and_of_what_is_measured(study, finish):
    job = Job(study, study.plan.cells["baseline"], "small", 1)
    assert job.result() is None
    finish(job, 0.2)
    assert job.result()["errors"]["whole"]["pooled"] == 0.2
    elsewhere = replace(study, extra=("--lr=0.5",))
    assert replace(job, study=elsewhere).result() is None
    plan = replace(study.plan, evaluate=Conditions(durations=(3.0,)))
    other = replace(job, study=replace(study, plan=plan))
    assert other.result() is None
    # The same training is measured anew.
    assert other.digest() == job.digest()


def test_a_search_takes_the_lowest_validation_error(study, finish):
    cosine, both = study.plan.cells["cosine"], study.plan.cells["both"]
    five, ten = search_jobs(study, both)
    assert [five.seed, five.student] == [9, "small"]
    finish(five, 0.0, validation=0.3)
    assert choose(study, both).value is None
    assert choose(study, both).tried == {"5": 0.3}
    finish(ten, 0.0, validation=0.2)
    assert choose(study, both).value == choose(study, cosine).value == "1e1"
    jobs = list(cell_jobs(study, both))
    assert len(jobs) == 6 and {job.value for job in jobs} == {"1e1"}
    names = {job.name for job in (*jobs, five, ten)}
    assert len(names) == 8  # none lies where another does
    assert choose(study, study.plan.cells["baseline"]) is None
