"""Jobs in processes: what is done is skipped, and a failure stops nobody."""

import logging

import pytest

from speechbrain_kd.study.jobs import Job
from speechbrain_kd.study.runner import run_all


@pytest.fixture
def jobs(study):
    cell = study.plan.cells["baseline"]
    return [Job(study, cell, "small", seed) for seed in (1, 2, 3)]


def test_a_failure_is_told_and_the_others_go_on(jobs, finish, tmp_path, caplog):
    finish(jobs[0], 0.1)

    def command(job):
        code = "import os; print('heard', os.environ['OMP_NUM_THREADS'])\n"
        if job.seed == 2:
            code += "import sys; print('before\\rmy reason'); sys.exit(1)"
        else:
            code += f"open({str(tmp_path / job.name)!r}, 'w')"
        return ["-c", code]

    with caplog.at_level(logging.INFO):
        failures = run_all(jobs, command, at_once=2)
    assert [failure.name for failure in failures] == [jobs[1].name]
    assert "    my reason" in caplog.text and "before" not in caplog.text
    assert (tmp_path / jobs[2].name).exists()  # after the one that failed
    assert not jobs[0].log.exists()  # it was done
    assert "heard" in jobs[2].log.read_text()
