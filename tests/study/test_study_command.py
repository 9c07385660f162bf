"""The command: what it refuses, and what other processes are given."""

import pytest

from speechbrain_kd.study import command, steps


def stopped(capsys, *given: object) -> str:
    """Why the command ended."""
    with pytest.raises(SystemExit) as caught:
        command.main(list(map(str, given)))
    assert caught.value.code not in (0, None)
    return f"{caught.value.code} {capsys.readouterr().err}"


def test_what_the_command_refuses(plan_file, tmp_path, capsys):
    out = f"--output={tmp_path / 'out'}"
    vox = "--data_folder=vox"
    for given, message in (
        ((tmp_path / "none.yaml",), "there is no such plan"),
        ((plan_file, "--jobs=0"), "--jobs is at least 1"),
        ((plan_file, "--campplus=x"), "unrecognized arguments"),
        ((plan_file, out, "--dry-run"), "give --data_folder=PATH"),
        ((plan_file, out, vox, "--cell=x"), "--cell=x: the plan has baseline"),
        (
            (plan_file, out, vox, "--cell=cosine", "--try=7"),
            "--try=7: cosine does not search it",
        ),
        (
            (plan_file, out, vox, "--cell=cosine", "--student=huge"),
            "--student=huge: the plan has small, large",
        ),
        ((plan_file, out, vox, "--only=x"), "no cell of this name"),
    ):
        assert message in stopped(capsys, *given)
    assert not (tmp_path / "out").exists()


def test_a_job_of_its_own_process_is_of_the_same_study(
    plan_file, tmp_path, monkeypatch, capsys
):
    begun = []

    def run_all(jobs, make, at_once):
        begun.extend(make(job) for job in jobs)
        return []

    monkeypatch.setattr(steps, "run_all", run_all)
    monkeypatch.setattr(steps, "run_teacher", lambda study: None)
    monkeypatch.setattr(steps, "publish", lambda study, page: "tables")
    out = tmp_path / "out"
    given = [
        str(plan_file),
        f"--output={out}",
        "--data_folder=vox",
        "--device=cpu",
    ]
    command.main([*given, "--only=cosine", "--", "--lr=0.5"])
    assert "tables" in capsys.readouterr().out
    assert [one[3] for one in begun] == ["--cell=cosine"] * 2
    assert [one[4] for one in begun] == ["--try=5", "--try=1e1"]
    options, plan = command._parse(begun[0][2:])
    assert (options.cell, options.tried) == ("cosine", "5")
    assert options.overrides == ["--lr=0.5"] and options.output == out
    assert plan.places == {"data_folder": "vox"}


def test_a_failed_cell_makes_the_status(plan_file, monkeypatch, capsys):
    monkeypatch.setattr(steps, "run_study", lambda *given: ["cosine.small.1"])
    monkeypatch.setattr(steps, "publish", lambda study, page: "tables")
    assert "study: failed: cosine.small.1" in stopped(capsys, plan_file)


def test_tables_alone_run_nothing(plan_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(steps, "run_all", None)
    given = [str(plan_file), f"--output={tmp_path / 'out'}"]
    command.main([*given, "--data_folder=vox", "--tables"])
    assert "0 runs" in capsys.readouterr().out
    assert (tmp_path / "out" / "index.md").is_file()
