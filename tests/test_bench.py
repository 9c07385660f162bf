"""The table of what students cost."""

import json
import shutil
from pathlib import Path

import pytest

from speechbrain_kd import bench

STUDENTS = Path(__file__).parents[1] / "hparams" / "students"


def test_every_fragment_is_in_the_table(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "students"
    folder.mkdir()
    for name in ("ecapa_c32", "ecapa_c16"):
        shutil.copy(STUDENTS / f"{name}.yaml", folder)
    times = iter([2.0, 5.0])
    monkeypatch.setattr(bench, "time_per_second", lambda _: next(times))
    output = tmp_path / "out"
    bench.main(["--output", str(output), "--students", str(folder)])
    facts = json.loads((output / "students.json").read_text())
    costs = facts["students"]
    assert set(costs) == {"ecapa_c16", "ecapa_c32"}
    small, large = costs["ecapa_c16"], costs["ecapa_c32"]
    assert (small["params"], small["ms_per_second"]) == (34714, 2.0)
    assert small["gmac"] < large["gmac"]
    # Four bytes a parameter, and what the file needs beside.
    assert 4 * small["params"] < small["bytes"] < 10 * small["params"]
    said = capsys.readouterr().out
    table = (output / "students.md").read_text()
    assert said == table + "\n" + facts["machine"] + "\n"
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| ecapa_c16",
        "| ecapa_c32",
    ]
    assert table.splitlines()[3].endswith("| 5.00 | 2.5 |")


def test_a_folder_without_students(tmp_path):
    with pytest.raises(SystemExit) as caught:
        bench.main(["--output", str(tmp_path), "--students", str(tmp_path)])
    assert f"no students in {tmp_path}" in caught.value.code
