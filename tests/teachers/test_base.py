"""The contract of a teacher, and the fragments that name one."""

from pathlib import Path

import pytest
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml
from teacher_layout import write_model

from speechbrain_kd import teachers
from speechbrain_kd.teachers import RunTeacher, Teacher

FRAGMENTS = Path(__file__).parents[2] / "hparams" / "teachers"


def test_encode_is_for_subclasses():
    teacher = Teacher("nowhere").freeze()
    with pytest.raises(NotImplementedError, match="Teacher has no encode"):
        teacher(torch.zeros(1, 10))
    assert teacher.classify(torch.zeros(1, 2)) is None


def test_a_teacher_of_teachers_is_frozen(wavs):
    outer = Teacher("outer")
    outer.part = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    outer.freeze()
    outer.train(True)
    assert not outer.part[0].training
    assert not any(part.requires_grad for part in outer.parameters())


@pytest.mark.parametrize("path", sorted(FRAGMENTS.glob("*.yaml")), ids=str)
def test_fragments_name_teachers_and_their_arguments(path):
    import inspect

    node = yaml.compose(path.read_text())
    module, _, name = node.tag.removeprefix("!new:").rpartition(".")
    assert module == teachers.__name__
    parameters = inspect.signature(getattr(teachers, name)).parameters
    assert {key.value for key, _ in node.value} <= set(parameters)


def test_a_fragment_is_included(tmp_path, monkeypatch):
    write_model(tmp_path / "runs" / "export")
    recipe = tmp_path / "student.yaml"
    recipe.write_text(
        f"runs: {tmp_path / 'runs'}\n"
        f"teacher: !include:{FRAGMENTS / 'minivox.yaml'}\n"
        "    source: !ref <runs>\n"
    )
    with open(recipe) as stream:
        teacher = load_hyperpyyaml(stream)["teacher"]
    assert isinstance(teacher, RunTeacher)
    assert teacher.recipe == "hparams/teacher.yaml"
