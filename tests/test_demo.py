"""The demo: what is run, what is reused, and what comes of the results."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from speechbrain_kd import demo
from speechbrain_kd.evaluation.results import measure
from speechbrain_kd.evaluation.score_files import write_scores
from speechbrain_kd.evaluation.trials import TrialList

#: Error rates of 4 target and 4 impostor trials: 1/4, 2/4 and 1/4 of errors.
SCORES = {
    "teacher": ([0.9, 0.8, 0.7, 0.6], [0.4, 0.3, 0.2, 0.1]),
    "baseline": ([0.9, 0.8, 0.3, 0.2], [0.7, 0.6, 0.1, 0.0]),
    "student": ([0.9, 0.8, 0.7, 0.2], [0.6, 0.3, 0.1, 0.0]),
}


def write_run(folder: Path, name: str) -> None:
    """What a training leaves behind, as far as the demo reads it."""
    targets, impostors = map(np.array, SCORES[name])
    role = "student" if name == "student" else "model"
    results = measure(targets, impostors).to_dict() | {"params": 34714}
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "results.json").write_text(
        json.dumps({"systems": {role: results}, "notes": [f"note of {name}"]})
    )
    trials = TrialList(
        [True] * 4 + [False] * 4, [0] * 8, range(1, 9), list("abcdefghi")
    )
    write_scores(
        folder / "scores.txt", trials, np.concatenate([targets, impostors])
    )
    (folder / "export").mkdir()
    (folder / "export" / "README.md").write_text(f"export of {name}")


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that write their results at once; gives their commands."""
    commands = []

    def train(command, check, env):
        assert check is False
        commands.append(command)
        folder = Path(value(command, "--output_folder"))
        write_run(folder, folder.name)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", train)
    return commands


def value(command, option):
    """The value of an option in a command, given once."""
    (found,) = [x for x in command if x.startswith(f"{option}=")]
    return found.partition("=")[2]


def test_the_whole_comparison(trainings, tmp_path, capsys):
    output = tmp_path / "demo"
    arguments = ["--output", str(output), "--hparams", "h", "--seed", "7"]
    demo.main([*arguments, "--", "--number_of_epochs=1"])
    assert [command[3] for command in trainings] == [
        f"h/{name}.yaml" for name in ("teacher", "baseline", "student")
    ]
    results = json.loads((output / "report" / "results.json").read_text())
    eers = {name: x["eer"] for name, x in results["systems"].items()}
    assert eers == {"teacher": 0.0, "baseline": 0.5, "student": 0.25}
    assert results["gap_closed"] == 0.5
    assert "student: note of student" in results["notes"]
    assert "no VoxCeleb results" in results["notes"][-1]
    assert (output / "export" / "README.md").read_text() == "export of student"
    pictures = {path.name for path in (output / "report").glob("*.png")}
    assert pictures == {"det.png"} | {f"scores_{x}.png" for x in demo.SYSTEMS}
    said = capsys.readouterr().out
    assert "| student (distilled) | 34.7 k |" in said and "50 %" in said
    for place in ("report/report.md", "export", "{teacher,baseline,student}"):
        assert f"{output}/{place}" in said


def test_each_training_gets_what_it_needs(trainings, tmp_path):
    demo.main(["--output", str(tmp_path), "--", "--lr=0.1"])
    teacher, baseline, student = trainings
    for command in trainings:
        assert command[1:3] == ["-m", "speechbrain_kd.run"]
        assert "--lr=0.1" in command
    assert not any(x.startswith("--seed") for x in teacher)
    assert value(baseline, "--seed") == value(student, "--seed") == "1986"
    assert not any(x.startswith("--teacher") for x in (*teacher, *baseline))
    assert value(student, "--teacher") == f"{{source: {tmp_path}/teacher}}"
    assert value(student, "--evaluate_teacher") == "False"


def test_a_second_run_trains_nothing(trainings, tmp_path):
    arguments = ["--output", str(tmp_path)]
    demo.main(arguments)
    first = (tmp_path / "report" / "results.json").read_text()
    demo.main(arguments)
    assert len(trainings) == 3
    second = (tmp_path / "report" / "results.json").read_text()
    keep = ("systems", "gap_closed", "notes")
    assert [json.loads(first)[k] for k in keep] == [
        json.loads(second)[k] for k in keep
    ]


@pytest.mark.parametrize("lost", ["report/results.json", "export/README.md"])
def test_what_is_not_finished_goes_on(trainings, tmp_path, lost, monkeypatch):
    write_run(tmp_path / "teacher", "teacher")
    (tmp_path / "teacher" / lost).unlink()
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, check, env: subprocess.CompletedProcess(command, 9),
    )
    with pytest.raises(SystemExit) as caught:
        demo.main(["--output", str(tmp_path)])
    assert caught.value.code == 9  # and it is the teacher that was run


def test_a_failing_training_ends_the_demo(trainings, tmp_path, monkeypatch):
    write_run(tmp_path / "teacher", "teacher")
    calls = []

    def fail(command, check, env):
        calls.append(command)
        return subprocess.CompletedProcess(command, 130)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(SystemExit) as caught:
        demo.main(["--output", str(tmp_path)])
    assert caught.value.code == 130 and len(calls) == 1
    assert not (tmp_path / "report").exists()
