"""The README's examples, run as they stand."""

import re
import sys

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from small_runs import ROOT

from speechbrain_kd.experiment import Experiment

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(start):
    """The code block that begins so."""
    blocks = re.findall(r"```\w*\n(.*?)```", README, flags=re.DOTALL)
    (found,) = [text for text in blocks if text.startswith(start)]
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in, whose packages can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_use_a_student(place, plain_run, tiny_corpus):
    (place / "results" / "demo").mkdir(parents=True)
    (place / "results" / "demo" / "export").symlink_to(plain_run / "export")
    for name, number in (("enrol", 1), ("test", 2)):
        source = tiny_corpus / "wav" / "id00001" / "rec0" / f"{number:05d}.wav"
        (place / f"{name}.wav").symlink_to(source)
    seen = {}
    exec(block("from speechbrain.inference.speaker"), seen)
    assert bool(seen["same_speaker"]) == bool(
        seen["score"] > seen["verifier"].hparams.threshold
    )
    assert seen["embedding"].shape == (1, 1, 16)


def test_a_term_of_ones_own(place, monkeypatch):
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    (place / "my_package").mkdir()
    code = block("# my_package/my_term.py")
    (place / "my_package" / "my_term.py").write_text(code)
    (place / "my.yaml").write_text(block("# my_distillation.yaml"))
    objective = Experiment(
        ROOT / "hparams" / "student.yaml",
        {"distillation": "my.yaml", "teacher": None, "out_n_neurons": 3}
        | {"teacher": {"recipe": None}},
    ).values["distillation"]
    made = load_hyperpyyaml(f"x: !include:{place / 'my.yaml'}")["x"]
    assert objective.tag.endswith("DistillationObjective")
    embeddings = torch.randn(4, 6)
    losses = made({"embeddings": 2 * embeddings}, {"embeddings": embeddings})
    assert losses["absolute"].item() == pytest.approx(0, abs=1e-5)
    assert made.weight("absolute", 0) == 5.0
    del sys.modules["my_package.my_term"]


def test_a_student_of_ones_own(place):
    (place / "mine.yaml").write_text(block("# my_student.yaml"))
    experiment = Experiment(
        ROOT / "hparams" / "baseline.yaml",
        {"embedding_model": "mine.yaml", "out_n_neurons": 3},
    )
    made = experiment.load()
    embeddings = made["embedding_model"](torch.randn(2, 50, 80))
    assert embeddings.shape == (2, 1, 128)
    assert made["classifier"](embeddings).shape == (2, 1, 3)


def test_a_teacher_of_ones_own(place):
    pytest.importorskip("onnx")

    class Pooled(torch.nn.Module):
        def forward(self, feats):
            return feats.mean(dim=1)

    torch.onnx.export(
        Pooled(),
        (torch.randn(2, 50, 80),),
        "own.onnx",
        input_names=["feats"],
        output_names=["embedding"],
        dynamic_axes={"feats": {0: "batch", 1: "frames"}, "embedding": [0]},
        dynamo=False,
    )
    text = block("# my_teacher.yaml").replace(
        "/models/campplus.onnx", "own.onnx"
    )
    (place / "mine.yaml").write_text(text)
    teacher = load_hyperpyyaml(f"x: !include:{place / 'mine.yaml'}")["x"]
    assert teacher.embedding_dim == 80
    assert teacher(torch.randn(2, 16000)).embeddings.shape == (2, 80)
