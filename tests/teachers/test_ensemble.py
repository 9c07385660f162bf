"""Several teachers as one."""

import math

import pytest
import torch
from small_teachers import Bands, Turned, hear
from torch.nn.functional import normalize

from speechbrain_kd.teachers import EnsembleTeacher, PrototypeTeacher
from speechbrain_kd.teachers.combining import validation_eer

WAVS = torch.randn(5, 8000, generator=torch.Generator().manual_seed(0))
NAMES = ["ann", "bob", "cat", "dan"]


@pytest.fixture(scope="module")
def heard(tiny_corpus, tmp_path_factory):
    return hear(tiny_corpus, tmp_path_factory.mktemp("ensemble"))


def cosines(teacher, wavs=WAVS):
    unit = normalize(teacher.embed(wavs))
    return unit @ unit.T


def test_cosines_are_the_weighted_mean():
    one, other = Bands(4), Bands(7, start=2)
    both = EnsembleTeacher([one, other], weights=[1, 3])
    expected = 0.25 * cosines(one) + 0.75 * cosines(other)
    assert torch.allclose(cosines(both), expected, atol=1e-6)
    assert both.embedding_dim == 11 and not both.learns


@pytest.mark.parametrize("how", ["log", "probability"])
def test_posteriors_by_hand(how):
    """Cosines and log-probabilities, in other orders, one without classes."""
    one = Bands(4, labels=NAMES)
    other = Bands(5, labels=["eve", *NAMES[::-1]], cosine_logits=False)
    weights = [0.5, 0.2, 0.3]
    both = EnsembleTeacher(
        [one, Bands(6), other], posteriors=how, weights=weights
    )
    assert both.labels == NAMES and not both.cosine_logits
    found = both(WAVS).logits
    shares = [0.5 / 0.8, 0.3 / 0.8]
    for row in range(len(WAVS)):
        said = []
        for teacher, scale in ((one, 30), (other, 1)):
            logits = teacher(WAVS).logits[row].tolist()
            by_name = dict(zip(teacher.labels, logits, strict=True))
            powers = [math.exp(scale * by_name[name]) for name in NAMES]
            said.append([power / sum(powers) for power in powers])
        if how == "log":
            pairs = zip(*said, strict=True)
            mean = [p ** shares[0] * q ** shares[1] for p, q in pairs]
        else:
            pairs = zip(*said, strict=True)
            mean = [p * shares[0] + q * shares[1] for p, q in pairs]
        expected = [value / sum(mean) for value in mean]
        assert found[row].exp().tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("alignment", ["procrustes", "ridge"])
@pytest.mark.parametrize("wider", [0, 3])
def test_an_average_is_in_the_space_of_the_first(heard, alignment, wider):
    teachers = [Bands(4), Turned(4, wider)]
    both = EnsembleTeacher(teachers, combine="average", alignment=alignment)
    assert both.learns and both.embedding_dim == 4
    with pytest.raises(ValueError, match="has not learned its maps yet"):
        both.embed(WAVS)
    both.learn(heard, None)
    expected = normalize(teachers[0].embed(WAVS))
    atol = {"procrustes": 1e-5, "ridge": 5e-3}[alignment]  # ridge shrinks
    assert torch.allclose(both.embed(WAVS), expected, atol=atol)
    assert not any(one.requires_grad for one in both.parameters())


def test_answers_hold_all_that_embeddings_and_posteriors_need(heard):
    members = [
        PrototypeTeacher(Turned(4, 2)),
        Bands(5, labels=[f"id0000{n}" for n in (5, 3, 1)], cosine_logits=False),
    ]
    both = EnsembleTeacher(members, combine="average", weights="eer")
    both.learn(heard, heard)
    assert both.labels == ["id00001", "id00003", "id00005"]
    answers, output = both.answer(WAVS), both(WAVS)
    assert answers.shape == (5, both.answer_dim) == (5, 11)
    assert torch.equal(both.target(answers), output.embeddings)
    assert torch.equal(both.classify(answers), output.logits)
    padded = torch.cat([WAVS[:1, :4000], torch.zeros(1, 4000)], dim=1)
    alone = both(WAVS[:1, :4000]).embeddings
    assert torch.allclose(both(padded).embeddings, alone, atol=1e-5)


def test_weights_by_error_rate(heard, caplog):
    caplog.set_level("INFO")
    teachers = [Bands(2), Bands(6)]
    both = EnsembleTeacher(teachers, weights="eer")
    both.learn(heard, heard)
    some = heard.some(20, 4.0)
    rates = [validation_eer(one, some) for one in teachers]
    assert 0.001 < rates[1] < rates[0] < 0.6
    inverse = [1 / rate for rate in rates]
    expected = [one / sum(inverse) for one in inverse]
    assert both.weights == pytest.approx(expected)
    assert f"EER {100 * rates[0]:.2f} % of bands 2" in caplog.text
    with pytest.raises(ValueError, match="needs validation utterances"):
        EnsembleTeacher(teachers, weights="eer").learn(heard, None)


def test_what_is_kept_of_one_is_not_taken_for_another(heard):
    def ensemble(**options):
        made = EnsembleTeacher([Bands(4), Turned(4)], **options)
        made.learn(heard, heard)
        return made

    made = [
        ensemble(),
        ensemble(weights=[1, 2]),
        ensemble(combine="average"),
        EnsembleTeacher([Turned(4), Bands(4)]),
    ]
    assert len({one.fingerprint() for one in made}) == 4
    # Weights and maps come after what is stored; the order does not.
    assert len({one.answer_fingerprint() for one in made}) == 2
    again = ensemble(combine="average")
    assert again.fingerprint() == made[2].fingerprint()


def test_members_keep_their_files_and_data_apart():
    one, other, unknown = Bands(4), Bands(5), Bands(6)
    other.trained_on, unknown.trained_on = ["more", "bands"], []
    both = EnsembleTeacher([one, other, unknown])
    assert both.digests == {
        "1/bands.txt": "40",
        "2/bands.txt": "50",
        "3/bands.txt": "60",
    }
    assert both.trained_on == ["bands", "more", "unknown"]
    assert both.source == "bands 4 + bands 5 + bands 6"


@pytest.mark.parametrize(
    "given, message",
    [
        ({"teachers": [Bands()]}, "two teachers or more; got 1"),
        ({"combine": "sum"}, "combine is one of concatenate, average; got"),
        ({"posteriors": "max"}, "posteriors is one of log, probability"),
        ({"alignment": "cca"}, "alignment is one of procrustes, ridge"),
        ({"weights": [1, 2, 3]}, "2 numbers, one a teacher; got .1, 2, 3"),
        ({"weights": [1, 0]}, "must be positive"),
        ({"weights": "best"}, "weights are eer, null, or 2 numbers"),
    ],
)
def test_what_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        EnsembleTeacher(**{"teachers": [Bands(), Bands(5)], **given})


def test_too_few_utterances_for_a_map(heard):
    both = EnsembleTeacher([Bands(40), Bands(41)], combine="average")
    with pytest.raises(ValueError, match="41 dimensions .* got 36"):
        both.learn(heard, None)
