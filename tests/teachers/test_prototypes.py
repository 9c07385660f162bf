"""Classes for a teacher that has none, or has others."""

import pytest
import torch
from small_teachers import Bands, hear
from torch.nn.functional import normalize

from speechbrain_kd.data.views import Views
from speechbrain_kd.stored import open_stores
from speechbrain_kd.teachers import PrototypeTeacher


@pytest.fixture(scope="module")
def heard(tiny_corpus, tmp_path_factory):
    return hear(tiny_corpus, tmp_path_factory.mktemp("prototypes"))


def test_centres_are_means_of_unit_embeddings(heard):
    teacher = PrototypeTeacher(Bands(labels=["stranger"]), 1, None, None)
    assert teacher.labels is None and teacher.classify(torch.ones(1, 4)) is None
    teacher.learn(heard, None)
    assert teacher.labels == sorted(set(heard.speakers))
    embeddings = heard.embeddings(teacher.teacher)
    by_speaker = {name: [] for name in teacher.labels}
    for row, name in zip(embeddings, heard.speakers, strict=True):
        by_speaker[name].append(row / row.norm())
    asked = embeddings[:5]
    for column, rows in enumerate(by_speaker.values()):
        centre = sum(rows) / len(rows)
        expected = torch.cosine_similarity(asked, centre[None])
        found = teacher.classify(asked)[:, column]
        assert torch.allclose(found, expected, atol=1e-6)
    assert teacher.cosine_logits
    own = teacher.classify(embeddings).argmax(dim=1).tolist()
    right = [
        teacher.labels[one] == name
        for one, name in zip(own, heard.speakers, strict=True)
    ]
    assert sum(right) > 18  # chance is 6


def test_of_several_centres_the_best_counts(heard):
    one = PrototypeTeacher(Bands(), 1, None, None)
    many = PrototypeTeacher(Bands(), 3, None, None)
    one.learn(heard, None)
    many.learn(heard, None)
    assert many.rows.shape == (18, 4) and len(many.labels) == 6
    asked = heard.embeddings(Bands())
    cosines = normalize(asked) @ many.rows.T
    expected = cosines.reshape(len(asked), 6, 3).amax(dim=2)
    assert torch.allclose(many.classify(asked), expected, atol=1e-6)
    column = torch.tensor([many.labels.index(one) for one in heard.speakers])
    best = many.classify(asked).gather(1, column[:, None])
    assert best.mean() > one.classify(asked).gather(1, column[:, None]).mean()


def test_learned_once_and_for_all(heard, caplog):
    first = PrototypeTeacher(Bands(), 2)
    first.learn(heard, None)
    caplog.set_level("INFO")
    again = PrototypeTeacher(Bands(), 2)
    again.learn(heard, None)
    assert not again.teacher._heard
    assert torch.equal(again.rows, first.rows)
    assert again.digests == first.digests
    assert set(again.digests) == {"bands.txt", "prototypes"}
    assert again.digests["prototypes"] in caplog.text


def test_what_is_stored_serves_the_plain_teacher_too(heard, tmp_path):
    plain, teacher = Bands(), PrototypeTeacher(Bands())
    teacher.learn(heard, None)
    wavs = torch.randn(2, 8000)
    assert torch.equal(teacher.embed(wavs), plain.embed(wavs))
    paths = {
        open_stores(tmp_path, one, Views(0.5, 1), [0.5])[8000].path
        for one in (plain, teacher)
    }
    assert len(paths) == 1
    assert teacher.trained_on == ["bands"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"centres": 0}, "centres must be positive; got 0"),
        ({"seconds": -1.0}, "seconds must be positive; got -1.0"),
        ({"centres": 5, "utterances_per_speaker": 4}, "5 centres .* got 4"),
    ],
)
def test_numbers_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        PrototypeTeacher(Bands(), **given)
