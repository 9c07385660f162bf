"""A run is refused at start where its trial list would say nothing."""

import logging
from pathlib import Path

import pytest

from speechbrain_kd.experiment import Experiment
from speechbrain_kd.inputs import prepare_data

HPARAMS = Path(__file__).parents[1] / "hparams"
ALONE = "!new:speechbrain_kd.teachers.OnnxTeacher\nsource: gone.onnx\n"
WRAPPED = """\
!new:speechbrain_kd.teachers.EnsembleTeacher
teachers:
    - !new:speechbrain_kd.teachers.OnnxTeacher
        source: first.onnx
        trained_on: [3dspeaker-200k]
    - !new:my_package.OwnTeacher
        net: !new:torch.nn.Linear
            in_features: 1
            out_features: 1
        source: second.onnx
        trained_on: [{seen}]
"""


@pytest.fixture
def prepare(tiny_corpus, tmp_path):
    """Prepares a run whose teacher is this fragment; it is never loaded."""

    def prepare(text, **overrides):
        fragment = tmp_path / "teacher.yaml"
        fragment.write_text(text)
        experiment = Experiment(
            HPARAMS / "student.yaml",
            {
                "data_folder": str(tiny_corpus),
                "output_folder": str(tmp_path / "run"),
                "split_ratio": [50, 50],
                "teacher": str(fragment),
            }
            | overrides,
        )
        (tmp_path / "run").mkdir(exist_ok=True)
        return prepare_data(experiment)

    return prepare


@pytest.fixture
def seen(tmp_path):
    """A file of ids: one test speaker, one training speaker."""
    path = tmp_path / "seen.txt"
    path.write_text("id00006\nid00001\n")
    return path


@pytest.mark.parametrize("text", [ALONE + "trained_on: [{seen}]\n", WRAPPED])
def test_a_teacher_that_has_met_the_test_speakers(prepare, seen, text, caplog):
    text = text.format(seen=seen)
    with pytest.raises(ValueError) as refused:
        prepare(text)
    said = str(refused.value)
    source = "second.onnx" if "second" in text else "gone.onnx"
    assert "the trial list veri_test.txt is contaminated (student" in said
    assert f": 1 of 2 test speakers seen by its teacher {source}" in said
    assert "Shared speakers: id00006." in said
    assert said.endswith("give --allow_contaminated=True")
    caplog.clear()
    assert prepare(text, allow_contaminated=True).speakers
    assert "has met: contaminated: 1 of 2 test speakers" in caplog.text


def test_a_teacher_of_whom_nothing_is_known(prepare, caplog):
    caplog.set_level(logging.WARNING)
    prepare(ALONE)
    assert "teacher has met: not known: itself (nothing is sta" in caplog.text
    assert "student has met: not known: its teacher gone.onnx" in caplog.text


def test_a_teacher_of_others_is_let_pass_in_silence(prepare, caplog):
    prepare(ALONE + "trained_on: [voxceleb1-dev, voxceleb2-dev]\n")
    assert "has met" not in caplog.text


def test_no_trial_list_nothing_to_refuse(prepare, seen, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "speechbrain_kd.data.source.find_trials", lambda *_: None
    )
    prepare(ALONE + f"trained_on: [{seen}]\n")


def test_without_distillation_the_teacher_does_not_count(prepare, seen):
    prepare(ALONE + f"trained_on: [{seen}]\n", distillation=None)


@pytest.mark.parametrize(
    ("text", "changes", "problem"),
    [
        (ALONE, {"allow_contaminated": "yes, please"}, "True or False"),
        (ALONE + "trained_on: [lost.txt]\n", {}, "no file of speakers lost.tx"),
        (ALONE + "trained_on: voxceleb1-dev\n", {}, "expected a list of names"),
    ],
)
def test_bad_values(prepare, text, changes, problem):
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        prepare(text, **changes)


def test_the_teachers_of_the_ensembles_fragment_are_all_asked(prepare, caplog):
    text = (HPARAMS / "teachers" / "ensemble.yaml").read_text()
    include = f"!include:{HPARAMS / 'teachers'}/"
    prepare(text.replace("!include:", include))
    assert (
        "teacher has met: not known: its teacher campplus.onnx" in caplog.text
    )
    assert "(3dspeaker-200k)" in caplog.text
