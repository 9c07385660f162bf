"""What students take of a device, and what their yamls say of it."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from speechbrain_kd.bench import budget_student, budget_text, budgets, parity
from speechbrain_kd.bench.command import main
from speechbrain_kd.evaluation.cost import count_macs, count_parameters

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
STUDENTS = ROOT / "hparams" / "students"
DOCS = ROOT / "docs" / "budgets.md"


def noise(*_) -> list[torch.Tensor]:
    """Some utterances that swell and fall."""
    generator = torch.Generator().manual_seed(2)
    time_s = torch.arange(24000) / 16000
    swell = (2 * torch.pi * 1.3 * time_s).sin().clamp(min=0)
    return list(0.2 * torch.randn(8, 24000, generator=generator) * swell)


@pytest.fixture
def students(tmp_path) -> Path:
    """A folder with one student."""
    folder = tmp_path / "students"
    folder.mkdir()
    shutil.copy(STUDENTS / "ecapa_c16.yaml", folder)
    return folder


def run(section, students, output):
    main(
        ["--sections", section, "--output", str(output), "--device", "cpu"]
        + ["--students", str(students), "--teachers", "random-ecapa-c16"]
    )
    return json.loads((output / f"{section}.json").read_text())


def test_one_student(students, tmp_path, monkeypatch):
    monkeypatch.setattr(budgets, "utterances_of", noise)
    monkeypatch.setattr(parity, "utterances_of", noise)
    monkeypatch.setattr(parity, "STRETCHES", 3)
    monkeypatch.setattr(budget_student, "REPEATS", 2)
    facts = run("budgets", students, tmp_path)
    cost = facts["students"]["ecapa_c16"]
    assert cost["params"] == 34714
    sizes = [cost["int8_bytes"], cost["params"], cost["float_bytes"]]
    assert sizes[1] < sizes[0] < sizes[2] / 2 and sizes[2] > 4 * sizes[1]
    assert 0 < cost["onnx_ms"] and 0 < cost["torch_ms"]
    assert 20 < cost["open_mb"] < cost["peak_mb_3"] <= cost["peak_mb_60"] < 200
    # What the yaml in the repository says.
    told = (STUDENTS / "ecapa_c16.yaml").read_text()
    kilobytes = int(re.search(r"(\d+)\s+(?:#\s+)?kB in int8", told)[1])
    assert abs(cost["int8_bytes"] / 1000 - kilobytes) < 2

    docs = tmp_path / "budgets.md"
    shutil.copy(DOCS, docs)
    where = [f"--students={students}", f"--docs={docs}"]
    budget_text.main([str(tmp_path / "budgets.json"), *where])
    assert budgets.report(facts) in docs.read_text()
    assert "random-ecapa-c16 |" in docs.read_text()
    text = (students / "ecapa_c16.yaml").read_text()
    assert f"{cost['onnx_ms']:.1f} in onnxruntime" in " ".join(
        text.replace("#", "").split()
    )
    docs.write_text("no table")
    with pytest.raises(SystemExit, match="expected one <!-- budgets -->"):
        budget_text.main([str(tmp_path / "budgets.json"), *where])

    facts = run("parity", students, tmp_path)
    assert 0.99999 < facts["cosines"]["ecapa_c16"] <= 1.000001
    assert "| ecapa_c16 | " in (tmp_path / "parity.md").read_text()


@pytest.mark.parametrize("name", sorted(x.stem for x in STUDENTS.iterdir()))
def test_a_yaml_states_what_is_so(name):
    lines = (STUDENTS / f"{name}.yaml").read_text().splitlines()
    comment = " ".join(one[1:].strip() for one in lines if one[0] == "#")
    found = re.search(
        r"Budget: ([\d,]+) parameters, ([\d.]+) GMAC per second", comment
    )
    encoder = budget_student.make_student(STUDENTS / f"{name}.yaml", noise())
    model = encoder.embedding_model
    feats = encoder.features(budget_student.timed_speech())
    gmac = f"{count_macs(model, feats) / 2e9:.4f}"
    said = [f"{count_parameters(model):,}", gmac]
    assert list(found.groups()) == said
    assert f"| {name} | {' | '.join(said)} |" in DOCS.read_text()


def test_a_folder_without_students(tmp_path):
    with pytest.raises(SystemExit, match=f"no students in {tmp_path}"):
        run("budgets", tmp_path, tmp_path / "out")
