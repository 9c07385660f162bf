"""A run of our own as a teacher."""

import pytest
import torch
from teacher_layout import write_model

from speechbrain_kd.teachers import RunTeacher, SpeechBrainTeacher


def test_loads_the_export(tmp_path, wavs):
    folder = write_model(tmp_path / "run" / "export")
    teacher = RunTeacher(tmp_path / "run", recipe="r.yaml", trained_on=["own"])
    expected = SpeechBrainTeacher(folder).embed(wavs)
    assert torch.equal(teacher.embed(wavs), expected)
    assert teacher.source == str(tmp_path / "run")
    assert teacher.recipe == "r.yaml"
    assert teacher.trained_on == ["own"]


def test_unfinished(tmp_path):
    with pytest.raises(FileNotFoundError) as info:
        RunTeacher(tmp_path, recipe="hparams/teacher.yaml")
    assert f"{tmp_path} has not finished" in str(info.value)
    assert "python train_kd.py hparams/teacher.yaml" in str(info.value)
    with pytest.raises(FileNotFoundError, match="train_kd.py RECIPE.yaml"):
        RunTeacher(tmp_path)
