"""Every yaml fragment of hparams makes what it says."""

import inspect
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd import teachers
from speechbrain_kd.evaluation.cost import count_parameters
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.losses import DistillationObjective
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.pooling import silence_pooling

HPARAMS = Path(__file__).parents[2] / "hparams"
#: Parameters of every student, without its classifier.
PARAMETERS = {
    "ecapa_c16": 34_714,
    "ecapa_c32": 86_636,
    "ecapa_c64": 242_680,
    "ecapa_c96": 468_324,
    "ecapa_c128": 763_568,
    "ecapa_c256": 2_049_952,
    "resnet_c16": 420_208,
    "xvector_c128": 365_376,
}


def fragments(folder):
    """Names of the fragments of a folder."""
    return sorted(path.stem for path in (HPARAMS / folder).glob("*.yaml"))


def make(folder, name):
    """What a fragment makes, included as an experiment does."""
    path = HPARAMS / folder / f"{name}.yaml"
    torch.manual_seed(0)
    return load_hyperpyyaml(f"made: !include:{path}")["made"]


def test_the_table_of_parameters_is_complete():
    assert fragments("students") == sorted(PARAMETERS)


@pytest.mark.parametrize("name", fragments("students"))
def test_a_student(name):
    model = make("students", name)
    assert count_parameters(model) == PARAMETERS[name]
    encoder = SpeakerEncoder(
        Fbank(n_mels=80),
        InputNormalization(norm_type="sentence", std_norm=False),
        model,
    ).eval()
    # SpeechBrain's x-vector adds noise of up to 9e-5 in eval mode too.
    silence_pooling(encoder)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for duration_s in (0.3, 0.77, 5.0):
            wav = torch.randn(1, int(16000 * duration_s), generator=noise)
            embedding = encoder(0.1 * wav)
            assert embedding.shape == (1, 192)
            assert embedding.isfinite().all()
        wavs = 0.1 * torch.randn(3, 16000, generator=noise)
        single = torch.cat([encoder(wav[None]) for wav in wavs])
        batch = encoder(wavs)
    scale = single.abs().max()
    assert (batch - single).abs().max() < 1e-5 * max(scale, 1.0)


@pytest.mark.parametrize("name", fragments("distillation"))
def test_terms(name):
    objective = make("distillation", name)
    assert isinstance(objective, DistillationObjective)
    assert objective.compares("logits") == (name in {"both", "posteriors"})
    assert objective.compares("hidden") == (name in {"attention", "frames"})
    assert objective.compares("embeddings") == (name != "posteriors")
    on_labels = 0.0 if name == "enrolling_voices" else 1.0
    assert objective.weight("classification", 0.0) == on_labels


@pytest.mark.parametrize("name", fragments("teachers"))
def test_a_teacher_is_named_with_arguments_that_it_takes(name):
    fragment = str(HPARAMS / "teachers" / f"{name}.yaml")
    teacher = Experiment(
        HPARAMS / "student.yaml", {"teacher": fragment}
    ).values["teacher"]
    check_teacher(teacher)


def check_teacher(teacher):
    """Its class takes its arguments, and so do those that it wraps."""
    package, _, kind = teacher.tag.removeprefix("!new:").rpartition(".")
    assert package == "speechbrain_kd.teachers"
    signature = inspect.signature(getattr(teachers, kind))
    given = signature.bind(**teacher.arguments).arguments
    wrapped = given.get("teachers", [])
    if "teacher" in given:
        wrapped = [given["teacher"]]
    for one in wrapped:
        check_teacher(one)
    assert wrapped or (given["source"] and given["trained_on"])
