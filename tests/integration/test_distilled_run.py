"""Runs with a teacher: terms, projector, classes, no labels, ONNX."""

import json
import shutil

import pytest
import torch
from small_runs import (
    EMBEDDING,
    checkpoint,
    different,
    distil,
    train,
    train_log,
    weights,
    write_augment,
    write_teacher,
)

from speechbrain_kd.teachers import RunTeacher
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher
from speechbrain_kd.teachers.store import TeacherStore

NO_LABELS = ("--compute_cost=null", "--margin_schedule=null")


def test_terms_and_a_frozen_teacher(tiny_corpus, teacher, tmp_path, watched):
    augment = f"--wav_augment={write_augment(tmp_path)}"
    folder = distil(
        tiny_corpus, tmp_path / "run", teacher, augment, "--number_of_epochs=2"
    )
    for entry in train_log(folder):
        total = (
            entry["train classification"]
            + entry["train posteriors"]
            + 40 * entry["train embedding"]
        )
        assert entry["train loss"] == pytest.approx(total, rel=0.02)
    brain = watched.brain
    assert not different(brain.teacher.state_dict(), watched.teacher)
    frozen = {id(value) for value in brain.teacher.parameters()}
    optimised = brain.optimizer.param_groups
    assert not frozen & {id(v) for g in optimised for v in g["params"]}
    assert not frozen & {id(value) for value in brain.modules.parameters()}
    saved = {path.name for path in checkpoint(folder).iterdir()}
    assert {"distillation.ckpt", "embedding_model.ckpt"} < saved
    assert not any("teacher" in name for name in saved)
    report = json.loads((folder / "report/results.json").read_text())
    assert set(report["systems"]) == {"student", "teacher"}
    assert (folder / "scores_teacher.txt").is_file()


def test_the_teacher_in_the_report_is_that_run(
    tiny_corpus, plain_run, teacher, tmp_path
):
    folder = distil(tiny_corpus, tmp_path / "run", teacher)
    own = json.loads((plain_run / "report/results.json").read_text())
    ours = json.loads((folder / "report/results.json").read_text())
    expected, shown = own["systems"]["model"], ours["systems"]["teacher"]
    for key in ("eer", "min_dcf", "params", "gmac"):
        assert shown[key] == pytest.approx(expected[key], abs=1e-9)


def test_projector_is_resumed_and_not_exported(
    tiny_corpus, teacher, tmp_path, watched
):
    folder = distil(tiny_corpus, tmp_path / "run", teacher, dim=12)
    projector = watched.brain.modules.distillation.projector
    assert projector.weight.shape == (16, 12)
    saved = torch.load(checkpoint(folder) / "distillation.ckpt")
    assert torch.equal(saved["projector.weight"], projector.weight)
    optimised = watched.brain.optimizer.param_groups[0]["params"]
    assert any(value is projector.weight for value in optimised)
    names = {path.name for path in (folder / "export").iterdir()}
    assert not any("distill" in name or "projector" in name for name in names)
    for file in (folder / "export").glob("*.ckpt"):
        assert b"projector" not in file.read_bytes()


def test_a_projector_is_kept_on_request(
    tiny_corpus, teacher, tmp_path, watched
):
    folder = distil(
        tiny_corpus, tmp_path / "run", teacher, "--keep_projector=True", dim=12
    )
    wavs = torch.randn(2, 16000)
    plain = RunTeacher(str(folder)).embed(wavs)
    found = RunTeacher(str(folder), projector=True)
    assert plain.shape == (2, 12) and found.embedding_dim == 16
    weight = torch.load(folder / "export" / "projector.ckpt")["weight"]
    assert torch.equal(
        weight, watched.brain.hparams.distillation.projector.weight
    )
    assert torch.allclose(found.embed(wavs), plain @ weight.T, atol=1e-5)
    assert found.classifier is None and found.labels is None
    assert found.fingerprint() != RunTeacher(str(folder)).fingerprint()
    torch.save({"weight": [1]}, folder / "export" / "projector.ckpt")
    with pytest.raises(ValueError, match="projector.ckpt: expected a matrix"):
        RunTeacher(str(folder), projector=True)


def relabelled(run_folder, folder, order):
    """A teacher run whose classes are some of another's, in any order."""
    shutil.copytree(run_folder / "export", folder / "export")
    export = folder / "export"
    state = torch.load(export / "classifier.ckpt")
    state["weight"] = state["weight"][order]
    torch.save(state, export / "classifier.ckpt")
    lines = [f"'id{old:05d}' => {new}\n" for new, old in enumerate(order)]
    ending = "================\n'starting_index' => 0\n"
    for name in ("label_encoder.txt", "label_encoder.ckpt"):
        (export / name).write_text("".join(lines) + ending)
    yaml = (export / "hyperparams.yaml").read_text()
    assert yaml.count("neurons: 6\n") == 2
    yaml = yaml.replace("neurons: 6\n", f"neurons: {len(order)}\n")
    (export / "hyperparams.yaml").write_text(yaml)
    return write_teacher(folder, folder)


def test_the_teacher_hears_each_of_two_views_once(
    tiny_corpus, teacher, tmp_path, watched, training_only, monkeypatch
):
    heard = []
    embed = SpeechBrainTeacher.embed

    def counting(self, wavs):
        if wavs.shape[1] == 12800:  # loading a teacher asks it about noise
            heard.extend(wav.numpy().tobytes() for wav in wavs)
        return embed(self, wavs)

    monkeypatch.setattr(SpeechBrainTeacher, "embed", counting)
    views = (
        "--teacher_views=2",
        "--number_of_epochs=4",
        f"--store_folder={tmp_path / 'store'}",
    )
    one = distil(tiny_corpus, tmp_path / "one" / "run", teacher, *views)
    assert len(heard) == len(set(heard)) == 2 * 24
    two = distil(tiny_corpus, tmp_path / "two" / "run", teacher, *views)
    assert not different(weights(one), weights(two))
    assert len(heard) == 2 * 24  # the second run asked nothing
    assert train_log(one)[-1]["train posteriors"] > 0


@pytest.mark.parametrize("target", ["clean", "whole"])
def test_other_targets_of_an_augmented_view(
    tiny_corpus, teacher, tmp_path, watched, training_only, target, monkeypatch
):
    """Copies of one view share their answer: each is asked for once."""
    asked = []
    write = TeacherStore.write

    def counting(self, utterances, views, *given):
        asked.extend(zip(utterances, views, strict=True))
        return write(self, utterances, views, *given)

    monkeypatch.setattr(TeacherStore, "write", counting)
    augment = tmp_path / "augment.yaml"
    augment.write_text(
        "!new:speechbrain.augment.augmenter.Augmenter\n"
        "augmentations: [!new:speechbrain.augment.time_domain.DropChunk {}]\n"
        "min_augmentations: 1\nmax_augmentations: 1\nconcat_original: True\n"
    )
    options = (
        "--teacher_views=2",
        f"--teacher_target={target}",
        f"--wav_augment={augment}",
        f"--store_folder={tmp_path / 'store'}",
        "--number_of_epochs=2",
    )
    folder = distil(tiny_corpus, tmp_path / "run", teacher, *options)
    assert len(asked) == len(set(asked)) == (48 if target == "clean" else 24)
    log = train_log(folder)
    assert log[-1]["train embedding"] < log[0]["train embedding"]
    (store,) = watched.brain.stores.values()
    held = [
        store.holds(list(watched.data.data_ids), view).all()
        for view in range(2)
    ]
    assert held == [True, target == "clean"]


def test_whole_utterances_are_asked_about_once_at_each_speed(
    tiny_corpus, teacher, tmp_path, watched, training_only
):
    common = (
        "--teacher_target=whole",
        "--teacher_views=1",
        f"--store_folder={tmp_path / 'store'}",
        "--store_ahead=True",
        "--number_of_epochs=3",
    )

    def run(name, speeds):
        folder = tmp_path / name / "run"
        options = (*common, f"--speeds={speeds}")
        distil(*(tiny_corpus, folder, teacher, *options), objective=EMBEDDING)
        lines = (folder / "timing.jsonl").read_text().splitlines()
        filled = next(json.loads(one) for one in lines if "asked" in one)
        return filled["views_asked"], filled["views_kept"]

    assert run("one", "[1.0, 0.9, 0.9]") == (48, 0)
    (store,) = watched.brain.stores.values()
    names = list(watched.data.data_ids)
    held = [store.holds(names, place).all() for place in (0, 90, 110)]
    assert held == [True, True, False]
    # Other speeds: what was said serves them too.
    assert run("two", "[1.1, 1.0, 0.9]") == (24, 48)


def test_the_order_of_classes_is_nothing(
    tiny_corpus, plain_run, teacher, tmp_path, training_only
):
    other = relabelled(plain_run, tmp_path / "other", [5, 2, 0, 1, 4, 3])
    one = distil(tiny_corpus, tmp_path / "one" / "run", teacher)
    two = distil(tiny_corpus, tmp_path / "two" / "run", other)
    assert not different(weights(one), weights(two))


def test_a_teacher_that_knows_some_speakers(
    tiny_corpus, plain_run, tmp_path, training_only
):
    some = relabelled(plain_run, tmp_path / "some", [4, 1, 2])
    folder = distil(tiny_corpus, tmp_path / "run", some)
    assert "targets for 3 of 6 training" in (folder / "log.txt").read_text()
    assert train_log(folder)[0]["train posteriors"] > 0


def test_strangers_have_no_posteriors(tiny_corpus, plain_run, tmp_path):
    strange = relabelled(plain_run, tmp_path / "strange", [0, 1])
    for name in ("label_encoder.txt", "label_encoder.ckpt"):
        file = tmp_path / "strange" / "export" / name
        file.write_text(file.read_text().replace("'id0", "'xx0"))
    with pytest.raises(SystemExit) as stop:
        distil(tiny_corpus, tmp_path / "run", strange)
    assert "share no speaker" in str(stop.value)


def test_without_labels(tiny_corpus, teacher, tmp_path, watched):
    folder = distil(
        *(tiny_corpus, tmp_path / "run", teacher, *NO_LABELS),
        "--number_of_epochs=2",
        objective=EMBEDDING,
    )
    first, last = train_log(folder)
    assert last["train embedding"] < first["train embedding"]
    assert "train classification" not in last
    assert "valid ErrorRate" not in last
    classifier = watched.brain.modules.classifier.state_dict()
    assert not different(classifier, watched.classifier)
    assert (folder / "export" / "embedding_model.ckpt").is_file()


class Pooled(torch.nn.Module):
    """A linear layer, pooled over frames."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(80, 6)

    def forward(self, feats):
        return self.linear(feats).tanh().mean(dim=1)


def test_onnx_teacher(tiny_corpus, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    file = tmp_path / "pooled.onnx"
    axes = {"feats": {0: "batch", 1: "frames"}, "embedding": {0: "batch"}}
    with pytest.warns(DeprecationWarning):
        torch.onnx.export(
            *(Pooled().eval(), (torch.randn(2, 50, 80),), str(file)),
            input_names=["feats"],
            output_names=["embedding"],
            dynamic_axes=axes,
            dynamo=False,
        )
    fragment = tmp_path / "onnx.yaml"
    fragment.write_text(
        f"!new:speechbrain_kd.teachers.OnnxTeacher\nsource: {file}\n"
    )
    folder = distil(
        *(tiny_corpus, tmp_path / "run", fragment),
        "--number_of_epochs=2",
        objective=EMBEDDING,
    )
    first, last = train_log(folder)
    assert last["train embedding"] < first["train embedding"]
    report = json.loads((folder / "report/results.json").read_text())
    assert report["systems"]["teacher"]["bytes"] == file.stat().st_size
    recorded = json.loads((folder / "teacher_files.json").read_text())
    assert list(recorded) == ["pooled.onnx"]
    with pytest.raises(SystemExit) as stop:  # no classes, no posteriors
        distil(tiny_corpus, tmp_path / "both", fragment)
    assert "needs a teacher with a classifier" in str(stop.value)


def test_distillation_without_a_teacher(tiny_corpus, tmp_path):
    with pytest.raises(SystemExit) as stop:
        train(tiny_corpus, tmp_path / "run", f"--distillation={EMBEDDING}")
    assert "teacher is null" in str(stop.value)
