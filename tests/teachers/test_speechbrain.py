"""Teachers from SpeechBrain folders and from the hub."""

import logging

import pytest
import torch
from small_hub import COMMIT
from speechbrain.inference.classifiers import EncoderClassifier
from teacher_layout import FILES, edit, write_model

from speechbrain_kd.teachers import SpeechBrainTeacher
from speechbrain_kd.teachers.loading import sha256
from speechbrain_kd.teachers.pooling import silence_pooling


def upstream(folder, savedir, quiet=True):
    """SpeechBrain's own interface on the same folder.

    It adds noise of up to 9e-5 to the statistics of an x-vector, which is
    silenced here unless it should not be `quiet`.
    """
    model = EncoderClassifier.from_hparams(
        source=str(folder),
        savedir=str(savedir),
        overrides={"pretrained_path": str(folder)},
    )
    if quiet:
        silence_pooling(model)
    return model


@pytest.mark.parametrize("kind", ["ecapa", "resnet", "xvector"])
def test_equals_speechbrain(kind, tmp_path, wavs):
    folder = write_model(tmp_path / kind, kind)
    teacher = SpeechBrainTeacher(folder, trained_on=["voxceleb1-dev"])
    theirs = upstream(folder, tmp_path / "saved")
    lens = torch.tensor([1.0, 0.7, 1.0, 0.5])
    output = teacher(wavs, lens)
    with torch.no_grad():
        expected = theirs.encode_batch(wavs, lens).squeeze(1)
        scores = theirs.mods.classifier(expected.unsqueeze(1)).squeeze(1)
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(output.embeddings, expected, **close)
    torch.testing.assert_close(output.logits, scores, **close)
    assert teacher.embedding_dim == 12
    assert teacher.labels == [f"id1000{index}" for index in range(5)]
    assert teacher.cosine_logits == (kind != "xvector")
    assert teacher.trained_on == ["voxceleb1-dev"]
    names = FILES - ({"mean_var_norm_emb.ckpt"} if kind == "resnet" else set())
    assert teacher.digests == {name: sha256(folder / name) for name in names}
    assert teacher.revision is None


def test_within_the_noise_of_an_xvector(tmp_path, wavs):
    folder = write_model(tmp_path / "xvector", "xvector")
    theirs = upstream(folder, tmp_path / "saved", quiet=False)
    embeddings = SpeechBrainTeacher(folder).embed(wavs)
    with torch.no_grad():
        expected = theirs.encode_batch(wavs).squeeze(1)
    assert not torch.equal(embeddings, expected)
    torch.testing.assert_close(embeddings, expected, atol=1e-3, rtol=1e-3)


def test_a_label_encoder_that_is_not_loaded(tmp_path, wavs, caplog):
    folder = write_model(tmp_path / "resnet", "resnet")
    (folder / "label_encoder.txt").unlink()
    teacher = SpeechBrainTeacher(folder)
    assert teacher.labels is None
    assert teacher(wavs).logits.shape == (4, 5)
    assert "has no label_encoder.txt" in caplog.text


def test_what_is_expected(ecapa):
    facts = {
        "n_mels": 80,
        "embedding_dim": 12,
        "classes": 5,
        "cosine_logits": True,
    }
    SpeechBrainTeacher(ecapa, expected=facts)
    with pytest.raises(ValueError, match="classes: expected 7205, got 5"):
        SpeechBrainTeacher(ecapa, expected=facts | {"classes": 7205})
    with pytest.raises(ValueError, match="'mels': it may have n_mels, "):
        SpeechBrainTeacher(ecapa, expected={"mels": 80})


def test_xvector_is_deterministic(tmp_path, wavs):
    teacher = SpeechBrainTeacher(write_model(tmp_path / "x", "xvector"))
    state = torch.get_rng_state()
    first = teacher(wavs).embeddings
    assert torch.equal(first, teacher(wavs).embeddings)
    assert torch.equal(state, torch.get_rng_state())


def test_frozen_for_good(ecapa, wavs):
    teacher = SpeechBrainTeacher(ecapa)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    brain = torch.nn.ModuleDict({"teacher": teacher}).train()
    brain.requires_grad_(True)
    teacher.requires_grad_(True)
    assert not any(module.training for module in teacher.modules())
    wavs.requires_grad_(True)
    output = teacher(wavs)
    assert not output.embeddings.requires_grad
    assert not output.logits.requires_grad
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_fp32_under_autocast(ecapa, wavs):
    teacher = SpeechBrainTeacher(ecapa)
    plain = teacher(wavs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = teacher(wavs)
    assert torch.equal(plain.embeddings, under.embeddings)
    assert torch.equal(plain.logits, under.logits)


def test_from_hub(hub, ecapa, wavs, tmp_path):
    savedir = tmp_path / "downloads"
    teacher = SpeechBrainTeacher(
        "speechbrain/tiny", revision="v1", savedir=str(savedir)
    )
    local = SpeechBrainTeacher(ecapa)
    assert torch.equal(teacher.embed(wavs), local.embed(wavs))
    assert teacher.digests == local.digests
    assert teacher.source == "speechbrain/tiny"
    assert any(savedir.iterdir())
    assert teacher.revision == COMMIT
    asked = {path.partition("?")[0] for path in hub}
    assert {path.rpartition("/")[2] for path in asked} == FILES
    by_name = "/speechbrain/tiny/resolve/v1/hyperparams.yaml"
    assert {path for path in asked if COMMIT not in path} == {by_name}


def test_hub_yaml_is_checked_before_weights(hub, ecapa):
    edit(ecapa, "n_mels: 80", "n_mels: 80\nx: !apply:os.popen [id]")
    with pytest.raises(ValueError, match="!apply:os.popen is refused"):
        SpeechBrainTeacher("speechbrain/tiny")
    assert not any("ckpt" in path for path in hub)


def test_revision_of_a_folder(ecapa, caplog):
    with caplog.at_level(logging.WARNING):
        SpeechBrainTeacher(ecapa, revision="v1")
    assert "revision is unused" in caplog.text


def test_without_classifier(ecapa, wavs):
    path = ecapa / "hyperparams.yaml"
    lines = path.read_text().splitlines()
    kept, skipping = [], False
    for line in lines:
        if line.startswith("classifier:"):
            skipping = True
        elif line and not line.startswith(" "):
            skipping = False
        if not skipping and "classifier" not in line:
            kept.append(line)
    path.write_text("\n".join(kept))
    teacher = SpeechBrainTeacher(ecapa)
    assert teacher(wavs).logits is None
    assert teacher.labels is None
    assert not teacher.cosine_logits


def test_waveform_shapes(ecapa, wavs):
    teacher = SpeechBrainTeacher(ecapa)
    with pytest.raises(ValueError, match=r"shape \[32000\]"):
        teacher(wavs[0])
    with pytest.raises(ValueError, match="Expected 4 relative lengths"):
        teacher(wavs, torch.ones(3))
