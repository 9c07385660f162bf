"""Hooks reach into every kind of teacher that torch runs."""

import pytest
import torch
from teacher_layout import write_model
from test_onnx import Pooled

from speechbrain_kd.losses.hidden import Place
from speechbrain_kd.taps import Taps
from speechbrain_kd.teachers import (
    EnsembleTeacher,
    PrototypeTeacher,
    SpeechBrainTeacher,
    TorchTeacher,
)

PLACES = {
    "ecapa": Place("embedding_model.mfa", 48, 2),
    "resnet": Place("embedding_model.layer3", 8 * 20, 2),
    "xvector": Place("embedding_model.blocks.8", 16, 1),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_published_model(tmp_path, wavs, kind):
    place = PLACES[kind]
    teacher = SpeechBrainTeacher(str(write_model(tmp_path / kind, kind)))
    taps = Taps([place.path], "the teacher")
    assert taps.survey(teacher, teacher) == {place.path: place}
    before = teacher(wavs).embeddings
    with taps.attach(teacher):
        assert torch.equal(teacher(wavs).embeddings, before)
    given = taps.take()[place.path]
    assert len(given) == 4 and given.shape[2] == place.width
    assert given.isfinite().all() and not given.requires_grad


def test_below_prototypes_and_ensembles(tmp_path, wavs):
    members = [
        SpeechBrainTeacher(str(write_model(tmp_path / kind, kind)))
        for kind in ("ecapa", "resnet")
    ]
    both = EnsembleTeacher(members, combine="concatenate", weights=[0.5, 0.5])
    for teacher, prefix in (
        (PrototypeTeacher(members[0]), "teacher."),
        (both, "members.0."),
    ):
        path = prefix + PLACES["ecapa"].path
        taps = Taps([path], "the teacher")
        taps.survey(teacher, teacher.embed)
        with taps.attach(teacher):
            teacher.embed(wavs)
        assert taps.take()[path].shape == (4, 201, 48)


def test_any_torch_module(tmp_path, wavs):
    model = Pooled()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    teacher = TorchTeacher(Pooled(), str(tmp_path / "model.pt"))
    taps = Taps(["model.linear"], "the teacher")
    place = Place("model.linear", 6, 1)
    assert taps.survey(teacher, teacher) == {"model.linear": place}
    with taps.attach(teacher):
        teacher(wavs)
    expected = teacher.model.linear(teacher.features(wavs))
    torch.testing.assert_close(taps.take()["model.linear"], expected)
