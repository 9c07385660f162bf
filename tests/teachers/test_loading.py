"""What sound models may have passes, whatever hostile ones resemble."""

import shutil

import pytest
import torch
from teacher_layout import write_model

from speechbrain_kd.teachers.dry_run import check_answers
from speechbrain_kd.teachers.label_file import check_labels
from speechbrain_kd.teachers.loading import check_fits, read_state
from speechbrain_kd.teachers.yaml_build import load_foreign


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_any_age(tmp_path, zipped):
    path = tmp_path / "a.ckpt"
    layer = torch.nn.Linear(3, 2)
    state = {key: value.half() for key, value in layer.state_dict().items()}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    check_fits(layer, path)
    assert torch.equal(read_state(path)["weight"], state["weight"])


def test_all_that_is_wrong_is_named(tmp_path):
    path = tmp_path / "a.ckpt"
    state = torch.nn.Linear(3, 2).state_dict()
    state["weight"] = state["weight"].int()
    state["bias"] = state["bias"] / 0
    torch.save(state | {"odd": torch.ones(1)}, path)
    with pytest.raises(ValueError) as info:
        check_fits(torch.nn.Linear(3, 2), path)
    for part in (
        f"{path} does not fit the Linear",
        "not expected: odd;",
        "weight expected [2, 3], got [2, 3] torch.int32",
        "NaN or infinite: bias",
    ):
        assert part in str(info.value)


def test_labels_with_unknown_and_signs(tmp_path):
    path = tmp_path / "label_encoder.txt"
    path.write_text(
        "'<unk>' => 0\n\"O'Neil\" => 1\n'a\u2028b' => 2\n7 => 3\n"
        "================\n'starting_index' => 0\n'unk_label' => '<unk>'\n",
        encoding="utf-8",
    )
    check_labels(path)


def test_references_of_sound_yaml(tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(
        "folder: results/o'neil\nsave: !ref <folder>/save\n"
        "log: !ref <save>/log.txt\nn: 40\ntwice: !ref <n> * 2 + 1\n"
        "deep: {a: {b: 3}}\ninner: !ref <deep[a][b]>\n"
        "copy: !copy <deep>\nbase: &b {x: 1}\nmerged: {<<: *b, y: 2}\n"
        "from_merge: !ref <merged[x]>\nshape: (1, 2)\n"
        "text: 9 ** 9 ** 9 and <b>bold</b>\n"
    )
    values = load_foreign(path, "here")
    assert values["log"] == "results/o'neil/save/log.txt"
    assert values["twice"] == 81
    assert values["inner"] == 3 and values["from_merge"] == 1
    assert values["copy"] == {"a": {"b": 3}} and values["shape"] == (1, 2)


def test_building_leaves_random_numbers_alone(tmp_path):
    folder = write_model(tmp_path / "ecapa")
    before = torch.get_rng_state()
    load_foreign(folder / "hyperparams.yaml", str(folder))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "answers, words",
    [
        ([torch.ones(1, 3, 2)] * 2, "one embedding a sound"),
        ([torch.ones(1, 3), torch.ones(1, 4)], "grows with the utterance"),
        ([torch.full((1, 3), float("nan"))] * 2, "NaN or infinite"),
        ([torch.zeros(1, 3)] * 2, "any two sounds alike"),
    ],
)
def test_answers_that_are_no_embeddings(answers, words):
    with pytest.raises(
        ValueError, match=f"The .*teacher a.onnx.*{words}|a.onnx .*{words}"
    ):
        check_answers(answers, "a.onnx")


def test_onnx_weights_in_the_cache_of_the_hub(tmp_path):
    """There, a model and its weights are links to files of other names."""
    pytest.importorskip("onnxruntime")
    hostile_onnx = pytest.importorskip("hostile_onnx")
    from hostile_weights import with_weights_in

    from speechbrain_kd.teachers import OnnxTeacher

    cache = tmp_path / "models--a--b"
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    path = hostile_onnx.write_model(snapshot / "model.onnx")
    with_weights_in(path)
    for number, file in enumerate(list(snapshot.iterdir())):
        shutil.move(file, cache / "blobs" / str(number))
        file.symlink_to(f"../../blobs/{number}")
    teacher = OnnxTeacher(path)
    assert set(teacher.digests) == {"model.onnx", "weights.bin"}
