"""Teachers from SpeechBrain folders and from the hub."""

import logging
import pickle

import pytest
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from teacher_layout import write_model

from speechbrain_kd.teachers import SpeechBrainTeacher
from speechbrain_kd.teachers.loading import sha256

FILES = {
    "hyperparams.yaml",
    "embedding_model.ckpt",
    "mean_var_norm_emb.ckpt",
    "classifier.ckpt",
    "label_encoder.txt",
}


def upstream(folder, savedir):
    """SpeechBrain's own interface on the same folder."""
    return EncoderClassifier.from_hparams(
        source=str(folder),
        savedir=str(savedir),
        overrides={"pretrained_path": str(folder)},
    )


def edit(folder, old, new):
    """Changes the yaml of a model folder."""
    path = folder / "hyperparams.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


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
    # SpeechBrain adds noise of up to 9e-5 to the statistics of an x-vector.
    tolerance = 1e-3 if kind == "xvector" else 1e-6
    torch.testing.assert_close(
        output.embeddings, expected, atol=tolerance, rtol=tolerance
    )
    torch.testing.assert_close(
        output.logits, scores, atol=tolerance, rtol=tolerance
    )
    assert teacher.embedding_dim == 12
    assert teacher.labels == [f"id1000{index}" for index in range(5)]
    assert teacher.cosine_logits == (kind != "xvector")
    assert teacher.trained_on == ["voxceleb1-dev"]
    assert teacher.digests == {name: sha256(folder / name) for name in FILES}


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
    asked = [path for path in hub if path.startswith("/speechbrain/")]
    assert all("/resolve/v1/" in path for path in asked)
    assert {path.rpartition("/")[2] for path in asked} == FILES


def test_hub_yaml_is_checked_before_weights(hub, ecapa):
    edit(ecapa, "n_mels: 80", "n_mels: 80\nx: !apply:os.popen [id]")
    with pytest.raises(ValueError, match="!apply:os.popen is refused"):
        SpeechBrainTeacher("speechbrain/tiny")
    assert not any("ckpt" in path for path in hub)


@pytest.mark.parametrize(
    "source, revision", [("speechbrain/none", None), ("speechbrain/tiny", "v9")]
)
def test_hub_misses(hub, source, revision):
    with pytest.raises(
        FileNotFoundError, match=f"hyperparams.yaml of the teacher {source}"
    ):
        SpeechBrainTeacher(source, revision=revision)


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="no teacher folder ./none"):
        SpeechBrainTeacher("./none")


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_file(ecapa, name):
    (ecapa / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{ecapa} has no {name}"):
        SpeechBrainTeacher(ecapa)


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


def test_wrong_checkpoint(ecapa):
    path = ecapa / "embedding_model.ckpt"
    state = torch.load(path)
    key = "fc.conv.weight"
    state[key] = state[key][:6]
    state["odd"] = torch.zeros(1)
    del state["fc.conv.bias"]
    torch.save(state, path)
    with pytest.raises(ValueError) as info:
        SpeechBrainTeacher(ecapa)
    message = str(info.value)
    assert str(path) in message
    assert "missing: fc.conv.bias;" in message
    assert "not expected: odd;" in message
    assert f"{key} expected [12, 96, 1], got [6, 96, 1]" in message


def test_other_architecture(ecapa, tmp_path):
    resnet = write_model(tmp_path / "resnet", "resnet")
    path = ecapa / "embedding_model.ckpt"
    path.write_bytes((resnet / path.name).read_bytes())
    with pytest.raises(ValueError, match="missing: .* and .* more"):
        SpeechBrainTeacher(ecapa)


def test_wrong_statistics(ecapa):
    torch.save({"count": 1}, ecapa / "mean_var_norm_emb.ckpt")
    with pytest.raises(ValueError, match="missing: glob_mean, glob_std"):
        SpeechBrainTeacher(ecapa)


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["embedding_model", "mean_var_norm_emb"])
def test_pickled_code_is_not_run(ecapa, tmp_path, name):
    mark = tmp_path / "ran"
    torch.save({"weight": _Touch(mark)}, ecapa / f"{name}.ckpt")
    with pytest.raises(ValueError, match=f"{name}.ckpt is refused"):
        SpeechBrainTeacher(ecapa)
    (ecapa / f"{name}.ckpt").write_bytes(pickle.dumps(_Touch(mark)))
    with pytest.raises(ValueError, match=f"{name}.ckpt is refused"):
        SpeechBrainTeacher(ecapa)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_damaged_checkpoint(ecapa, content):
    (ecapa / "classifier.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match="classifier.ckpt is refused: it is"):
        SpeechBrainTeacher(ecapa)


def test_not_a_state_dict(ecapa):
    torch.save([1], ecapa / "classifier.ckpt")
    with pytest.raises(ValueError, match="should hold a state_dict.* a list"):
        SpeechBrainTeacher(ecapa)


def test_labels_must_cover_the_classes(ecapa):
    path = ecapa / "label_encoder.txt"
    path.write_text(path.read_text().replace("'id10004' => 4\n", ""))
    with pytest.raises(ValueError, match="4 labels where .* 5 classes"):
        SpeechBrainTeacher(ecapa)


def test_untrained_model_is_refused(ecapa):
    for line in (
        "        embedding_model: !ref <embedding_model>\n",
        "        embedding_model: !ref <pretrained_path>/embedding_model.ckpt\n",
    ):
        edit(ecapa, line, "")
    with pytest.raises(ValueError, match="loads no embedding_model"):
        SpeechBrainTeacher(ecapa)


def test_files_elsewhere_are_refused(ecapa):
    edit(
        ecapa,
        "classifier: !ref <pretrained_path>/classifier.ckpt",
        "classifier: someone/else/classifier.ckpt",
    )
    with pytest.raises(ValueError, match="classifier from someone/else"):
        SpeechBrainTeacher(ecapa)


def test_a_yaml_names_no_folder_to_write(ecapa, tmp_path):
    odd = tmp_path / "odd"
    edit(ecapa, "    loadables:", f"    collect_in: {odd}\n    loadables:")
    SpeechBrainTeacher(ecapa)
    assert not odd.exists()


def test_incomplete_yaml(ecapa):
    (ecapa / "hyperparams.yaml").write_text("n_mels: 80\n")
    with pytest.raises(
        ValueError, match="lacks compute_features, .*pretrainer"
    ):
        SpeechBrainTeacher(ecapa)


def test_loads_nothing_but_modules(ecapa):
    edit(
        ecapa,
        "label_encoder: !ref <label_encoder>",
        "label_encoder: !ref <n_mels>",
    )
    with pytest.raises(ValueError, match="belongs to a int"):
        SpeechBrainTeacher(ecapa)


@pytest.mark.parametrize(
    "line",
    [
        "a: {b: !new:torch.nn.Linear [2, 2]}\nx: !ref <a[b].weight>",
        'a: "("\nb: "!!python/object/apply:os.getcwd []"\nx: !ref <a><b>)',
    ],
)
def test_references_cannot_hide_a_tag(ecapa, line):
    edit(ecapa, "n_mels: 80", f"n_mels: 80\n{line}")
    with pytest.raises(ValueError, match="references resolved.*is refused"):
        SpeechBrainTeacher(ecapa)


def test_waveform_shapes(ecapa, wavs):
    teacher = SpeechBrainTeacher(ecapa)
    with pytest.raises(ValueError, match=r"shape \[32000\]"):
        teacher(wavs[0])
    with pytest.raises(ValueError, match="Expected 4 relative lengths"):
        teacher(wavs, torch.ones(3))
