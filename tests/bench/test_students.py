"""The table of what students cost."""

import json
import shutil
from pathlib import Path

import pytest

from speechbrain_kd.bench import students
from speechbrain_kd.bench.command import main

STUDENTS = Path(__file__).parents[2] / "hparams" / "students"


def run(output: Path, folder: Path) -> None:
    """The section alone."""
    main(
        ["--sections", "students", "--output", str(output)]
        + ["--students", str(folder), "--device", "cpu"]
    )


def test_every_fragment_is_in_the_table(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "students"
    folder.mkdir()
    for name in ("ecapa_c32", "ecapa_c16"):
        shutil.copy(STUDENTS / f"{name}.yaml", folder)
    times = iter([2.0, 5.0])
    monkeypatch.setattr(students, "time_per_second", lambda _: next(times))
    output = tmp_path / "out"
    run(output, folder)
    facts = json.loads((output / "students.json").read_text())
    costs = facts["students"]
    assert set(costs) == {"ecapa_c16", "ecapa_c32"}
    small, large = costs["ecapa_c16"], costs["ecapa_c32"]
    assert (small["params"], small["ms_per_second"]) == (34714, 2.0)
    assert small["gmac"] < large["gmac"]
    # Four bytes a parameter, and what the file needs beside.
    assert 4 * small["params"] < small["bytes"] < 10 * small["params"]
    table = (output / "students.md").read_text()
    assert table in capsys.readouterr().out
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| ecapa_c16",
        "| ecapa_c32",
    ]
    assert table.splitlines()[3].endswith("| 5.00 | 2.5 |")


def test_a_folder_without_students(tmp_path):
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, tmp_path)
    assert f"no students in {tmp_path}" in caught.value.code
