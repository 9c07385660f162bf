"""Folders in SpeechBrain's layout that are incomplete, wrong or foreign."""

import pickle

import pytest
import torch
from teacher_layout import FILES, edit, write_model

from speechbrain_kd.teachers import SpeechBrainTeacher


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="no teacher folder ./none"):
        SpeechBrainTeacher("./none")


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_file(ecapa, name):
    (ecapa / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{ecapa} has no {name}"):
        SpeechBrainTeacher(ecapa)


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
