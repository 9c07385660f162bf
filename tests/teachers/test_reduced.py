"""A teacher on the axes that hold most of its embeddings."""

import pytest
import torch
from small_teachers import Bands, Turned, hear
from torch.nn.functional import cosine_similarity, normalize

from speechbrain_kd.data.views import Views
from speechbrain_kd.stored import open_stores
from speechbrain_kd.teachers import EnsembleTeacher, ReducedTeacher


@pytest.fixture(scope="module")
def heard(tiny_corpus, tmp_path_factory):
    return hear(tiny_corpus, tmp_path_factory.mktemp("reduced"))


def test_what_has_no_more_dimensions_loses_nothing(heard):
    """Five dimensions in a space of eight, turned: cosines stay."""
    wide = Turned(5, wider=3)
    teacher = ReducedTeacher(wide, 5)
    teacher.learn(heard, None)
    wavs = torch.randn(6, 8000)
    plain, reduced = wide.embed(wavs), teacher.embed(wavs)
    assert reduced.shape == (6, 5)
    expected = cosine_similarity(plain[:3], plain[3:])
    found = cosine_similarity(reduced[:3], reduced[3:])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("centre", [False, True])
def test_axes_are_those_of_numpy(heard, centre):
    plain = Bands(6)
    teacher = ReducedTeacher(Bands(6), 2, centre, None, None)
    teacher.learn(heard, None)
    rows = normalize(heard.embeddings(plain)).double()
    mean = rows.mean(0) if centre else torch.zeros(6).double()
    moments = (rows - mean).T @ (rows - mean)
    values, vectors = torch.linalg.eigh(moments)
    axes = vectors[:, values.argsort(descending=True)[:2]].float()
    asked = normalize(torch.randn(7, 6))
    found = teacher.target(asked)
    expected = (asked - mean.float()) @ axes
    torch.testing.assert_close(found.abs(), expected.abs(), atol=1e-4, rtol=0)
    assert teacher.embedding_dim == 2 and teacher.answer_dim == 6


def test_an_ensemble_in_the_dimensions_of_a_student(heard, tmp_path):
    members = [Bands(5), Turned(4, wider=3)]
    both = EnsembleTeacher(members, weights=[1, 1])
    teacher = ReducedTeacher(EnsembleTeacher(members, weights=[1, 1]), 9)
    teacher.learn(heard, None)
    wavs = torch.randn(4, 8000)
    plain, reduced = both.embed(wavs), teacher.embed(wavs)
    assert (plain.shape[1], reduced.shape[1]) == (12, 9)
    torch.testing.assert_close(
        normalize(reduced) @ normalize(reduced).T,
        normalize(plain) @ normalize(plain).T,
        atol=1e-4,
        rtol=0,
    )
    # What is stored is what the members said.
    paths = {
        open_stores(tmp_path, one, Views(0.5, 1), [0.5])[8000].path
        for one in (both, teacher)
    }
    assert len(paths) == 1
    assert teacher.fingerprint() != both.fingerprint()


def test_learned_once_and_for_all(heard, caplog):
    caplog.set_level("INFO")
    first, again = (ReducedTeacher(Bands(6), 3) for _ in range(2))
    first.learn(heard, None)
    again.learn(heard, None)
    assert not again.teacher._heard and torch.equal(again.axes, first.axes)
    assert again.fingerprint() == first.fingerprint()
    assert set(again.digests) == {"bands.txt", "axes"}
    assert "3 of 6 dimensions, which hold " in caplog.text
    other = ReducedTeacher(Bands(6), 3, centre=True)
    other.learn(heard, None)
    assert other.fingerprint() != first.fingerprint()


def test_classes_stay(heard):
    named = Bands(6, labels=["ann", "bob"])
    teacher = ReducedTeacher(Bands(6, labels=["ann", "bob"]), 3)
    teacher.learn(heard, None)
    wavs = torch.randn(2, 8000)
    assert teacher.labels == ["ann", "bob"]
    assert torch.equal(teacher(wavs).logits, named(wavs).logits)
    assert teacher.trained_on == ["bands"]


def test_what_cannot_be(heard):
    for dim in (0, 4, 9):
        with pytest.raises(ValueError, match=f"below the 4 .* got {dim}"):
            ReducedTeacher(Bands(4), dim)
    with pytest.raises(ValueError, match="has not learned its 2 axes"):
        ReducedTeacher(Bands(4), 2).embed(torch.randn(1, 8000))
    few = ReducedTeacher(Bands(60), 50, utterances_per_speaker=1)
    with pytest.raises(ValueError, match="50 axes .* need as many .* got 6"):
        few.learn(heard, None)
