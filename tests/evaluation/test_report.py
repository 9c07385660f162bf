"""The report: its table, its files, its schema."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from speechbrain_kd.evaluation import (
    markdown_table,
    measure,
    report as report_module,
    write_report,
)


def make_scores(**shifts):
    """Scores of systems that are so many deviations good."""
    rng = np.random.default_rng(0)
    target, impostor = rng.normal(size=400), rng.normal(size=4000)
    return {name: (target + by, impostor) for name, by in shifts.items()}


def make_systems(scores):
    """Results of those scores, with costs."""
    systems = {name: measure(*pair) for name, pair in scores.items()}
    for result in systems.values():
        result.params, result.gmac = 39_600, 0.00512
        result.bytes, result.ms_per_second = 181_250, 1.2345
    return systems


def cells(table):
    """A Markdown table as lists of cells."""
    rows = table.strip().splitlines()
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in rows
    ]


def test_table_has_rows_in_order_and_units():
    systems = {
        "student": {"eer": 0.05, "min_dcf": 0.41, "min_dcf_05": 0.3},
        "other|one": {"eer": 0.5, "bytes": 999_600, "params": 999},
        "teacher": {
            "eer": 0.04,
            "params": 14_654_000,
            "gmac": 2.654,
            "bytes": 58_700_000,
            "ms_per_second": 31.26,
        },
        "baseline": {"eer": 0.06, "gmac": 0.01, "ms_per_second": None},
    }
    header, rule, *rows = cells(markdown_table(systems))
    assert len(header) == len(rule) == 9
    assert {len(row) for row in rows} == {9}
    assert rows[0] == [
        *("teacher", "14.7 M", "2.65", "58.7 MB", "31.3", "4.00 %"),
        *("–", "–", "–"),
    ]
    assert rows[1][0] == "baseline (student without teacher)"
    assert rows[1][2] == "0.0100"
    assert rows[2][5:] == ["5.00 %", "0.410", "0.300", "50 %"]
    assert rows[3][:4] == ["other\\|one", "999", "–", "1 MB"]


@pytest.mark.parametrize(
    "eers", [{"student": 0.1}, {"teacher": 0.1, "student": 0.2}]
)
def test_table_without_all_systems_has_no_share(eers):
    systems = {name: {"eer": eer} for name, eer in eers.items()}
    rows = cells(markdown_table(systems))[2:]
    assert len(rows) == len(eers)
    assert {row[-1] for row in rows} == {"–"}


def test_report_of_three_systems(tmp_path):
    scores = make_scores(teacher=4, baseline=2.5, student=3)
    systems = make_systems(scores)
    path = write_report(
        tmp_path / "report", systems, scores, "Demo", ["Seed 1986."]
    )
    facts = json.loads((path.parent / "results.json").read_text("utf-8"))
    assert list(facts["systems"]) == ["teacher", "baseline", "student"]
    for name, result in facts["systems"].items():
        assert result == systems[name].to_dict()
        assert 0 < result["eer"] < 0.2
    rates = [facts["systems"][n]["eer"] for n in facts["systems"]]
    assert facts["gap_closed"] == pytest.approx(
        (rates[1] - rates[2]) / (rates[1] - rates[0])
    )
    assert facts["trials"] == {"target": 400, "impostor": 4000, "total": 4400}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", facts["date"])
    assert "PyTorch" in facts["machine"]
    text = path.read_text("utf-8")
    assert text.startswith("# Demo\n")
    assert markdown_table(systems) in text and "- Seed 1986." in text
    linked = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(linked) == 4
    for name in linked:
        assert (path.parent / name).is_file()
    assert len(list(path.parent.iterdir())) == 6


def test_report_of_the_student_alone_and_again(tmp_path):
    scores = make_scores(student=3)
    for _ in range(2):
        write_report(tmp_path, make_systems(scores), scores)
    facts = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert facts["gap_closed"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "det.png",
        "report.md",
        "results.json",
        "scores_student.png",
    ]


def test_report_refuses_what_does_not_fit(tmp_path):
    scores = make_scores(student=3)
    systems = make_systems(scores)
    with pytest.raises(ValueError, match="no system to report"):
        write_report(tmp_path, {}, {})
    with pytest.raises(ValueError, match=r"\['student'\], got those of \[\]"):
        write_report(tmp_path, systems, {})
    with pytest.raises(ValueError, match="'a/b' needs a name of letters"):
        write_report(
            tmp_path, {"a/b": systems["student"]}, {"a/b": scores["student"]}
        )
    assert not list(tmp_path.iterdir())


def test_processor_where_linux_says_and_elsewhere(monkeypatch):
    assert report_module._processor()
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    monkeypatch.setattr("platform.processor", lambda: "")
    assert report_module._processor() == "unknown processor"
