"""Several seeds: what is run, and the statistics of the results."""

import json
import math
import subprocess
from pathlib import Path

import pytest

from speechbrain_kd import seeds

#: EER by system and seed, in 0-1.
EER = {
    "baseline": {1: 0.10, 2: 0.12, 3: 0.11},
    "student": {1: 0.08, 2: 0.09, 3: 0.07},
}
TEACHER = 0.05


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that write their results at once; gives their commands."""
    commands = []

    def train(command, check, env):
        commands.append(command)
        (folder,) = [
            Path(x.partition("=")[2])
            for x in command
            if x.startswith("--output_folder=")
        ]
        name, seed = folder.name.split("_")
        role = "student" if name == "student" else "model"
        systems = {role: {"eer": EER[name][int(seed)]}}
        if name == "student":
            systems["teacher"] = {"eer": TEACHER}
        (folder / "report").mkdir(parents=True)
        (folder / "report" / "results.json").write_text(
            json.dumps({"systems": systems})
        )
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", train)
    return commands


def test_baseline_and_student_of_every_seed(trainings, tmp_path):
    seeds.main(
        ["--output", str(tmp_path), "--hparams", "h", "--seeds", "1", "3"]
        + ["--", "--lr=1", "--teacher=t.yaml", "--distillation={weights: 1}"]
        + ["--evaluate_teacher=True", "--data_folder=d"]
    )
    names = [(x[3], x[4].rpartition("/")[2], x[5]) for x in trainings]
    assert names == [
        (f"h/{name}.yaml", f"{name}_{seed}", f"--seed={seed}")
        for name in ("baseline", "student")
        for seed in (1, 3)
    ]
    for command in trainings[:2]:  # a baseline is given no teacher
        assert command[6:] == ["--lr=1", "--data_folder=d"]
    for command in trainings[2:]:
        assert command[6:] == [
            "--lr=1",
            "--teacher=t.yaml",
            "--distillation={weights: 1}",
            "--evaluate_teacher=True",
            "--data_folder=d",
        ]


def test_the_comparison_by_hand(trainings, tmp_path, capsys):
    seeds.main(["--output", str(tmp_path)])
    facts = json.loads((tmp_path / "seeds.json").read_text())
    assert facts["teacher_eer_percent"] == pytest.approx(5.0)
    assert facts["eer_percent"]["baseline"] == pytest.approx([10, 12, 11])
    # Student's t of 2 degrees of freedom at 97.5 %, from tables.
    half = 4.30265 * 1.0 / math.sqrt(3)
    for name, mean in (("baseline", 11.0), ("student", 8.0)):
        assert facts[name]["mean"] == pytest.approx(mean)
        assert facts[name]["low"] == pytest.approx(mean - half, abs=1e-4)
        assert facts[name]["high"] == pytest.approx(mean + half, abs=1e-4)
    # The differences of pairs, -2, -3 and -4: their spread is 1 too.
    assert facts["difference"]["mean"] == pytest.approx(-3.0)
    assert facts["difference"]["high"] == pytest.approx(half - 3, abs=1e-4)
    closed = [100 * 2 / 5, 100 * 3 / 7, 100 * 4 / 6]
    assert facts["gap_closed_percent"] == pytest.approx(closed)
    assert facts["gap_closed"]["mean"] == pytest.approx(sum(closed) / 3)
    table = capsys.readouterr().out
    assert table == (tmp_path / "seeds.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
    assert rows[2:] == [
        ["teacher", "5.00", ""],
        ["baseline", "10.00 · 12.00 · 11.00", "11.00 [8.52, 13.48]"],
        ["student", "8.00 · 9.00 · 7.00", "8.00 [5.52, 10.48]"],
        ["student − baseline", "", "-3.00 [-5.48, -0.52]"],
        ["gap closed", "40 % · 43 % · 67 %", "50 [13, 86] %"],
    ]


def test_a_second_run_trains_nothing(trainings, tmp_path):
    arguments = ["--output", str(tmp_path), "--seeds", "2"]
    seeds.main(arguments)
    first = (tmp_path / "seeds.json").read_text()
    seeds.main(arguments)
    assert len(trainings) == 2
    assert (tmp_path / "seeds.json").read_text() == first


def test_one_seed_has_no_interval(trainings, tmp_path):
    seeds.main(["--output", str(tmp_path), "--seeds", "1"])
    facts = json.loads((tmp_path / "seeds.json").read_text())
    assert facts["student"] == {"mean": 8.0, "low": None, "high": None}
    assert "| student | 8.00 | 8.00 |" in (tmp_path / "seeds.md").read_text()


def test_without_the_teachers_eer_no_gap(tmp_path):
    runs = {
        "baseline": [{"systems": {"model": {"eer": 0.2}}}],
        "student": [{"systems": {"student": {"eer": 0.1}}}],
    }
    text = seeds.write_comparison(tmp_path, runs, ["--lr=1"])
    facts = json.loads((tmp_path / "seeds.json").read_text())
    assert facts["overrides"] == ["--lr=1"]
    assert facts["teacher_eer_percent"] is None
    assert "gap" not in text and "teacher" not in text


def test_a_baseline_as_good_as_the_teacher_leaves_no_gap(tmp_path):
    runs = {
        "baseline": [
            {"systems": {"model": {"eer": 0.05}}},
            {"systems": {"model": {"eer": 0.2}}},
        ],
        "student": [
            {"systems": {"student": {"eer": 0.04}, "teacher": {"eer": 0.06}}},
            {"systems": {"student": {"eer": 0.1}, "teacher": {"eer": 0.06}}},
        ],
    }
    text = seeds.write_comparison(tmp_path, runs, [])
    facts = json.loads((tmp_path / "seeds.json").read_text())
    assert "gap_closed" not in facts and "gap closed" not in text


def test_a_failing_run_ends_with_its_status(trainings, tmp_path, monkeypatch):
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, check, env: subprocess.CompletedProcess(command, 3),
    )
    with pytest.raises(SystemExit) as caught:
        seeds.main(["--output", str(tmp_path), "--seeds", "1"])
    assert caught.value.code == 3
    assert not (tmp_path / "seeds.json").exists()
