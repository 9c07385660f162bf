"""Any torch module and its checkpoint as a teacher."""

import os

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from test_onnx import Pooled

from speechbrain_kd.teachers import TorchTeacher
from speechbrain_kd.teachers.loading import sha256


class Two(torch.nn.Module):
    """Gives frames and an embedding."""

    def __init__(self, mapping=False):
        super().__init__()
        self.inner, self.mapping = Pooled(), mapping

    def forward(self, feats):
        embedding = self.inner(feats)
        if self.mapping:
            return {"frames": feats, "embedding": embedding}
        return feats, embedding


@pytest.fixture
def pooled(tmp_path):
    """A model with its checkpoint, as published ones are: a prefix, and a
    head that is not for us."""
    torch.manual_seed(0)
    model = Pooled().eval()
    state = {f"encoder.{k}": v for k, v in model.state_dict().items()}
    state |= {"projection.weight": torch.randn(5, 6)}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "model.pt")
    return model, tmp_path / "model.pt"


def test_equals_the_model(pooled, wavs):
    model, path = pooled
    teacher = TorchTeacher(
        Pooled(),
        str(path),
        prefix="encoder.",
        skip=["projection."],
        trained_on=["own"],
    )
    with torch.no_grad():
        expected = model(teacher.features(wavs))
    assert torch.equal(teacher.embed(wavs), expected)
    assert teacher.digests == {"model.pt": sha256(path)}
    assert teacher.embedding_dim == 6 and teacher.trained_on == ["own"]
    assert teacher(wavs).logits is None
    assert not any(one.requires_grad for one in teacher.parameters())


def test_each_utterance_at_its_own_length(pooled, wavs):
    teacher = TorchTeacher(
        Pooled(), str(pooled[1]), "encoder.", ["projection."]
    )
    lens = torch.tensor([0.5, 1.0, 0.75, 0.5])
    together = teacher(wavs, lens).embeddings
    for row, part in enumerate(lens):
        alone = teacher.embed(wavs[row : row + 1, : int(part * 32000)])
        torch.testing.assert_close(together[row : row + 1], alone)


@pytest.mark.parametrize("cosine", [True, False])
def test_classifier_and_labels(pooled, wavs, tmp_path, cosine):
    """The head of the checkpoint, as cosines or log-probabilities."""
    labels = tmp_path / "labels.txt"
    labels.write_text("ann\nbob\ncat\ndan\neve\n")
    head = torch.nn.Linear(6, 5, bias=False)
    if cosine:
        head = Classifier(6, out_neurons=5)
    teacher = TorchTeacher(
        Pooled(),
        str(pooled[1]),
        prefix={"encoder.": "", "projection.": "classifier."},
        classifier=head,
        labels=str(labels),
    )
    output = teacher(wavs)
    weight = torch.load(pooled[1])["state_dict"]["projection.weight"]
    expected = (output.embeddings @ weight.T).log_softmax(dim=1)
    if cosine:
        expected = torch.nn.functional.linear(
            torch.nn.functional.normalize(output.embeddings),
            torch.nn.functional.normalize(weight),
        )
    torch.testing.assert_close(output.logits, expected)
    assert teacher.cosine_logits is cosine
    assert teacher.labels == ["ann", "bob", "cat", "dan", "eve"]
    labels.write_text("ann\nbob\n")
    with pytest.raises(ValueError, match="name 5 classes.*has 2 lines"):
        TorchTeacher(
            Pooled(),
            str(pooled[1]),
            prefix={"encoder.": "", "projection.": "classifier."},
            classifier=head,
            labels=str(labels),
        )


def test_outputs(tmp_path, wavs):
    torch.manual_seed(0)
    model = Two()
    path = str(tmp_path / "two.pt")
    torch.save(model.state_dict(), path)
    teacher = TorchTeacher(Two(), path, output=1)
    named = TorchTeacher(Two(mapping=True), path, output="embedding")
    torch.testing.assert_close(teacher.embed(wavs), named.embed(wavs))
    with pytest.raises(ValueError, match="gives 2 outputs, where.*None"):
        TorchTeacher(Two(), path)
    with pytest.raises(ValueError, match="mapping of frames, embedding, .*5"):
        TorchTeacher(Two(mapping=True), path, output=5)
    with pytest.raises(ValueError, match="one embedding an utterance"):
        TorchTeacher(Two(), path, output=0)


def test_fingerprint_tells_prefixes_apart(tmp_path):
    """One file may hold two models."""
    state = {
        f"{name}.{key}": value
        for name in ("a", "b")
        for key, value in Pooled().state_dict().items()
    }
    path = str(tmp_path / "both.pt")
    torch.save(state, path)
    first = TorchTeacher(Pooled(), path, "a.", ["b."])
    second = TorchTeacher(Pooled(), path, "b.", ["a."])
    assert first.fingerprint() != second.fingerprint()


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({}, "missing: linear.weight.*not expected: encoder.*`prefix`"),
        ({"prefix": "encoder."}, "not expected: projection.weight.*`skip`"),
        (
            {"prefix": {"encoder.": "", "projection.": "linear."}},
            "two of its keys become linear.weight",
        ),
        (
            {"prefix": "encoder.", "skip": ["encoder.linear.b", "projection"]},
            "missing: linear.bias",
        ),
        ({"file": "none.pt"}, "none.pt"),
        ({"sha256": "12"}, "model.pt is not the file that was pinned"),
    ],
)
def test_what_does_not_fit(pooled, settings, problem):
    source = pooled[1].parent if "file" in settings else pooled[1]
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        TorchTeacher(Pooled(), str(source), **settings)


class _Runs:
    """Would make a folder when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_refuses_code_and_damage(pooled, tmp_path):
    path, canary = tmp_path / "evil.pt", tmp_path / "canary"
    torch.save({"linear.weight": _Runs(canary)}, path)
    with pytest.raises(ValueError, match="evil.pt is refused"):
        TorchTeacher(Pooled(), str(path))
    assert not canary.exists()
    state = Pooled().state_dict()
    state["linear.weight"][0, 0] = torch.nan
    torch.save(state, path)
    with pytest.raises(ValueError, match="evil.pt.*NaN"):
        TorchTeacher(Pooled(), str(path))
    torch.save({"epoch": 3}, path)
    with pytest.raises(ValueError, match="evil.pt should hold a state_dict"):
        TorchTeacher(Pooled(), str(path))


def test_by_yaml(tmp_path, wavs):
    """What a user writes: a class by its path, and its checkpoint."""
    torch.manual_seed(0)
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    sizes = {"channels": [8] * 5, "attention_channels": 8, "lin_neurons": 6}
    model = ECAPA_TDNN(80, **sizes).eval()
    torch.save(model.state_dict(), tmp_path / "ecapa.ckpt")
    made = load_hyperpyyaml(
        f"""
teacher: !new:speechbrain_kd.teachers.TorchTeacher
    model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
        input_size: 80
        channels: [8, 8, 8, 8, 8]
        attention_channels: 8
        lin_neurons: 6
    source: {tmp_path / "ecapa.ckpt"}
    frontend: speechbrain
    trained_on: [own]
"""
    )["teacher"]
    with torch.no_grad():
        expected = model(made.features(wavs)).squeeze(1)
    torch.testing.assert_close(made.embed(wavs), expected)
