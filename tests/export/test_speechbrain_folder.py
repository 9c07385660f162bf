"""Exports of tiny models, loaded as their users will."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.export import (
    ExportSpec,
    ModelCard,
    check_parity,
    export_speechbrain,
)

HEAD = """
n_mels: 16
out_n_neurons: 3
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
"""
COSINE = """
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: !ref <out_n_neurons>
"""
ECAPA = """
student: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [8, 8, 8, 8, 24]
    attention_channels: 8
    se_channels: 8
    res2net_scale: 2
    lin_neurons: 12
embedding_model: !ref <student>
modules: {embedding_model: !ref <embedding_model>}
"""
RESNET = """
embedding_model: !new:speechbrain.lobes.models.ResNet.ResNet
    input_size: !ref <n_mels>
    channels: [4, 4, 8, 8]
    block_sizes: [1, 1, 1, 1]
    lin_neurons: 12
"""
XVECTOR = """
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_channels: [8, 8, 8, 8, 16]
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, 12]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: 12
    out_neurons: !ref <out_n_neurons>
"""
YAMLS = {
    "ecapa": HEAD + ECAPA + COSINE,
    "resnet": HEAD + RESNET + COSINE,
    "xvector": HEAD + XVECTOR,
}
LABELS = ["id2", "id0", "id1"]
MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")


def make_spec(text: str, **changes) -> ExportSpec:
    """Modules of a yaml, a little trained: their statistics have moved."""
    torch.manual_seed(0)
    hparams = load_hyperpyyaml(text)
    modules = {key: hparams.get(key) for key in MODULES}
    feats = torch.randn(4, 60, 16)
    modules["embedding_model"].train()(feats, torch.ones(4))
    facts = {"threshold": 0.31, "card": ModelCard("Tiny"), "labels": LABELS}
    text = resolve_references(text).getvalue()
    return ExportSpec(hparams_yaml=text, **{**modules, **facts, **changes})


@torch.no_grad()
def embed(spec: ExportSpec, wav: torch.Tensor) -> torch.Tensor:
    lens = torch.ones(len(wav))
    feats = spec.mean_var_norm.eval()(spec.compute_features(wav), lens)
    return spec.embedding_model.eval()(feats, lens)


@pytest.fixture
def wav() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return 0.1 * torch.randn(1, 20000, generator=generator)


@pytest.mark.parametrize("kind", sorted(YAMLS))
def test_the_folder_gives_the_embeddings_and_classes(tmp_path, kind, wav):
    spec = make_spec(YAMLS[kind], waveforms=[wav[0]])
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    assert folder == tmp_path / "export"
    moved = folder.rename(tmp_path / "moved")
    model = EncoderClassifier.from_hparams(source=str(moved))
    # An x-vector's pooling adds noise: the same for both.
    torch.manual_seed(1)
    expected = embed(spec, wav)
    torch.manual_seed(1)
    torch.testing.assert_close(model.encode_batch(wav), expected)
    torch.manual_seed(1)
    scores, _, index, label = model.classify_batch(wav)
    expected = spec.classifier.eval()(expected).squeeze(1)
    torch.testing.assert_close(scores, expected)
    assert label == [LABELS[int(index)]]
    assert model.hparams.threshold == 0.31
    assert model.hparams.n_mels == 16 and model.hparams.sample_rate == 16000
    assert model.hparams.out_n_neurons == 3


def test_it_loads_into_a_savedir_and_with_a_pretrained_path(tmp_path, wav):
    spec = make_spec(YAMLS["ecapa"])
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    model = SpeakerRecognition.from_hparams(
        source=str(folder),
        savedir=str(tmp_path / "savedir"),
        overrides={"pretrained_path": str(folder)},
    )
    torch.testing.assert_close(model.encode_batch(wav), embed(spec, wav))


def test_normalising_leaves_an_embedding_as_it_is(tmp_path, wav):
    folder = export_speechbrain(tmp_path / "e", spec=make_spec(YAMLS["ecapa"]))
    model = SpeakerRecognition.from_hparams(source=str(folder))
    plain = model.encode_batch(wav)
    assert torch.equal(model.encode_batch(wav, normalize=True), plain)


ALONE = """
import json, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "speechbrain_kd":
            raise ImportError("speechbrain_kd is not here")
sys.meta_path.insert(0, Blocker())
import torch
from speechbrain.inference.speaker import SpeakerRecognition
folder, one, other = sys.argv[1:]
verifier = SpeakerRecognition.from_hparams(source=folder)
score, _ = verifier.verify_files(one, other)
embedding = verifier.encode_batch(verifier.load_audio(one))
assert "speechbrain_kd" not in sys.modules
print(json.dumps([float(score), embedding.flatten().tolist()]))
"""


def test_speechbrain_alone_verifies_two_files(tmp_path, wav):
    spec = make_spec(YAMLS["ecapa"])
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    paths = [tmp_path / "one.wav", tmp_path / "other.wav"]
    for path, start in zip(paths, (0, 4000)):
        soundfile.write(path, wav[0, start:].numpy(), 16000, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), *map(str, paths)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    score, embedding = json.loads(done.stdout.splitlines()[-1])
    ours = [embed(spec, wav[:, start:]).flatten() for start in (0, 4000)]
    assert torch.allclose(torch.tensor(embedding), ours[0], atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(*ours, dim=0)
    assert abs(score - float(cosine)) < 1e-5


def test_without_labels_there_is_an_encoder_and_the_card_says_so(tmp_path, wav):
    spec = make_spec(HEAD + ECAPA + "classifier: null\n", labels=None)
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    model = EncoderClassifier.from_hparams(source=str(folder))
    torch.testing.assert_close(model.encode_batch(wav), embed(spec, wav))
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "README.md",
        "embedding_model.ckpt",
        "hyperparams.yaml",
        "mean_var_norm_emb.ckpt",
    }
    assert "trained without one" in (folder / "README.md").read_text()
    assert "classifier" not in (folder / "hyperparams.yaml").read_text()


def test_a_threshold_that_was_not_calibrated_is_left_out(tmp_path):
    spec = make_spec(YAMLS["ecapa"], threshold=None)
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    assert "threshold" not in (folder / "hyperparams.yaml").read_text()
    assert "Not calibrated" in (folder / "README.md").read_text()


def test_global_feature_statistics_come_along(tmp_path, wav):
    text = YAMLS["ecapa"].replace("norm_type: sentence", "norm_type: global")
    spec = make_spec(text)
    spec.mean_var_norm.train()(5 + torch.randn(2, 50, 16), torch.ones(2))
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    assert (folder / "mean_var_norm.ckpt").is_file()
    model = SpeakerRecognition.from_hparams(source=str(folder))
    torch.testing.assert_close(model.encode_batch(wav), embed(spec, wav))


class ForeignEncoder(torch.nn.Linear):
    """An encoder that SpeechBrain does not have."""

    def forward(self, feats, lengths=None):
        return super().forward(feats.mean(1, keepdim=True))


class ForeignClassifier(torch.nn.Linear):
    """A classifier that SpeechBrain does not have."""


FOREIGN = f"""
embedding_model: !new:{__name__}.ForeignEncoder [!ref <n_mels>, 12]
"""


def test_a_foreign_encoder_is_named_in_the_card(tmp_path):
    spec = make_spec(HEAD + FOREIGN + COSINE)
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    card = (folder / "README.md").read_text()
    assert f"Needs SpeechBrain and the package `{__name__}`" in card
    assert (folder / "classifier.ckpt").is_file()


def test_a_foreign_classifier_does_not_keep_the_encoder_back(tmp_path, caplog):
    foreign = f"classifier: !new:{__name__}.ForeignClassifier [12, 3]\n"
    spec = make_spec(HEAD + ECAPA + foreign)
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    card = (folder / "README.md").read_text()
    assert "Needs SpeechBrain alone" in card and "left out" in card
    assert not (folder / "classifier.ckpt").exists()
    assert "classifier is not exported" in caplog.text


def test_the_modules_are_left_as_they_were(tmp_path):
    spec = make_spec(YAMLS["ecapa"])
    spec.embedding_model.train()
    before = {
        k: v.clone() for k, v in spec.embedding_model.state_dict().items()
    }
    export_speechbrain(tmp_path / "export", spec=spec)
    assert spec.embedding_model.training
    after = spec.embedding_model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "input_size: 16",
            "dilations: [1, 1, 1, 1, 1]\n  input_size: 16",
            "diff",
        ),
        ("lin_neurons: 12", "lin_neurons: 14", "does not load"),
        ("lin_neurons: 12", "no_such: 12", "does not load"),
        ("Fbank\n", "Fbank\n  f_max: 4000\n", "embedding differs"),
    ],
)
def test_a_yaml_of_another_model_leaves_nothing(tmp_path, old, new, message):
    spec = make_spec(YAMLS["ecapa"])
    text = spec.hparams_yaml.replace(old, new)
    assert text != spec.hparams_yaml
    with pytest.raises(ValueError, match=message):
        export_speechbrain(
            tmp_path / "export", spec=replace(spec, hparams_yaml=text)
        )
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_gives_nan_is_refused(tmp_path):
    spec = make_spec(YAMLS["ecapa"])
    with torch.no_grad():
        next(spec.embedding_model.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="differs by nan"):
        export_speechbrain(tmp_path / "export", spec=spec)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "export"
    export_speechbrain(folder, spec=make_spec(YAMLS["ecapa"]))
    (folder / "old.txt").write_text("of the first export")
    broken = replace(make_spec(YAMLS["ecapa"]), hparams_yaml=YAMLS["resnet"])
    with pytest.raises(ValueError):
        export_speechbrain(folder, spec=broken)
    assert (folder / "old.txt").is_file()
    export_speechbrain(folder, spec=make_spec(YAMLS["ecapa"], threshold=0.5))
    assert not (folder / "old.txt").exists()
    assert "threshold: 0.5" in (folder / "hyperparams.yaml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_what_is_no_export_is_not_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "hyperparams.yaml").write_text("a run")
    (tmp_path / "file").write_text("mine")
    for name in ("run", "file"):
        with pytest.raises(ValueError, match="not an exported model"):
            export_speechbrain(tmp_path / name, spec=make_spec(YAMLS["ecapa"]))
    assert (tmp_path / "run" / "hyperparams.yaml").read_text() == "a run"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"threshold": float("nan")}, "finite cosine, came nan"),
        ({"labels": None}, "labels: a classifier needs"),
        ({"labels": ["a", "b", "a"]}, "unique names"),
        ({"labels": ["a", "b => 1", "c"]}, "'b => 1'"),
    ],
)
def test_facts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_spec(YAMLS["ecapa"], **changes)


def test_too_few_labels_leave_nothing(tmp_path):
    spec = make_spec(YAMLS["ecapa"], labels=["a", "b"])
    with pytest.raises(ValueError, match="3 classes and.*are 2 labels"):
        export_speechbrain(tmp_path / "export", spec=spec)
    assert list(tmp_path.iterdir()) == []


def exported_and_modules(tmp_path: Path):
    spec = make_spec(YAMLS["ecapa"])
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    return folder, {key: getattr(spec, key) for key in MODULES}


def test_parity_tells_the_gap(tmp_path):
    folder, modules = exported_and_modules(tmp_path)
    assert check_parity(folder, modules, LABELS) <= 1e-5
    with torch.no_grad():
        next(modules["embedding_model"].parameters()).mul_(1.5)
    with pytest.raises(ValueError, match="embedding differs"):
        check_parity(folder, modules, LABELS)


def test_parity_sees_labels_in_another_order(tmp_path):
    folder, modules = exported_and_modules(tmp_path)
    with pytest.raises(ValueError, match="label_encoder.txt.*id2.*id0"):
        check_parity(folder, modules, sorted(LABELS))


def test_parity_sees_another_dimension(tmp_path):
    folder, modules = exported_and_modules(tmp_path)
    other = load_hyperpyyaml(
        YAMLS["ecapa"].replace("lin_neurons: 12", "lin_neurons: 10")
    )
    modules["embedding_model"] = other["embedding_model"]
    with pytest.raises(ValueError, match="12 components.* 10"):
        check_parity(folder, modules, LABELS)


def test_parity_sees_another_classifier(tmp_path):
    folder, modules = exported_and_modules(tmp_path)
    with torch.no_grad():
        next(modules["classifier"].parameters())[0].neg_()
    with pytest.raises(ValueError, match="classifier's scores differ"):
        check_parity(folder, modules, LABELS)


def test_real_speech_scores_as_in_memory(tmp_path, realvox):
    path = sorted(realvox.glob("wav/*/*/*.flac"))[0]
    wav = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    spec = make_spec(YAMLS["ecapa"], waveforms=[wav])
    folder = export_speechbrain(tmp_path / "export", spec=spec)
    model = SpeakerRecognition.from_hparams(source=str(folder))
    came = model.encode_batch(model.load_audio(str(path)))
    torch.testing.assert_close(came, embed(spec, wav[None]))


def test_an_identity_normaliser_is_published(tmp_path):
    folder = export_speechbrain(tmp_path / "e", spec=make_spec(YAMLS["ecapa"]))
    model = SpeakerRecognition.from_hparams(source=str(folder))
    norm = model.hparams.mean_var_norm_emb
    assert isinstance(norm, InputNormalization)
    assert norm.norm_type == "global" and norm.std_norm is False
