"""Means, intervals and paired differences of a study, by hand."""

import json
import math
from dataclasses import replace

import pytest

from speechbrain_kd.study import summary
from speechbrain_kd.study.cost import expected_s
from speechbrain_kd.study.jobs import Job, cell_jobs, search_jobs
from speechbrain_kd.study.steps import listing, publish
from speechbrain_kd.study.summary import summarise
from speechbrain_kd.study.tables import write_between

T = 4.302653  # Student's t, two degrees of freedom, 97.5 %


@pytest.fixture
def finished(study, finish, monkeypatch):
    """Everything of the small student is done, but for the cell ``both``."""
    cells = study.plan.cells
    for job, error in zip(
        search_jobs(study, cells["cosine"]), (0.2, 0.15), strict=True
    ):
        finish(job, 0.0, validation=error)
    for name, rates in (("baseline", (20, 22, 24)), ("cosine", (16, 17, 18))):
        for job in cell_jobs(study, cells[name]):
            if job.student == "small":
                finish(job, rates[job.seed - 1] / 100)
    teacher = {
        "whole": {"pooled": 0.02, "mean": 0.02, "groups": {}, "min_dcf": 0.1}
    }
    monkeypatch.setattr(summary, "teacher_result", lambda study: teacher)
    return study


def test_differences_are_paired_by_seed(finished):
    found = summarise(finished)["cells"]["cosine"]["students"]["small"]
    assert found["rates"]["mean"]["mean"] == pytest.approx(17)
    told = found["differences"]
    # -4, -5 and -6 points: their deviation is 1.
    assert told["mean"]["mean"] == pytest.approx(-5)
    assert told["mean"]["high"] == pytest.approx(-5 + T / math.sqrt(3))
    assert told["a"]["mean"] == pytest.approx(-5)
    assert told["1 s"]["mean"] == pytest.approx(-5)
    assert told["1 s a"]["low"] == pytest.approx(-5 - T / math.sqrt(3))
    shares = [100 * (16 / 20 - 1), 100 * (17 / 22 - 1), 100 * (18 / 24 - 1)]
    assert found["relative"]["mean"] == pytest.approx(sum(shares) / 3)
    closed = [100 * 4 / 18, 100 * 5 / 20, 100 * 6 / 22]
    assert found["gap_closed"]["mean"] == pytest.approx(sum(closed) / 3)
    ratios = {name: found["rates"][name]["mean"] for name in summary.RATIOS}
    normalised = [26 / 8, 27 / 8.5, 28 / 9]
    assert ratios == pytest.approx(
        {
            "enrols / own": 1.5,
            "enrols / own, AS-norm": sum(normalised) / 3,
        }
    )


def test_the_tables(finished, tmp_path):
    page = tmp_path / "docs" / "study.md"
    page.parent.mkdir()
    page.write_text(
        "top\n<!-- study:small -->\nx\n<!-- end study:small -->\nend"
    )
    text = publish(finished, page)
    assert (finished.output / "index.md").read_text().endswith(text)
    assert (finished.output / "study.png").stat().st_size > 5000
    written = page.read_text()
    assert "](pictures/study_small.png)" in written
    assert (page.parent / "pictures" / "study_small.png").is_file()
    assert written.startswith("top\n") and written.endswith("-->\nend")
    assert "\nx\n" not in written
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
    ]
    searched = "5: 20.00 · 1e1: 15.00"
    key = "distillation.weights.embedding"
    assert ["cosine", key, searched, "1e1"] in rows
    spread = "17.00 [14.52, 19.48]"
    (cosine,) = [row for row in rows if row[3:4] == [spread]]
    assert cosine[4] == "16.00 · 17.00 · 18.00"
    assert cosine[5:10] == ["16.00", "18.00", "17.00", "0.500", "27.00"]
    assert cosine[-3:] == ["1.50 [1.50, 1.50]", "3.18 [3.01, 3.35]", "90"]
    (teacher,) = [row for row in rows if row[0] == "teacher"]
    assert len(teacher) == len(cosine) and teacher[-3:] == ["–"] * 3
    (told,) = [
        row for row in rows if row[:3] == ["cosine", "small", "baseline"]
    ]
    assert told[3] == "**-5.00 [-7.48, -2.52]**"
    assert told[4] == "–"  # the runs are not there, nor their scores
    assert told[5:7] == [told[3]] * 2
    assert told[-2:] == ["**-23 [-29, -16]**", "25 [19, 31] %"]
    assert "6 runs: 0.15 hours of training" in text
    facts = json.loads((finished.output / "results.json").read_text())
    assert facts["cells"]["both"]["students"] == {}


def test_a_difference_within_the_noise_is_not_bold(study, finish, monkeypatch):
    monkeypatch.setattr(summary, "teacher_result", lambda study: None)
    plan = study.plan
    for job in search_jobs(study, plan.cells["cosine"]):
        finish(job, 0.0)
    for name, rates in (("baseline", (20, 22)), ("cosine", (19, 23))):
        for job in list(cell_jobs(study, plan.cells[name]))[:2]:
            finish(job, rates[job.seed - 1] / 100)
    text = publish(study, None)
    assert "0.00 [-12.71, 12.71]" in text and "**" not in text


def test_nothing_is_done_yet(study, monkeypatch):
    monkeypatch.setattr(summary, "teacher_result", lambda study: None)
    assert "0 runs" in publish(study, None)


def test_the_list_of_what_is_to_do(finished, finish):
    cell = finished.plan.cells["cosine"]
    assert expected_s(finished, Job(finished, cell, "small", 5)) == 100
    assert expected_s(finished, Job(finished, cell, "large", 5)) is None
    longer = replace(finished, extra=("--number_of_epochs=32",))
    shorter = replace(finished, extra=("--number_of_epochs=16",))
    finish(Job(shorter, cell, "large", 7), 0.1)  # 90 s of training, 10 s more
    assert expected_s(longer, Job(longer, cell, "large", 5)) == 190
    Job(shorter, cell, "large", 7).result_file.unlink()
    lines = listing(finished, "cos*").splitlines()
    assert "# cosine.small.1: done" in lines
    assert "# cosine.large.1: cost unknown" in lines
    assert lines[-1].startswith("# 8 jobs; to do: 0.00 hours")
    both = listing(finished, "both")
    assert "# both.small.1: 100 s" in both
    assert "to do: 0.08 hours" in both
    with pytest.raises(ValueError, match="no cell of this name"):
        listing(finished, "none")


def test_a_page_without_marks(tmp_path):
    page = tmp_path / "page.md"
    with pytest.raises(FileNotFoundError, match="no such page"):
        write_between(page, "a", "text")
    page.write_text("<!-- study:a --> no end")
    with pytest.raises(ValueError, match="expected the lines <!-- study:a -->"):
        write_between(page, "a", "text")
    assert page.read_text() == "<!-- study:a --> no end"
