"""Each way in which a teacher may be broken fails the check that is for it."""

import pytest
import torch
from teacher_layout import write_model

from speechbrain_kd.teachers import SpeechBrainTeacher, Teacher
from speechbrain_kd.teachers.card import describe
from speechbrain_kd.teachers.checked import FAIL, NOTE, PASS
from speechbrain_kd.teachers.examine import examine
from speechbrain_kd.teachers.features_text import describe_features
from speechbrain_kd.teachers.speech import synthetic_speech

FREE = {"padding", "level"}


class Sound(Teacher):
    """Energies in eight bands over the utterance's own length: all holds."""

    def __init__(self, **facts):
        super().__init__("sound", 8, **facts)
        self.weight = torch.nn.Parameter(torch.ones(8))
        self.freeze()

    def encode(self, wavs, lens):
        rows = []
        for wav, share in zip(wavs, lens, strict=True):
            wav = wav[: round(float(share) * wavs.shape[1])]
            power = torch.fft.rfft(wav).abs().square()
            bands = power[: len(power) // 8 * 8].reshape(8, -1).mean(1)
            rows.append(self.weight * (bands + 1e-6).log())
        return torch.stack(rows)


class Random(Sound):
    def encode(self, wavs, lens):
        sound = super().encode(wavs, lens)
        return sound + torch.randn_like(sound)


class BatchMean(Sound):
    def encode(self, wavs, lens):
        sound = super().encode(wavs, lens)
        return sound - 0.5 * sound.mean(dim=0)


class Place(Sound):
    """Right for one batch of any size, but rows are in the wrong order."""

    def encode(self, wavs, lens):
        loudest = wavs.abs().amax(dim=1).argsort()
        return super().encode(wavs, lens)[loudest]


class Divides(Sound):
    def encode(self, wavs, lens):
        return super().encode(wavs / wavs.std(dim=1, keepdim=True), lens)


class Long(Sound):
    def encode(self, wavs, lens):
        if wavs.shape[1] < 8000:
            raise RuntimeError("kernel size 5\nlarger than the input")
        return super().encode(wavs, lens)


class Overflows(Sound):
    def encode(self, wavs, lens):
        loud = (wavs.abs().amax(dim=1, keepdim=True) > 0.99).float()
        return super().encode(wavs, lens) / (1 - loud)


class Constant(Sound):
    def encode(self, wavs, lens):
        return torch.ones(len(wavs), 8)


class Loose(Sound):
    def freeze(self):
        return self


class Drops(Sound):
    """A part that was added after the teacher was frozen."""

    def __init__(self):
        super().__init__()
        self.drop = torch.nn.Dropout(0.0)


class Wrong(Sound):
    """Its scores are neither cosines nor log-probabilities."""

    def classify(self, embeddings):
        return 3 * torch.ones(len(embeddings), 2)


def verdicts(teacher, **options):
    """Verdict by name."""
    speech = synthetic_speech(16, 1.0)
    checks = examine(teacher, speech, seconds=1.0, **options)
    return {check.name: check.verdict for check in checks}, checks


@pytest.mark.parametrize(
    "kind, failing",
    [
        (Sound, set()),
        (Random, {"repeats", "batch", "order"}),
        (BatchMean, {"batch"}),
        (Place, {"batch", "order"}),
        (Divides, {"silence"}),
        (Long, {"0.3 s"}),
        (Overflows, {"full scale"}),
        (Constant, {"differs"}),
        (Loose, {"frozen"}),
        (Drops, {"frozen"}),
        (Wrong, {"classes"}),
    ],
)
def test_what_fails(kind, failing):
    found, checks = verdicts(kind())
    failed = {name for name, verdict in found.items() if verdict == FAIL}
    assert failed - FREE == failing
    assert all(check.what and "\n" not in check.what for check in checks)


def test_an_error_is_the_reason():
    _, checks = verdicts(Long())
    (short,) = [check for check in checks if check.name == "0.3 s"]
    assert short.what == "RuntimeError: kernel size 5"


def test_padding_is_measured():
    found, _ = verdicts(Sound())
    assert found["padding"] == PASS

    class Blind(Sound):
        def encode(self, wavs, lens):
            return super().encode(wavs, torch.ones_like(lens))

    found, checks = verdicts(Blind())
    (padding,) = [check for check in checks if check.name == "padding"]
    assert padding.verdict == NOTE and padding.value > 1e-3


def test_classes_must_be_those_that_are_named():
    class Three(Sound):
        def classify(self, embeddings):
            return torch.zeros(len(embeddings), 3).log_softmax(dim=1)

    assert verdicts(Three(labels=list("abc")))[0]["classes"] == PASS
    assert verdicts(Three(labels=list("ab")))[0]["classes"] == FAIL
    assert "classes" not in verdicts(Sound())[0]
    with pytest.raises(ValueError, match="at least two utterances"):
        examine(Sound(), synthetic_speech(1))


def test_the_card_of_a_published_layout(tmp_path):
    teacher = SpeechBrainTeacher(
        str(write_model(tmp_path / "x", "xvector")), trained_on=["ours"]
    )
    card = describe(teacher)
    model = teacher.embedding_model
    assert card.parameters == sum(p.numel() for p in model.parameters())
    assert card.kind == "SpeechBrainTeacher (Xvector)"
    assert (card.dim, card.classes, card.scores) == (12, 5, "log-probabilities")
    assert card.labels == teacher.labels and card.trained_on == ["ours"]
    assert card.files == teacher.digests and len(card.files) == 5
    assert card.fingerprint == teacher.fingerprint() and not card.members
    assert card.features == [
        "speechbrain fbank, 24 mels, mean of the sentence removed"
    ]
    # By hand: 201 frames of the time-delay layers, as many after each but
    # for what dilation takes at the ends, which they pad by reflection.
    sizes = [(24, 16, 5), (16, 16, 3), (16, 16, 3), (16, 16, 1), (16, 24, 1)]
    by_hand = sum(201 * one * two * width for one, two, width in sizes)
    by_hand += 2 * 24 * 12
    assert card.gmac == pytest.approx(by_hand / 1e9)
    assert describe_features(Sound()) == "its own"
