"""What follows training: evaluation, calibration, export, report."""

import json
import logging
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer
from torch.nn.functional import cosine_similarity

from speechbrain_kd import assess, finish, run
from speechbrain_kd.calibrate import calibrate
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.evaluation import cost
from speechbrain_kd.evaluation.calibration import LinearCalibration
from speechbrain_kd.evaluation.results import SystemResult
from speechbrain_kd.evaluation.score_files import read_scores
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers import EnsembleTeacher, Teacher
from speechbrain_kd.training_data import read_learners

ROOT = Path(__file__).parents[1]
LAYOUT = ROOT / "tests" / "teachers" / "teacher_layout.py"


@pytest.fixture(scope="module", autouse=True)
def quick_costs():
    """Timing is tested elsewhere; here it would only take time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assess, "time_per_second", lambda *_: 1.5)
        yield


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory):
    """The fragment of a small ECAPA that knows the training speakers."""
    folder = tmp_path_factory.mktemp("teacher")
    model = runpy.run_path(str(LAYOUT))["write_model"](folder / "model")
    labels = model / "label_encoder.txt"
    labels.write_text(labels.read_text().replace("id1000", "id0000"))
    path = folder / "teacher.yaml"
    path.write_text(
        "!new:speechbrain_kd.teachers.SpeechBrainTeacher\n"
        f"source: {model}\ntrained_on: [tiny]\n"
    )
    return path


def build(corpus_folder, folder, **overrides):
    """A Brain, its corpus and yaml, ready to train or to finish."""
    experiment = Experiment(
        ROOT / "hparams" / "student.yaml",
        {
            "data_folder": str(corpus_folder),
            "output_folder": str(folder),
            "store_folder": str(folder.parent / "store"),
            "number_of_epochs": 1,
            "split_ratio": [50, 50],
        }
        | overrides,
    )
    corpus = run.prepare_data(experiment)
    brain, *_ = run.build(experiment, corpus, None)
    return brain, corpus, experiment.resolved()


@pytest.fixture(scope="module")
def distilled(tiny_corpus, teacher_file, tmp_path_factory):
    """A finished run with a teacher; the student has not learnt anything."""
    folder = tmp_path_factory.mktemp("finish") / "student"
    brain, corpus, text = build(
        tiny_corpus,
        folder,
        teacher=str(teacher_file),
        distillation=str(ROOT / "hparams" / "distillation" / "both.yaml"),
    )
    finish.finish_run(brain, corpus, text)
    return brain, corpus, folder


def encoder_of(brain):
    """The student alone."""
    parts = ("compute_features", "mean_var_norm", "embedding_model")
    return SpeakerEncoder(*(getattr(brain.hparams, x) for x in parts)).eval()


def cosine(embed, corpus, enrol, test):
    """The score of a trial, an utterance at a time."""
    with torch.no_grad():
        one, other = (
            embed(load_audio(corpus.test_files[name])[None])
            for name in (enrol, test)
        )
    return float(cosine_similarity(one, other))


@pytest.mark.parametrize("system", ["student", "teacher"])
def test_scores_are_cosines_of_whole_utterances(distilled, system):
    brain, corpus, folder = distilled
    file, embed = {
        "student": ("scores.txt", encoder_of(brain)),
        "teacher": ("scores_teacher.txt", brain.teacher.embed),
    }[system]
    lines = (folder / file).read_text().splitlines()
    trials = corpus.trials.read_text().splitlines()
    assert [x.rpartition(" ")[0] for x in lines] == trials
    for line in lines[::7]:
        _, enrol, test, score = line.split()
        expected = cosine(embed, corpus, enrol, test)
        assert float(score) == pytest.approx(expected, abs=1e-5)


def test_the_report_holds_both_systems_and_how_they_were_made(distilled):
    brain, corpus, folder = distilled
    facts = json.loads((folder / "report" / "results.json").read_text())
    student = facts["systems"]["student"]
    assert student["params"] == 34714 and student["ms_per_second"] == 1.5
    labels, scores = read_scores(folder / "scores.txt")
    accepted = scores >= student["threshold"]
    false_alarms = (accepted & ~labels).sum() / (~labels).sum()
    misses = (~accepted & labels).sum() / labels.sum()
    assert student["eer"] == pytest.approx((false_alarms + misses) / 2, abs=0.1)
    assert facts["systems"]["teacher"]["params"] < student["params"]
    notes = " ".join(facts["notes"])
    assert "Trained on 6 speakers" in notes and "seed 1986, 1 epochs" in notes
    assert f"Teacher: {brain.teacher.source}, trained on tiny; asked " in notes
    assert "calibrated on held-out utterances" in notes


def test_the_export_is_calibrated_and_says_where_it_comes_from(distilled):
    brain, corpus, folder = distilled
    card = (folder / "export" / "README.md").read_text()
    made = calibrate(encoder_of(brain), assess.held_out(corpus), "cpu")
    assert -1 <= made.threshold <= 1 and f"{made.threshold:.4f}"[:-1] in card
    shipped = json.loads((folder / "export" / "calibration.json").read_text())
    assert shipped["eer_threshold"] == pytest.approx(made.threshold, abs=1e-4)
    scores = np.linspace(-1, 1, 9)
    line = LinearCalibration.from_dict(shipped["calibration"])
    assert line.llr(scores) == pytest.approx(made.line.llr(scores), rel=0.01)
    for point in shipped["thresholds"]:
        wanted = line.threshold(point["p_target"])
        assert point["threshold"] == pytest.approx(wanted)
        assert f"| {wanted:.4f} |" in card
    quality = LinearCalibration.from_dict(shipped["with_quality"])
    assert len(quality.quality_names) == 4
    for name in ("CosineEmbedding", "PosteriorKL", "AdditiveAngularMargin"):
        assert name in card
    assert str(brain.teacher.source) in card
    digests = json.loads((folder / "teacher_files.json").read_text())
    assert digests == brain.teacher.digests
    assert set(digests) >= {"hyperparams.yaml", "embedding_model.ckpt"}
    for name, digest in digests.items():
        assert f"`{name}` sha256 `{digest}`" in card


def test_the_export_knows_whom_student_and_teacher_have_met(distilled):
    brain, corpus, folder = distilled
    record = folder / "export" / "training_data.json"
    facts = json.loads(record.read_text())
    assert facts == json.loads((folder / "training_data.json").read_text())
    student, teacher = read_learners(record)
    assert [known.ids for known in student.sets] == [set(corpus.speakers)]
    assert teacher.who == f"its teacher {brain.teacher.source}"
    assert teacher.unknown == ["tiny"]  # a name that nobody knows
    (files,) = facts["teachers"]
    assert files["files"] == brain.teacher.digests
    assert "revision" in files
    report = json.loads((folder / "report" / "results.json").read_text())
    seen = report["systems"]["student"]["seen"]
    assert seen.startswith("not known: its teacher") and "(tiny)" in seen
    assert f"| {seen} |" in (folder / "export" / "README.md").read_text()
    assert f"| {seen} |" in (folder / "report" / "report.md").read_text()


def test_nothing_is_calibrated_without_validation_trials(distilled, caplog):
    brain, corpus, folder = distilled
    lines = corpus.valid_csv.read_text().splitlines()
    alone = folder / "one.csv"  # one utterance: no trial
    alone.write_text("\n".join(lines[:2]) + "\n")
    one = replace(corpus, valid_csv=alone)
    assert calibrate(encoder_of(brain), assess.held_out(one), "cpu") is None
    assert "The threshold is not calibrated" in caplog.text


def test_a_model_without_teacher_and_without_trials(
    tiny_corpus, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    brain, corpus, text = build(
        tiny_corpus,
        tmp_path / "model",
        teacher=None,
        distillation=None,
        checkpointer=None,
    )
    corpus = replace(corpus, trials=None, test_files={})
    finish.finish_run(brain, corpus, text)
    assert not (tmp_path / "model" / "report").exists()
    assert (tmp_path / "model" / "export" / "hyperparams.yaml").is_file()
    assert (tmp_path / "model" / "teacher_files.json").read_text() == "{}"
    assert f"The exported model is in {tmp_path}/model/export" in caplog.text


def test_the_best_checkpoint_is_what_is_finished(distilled, tmp_path):
    brain, corpus, _ = distilled
    folder = tmp_path / "best"
    brain, corpus, text = build(
        corpus.data_folders[0],
        folder,
        teacher=None,
        distillation=None,
    )
    weight = brain.hparams.embedding_model.fc.conv.weight
    for epoch, value, rate in ((1, 0.5, 0.1), (2, 0.25, 0.9)):
        with torch.no_grad():
            weight.fill_(value)
        meta = {"EER": rate, "selection": rate, "epoch": epoch}
        brain.checkpointer.save_checkpoint(meta=meta)
    finish.finish_run(brain, corpus, text)
    assert bool((weight == 0.5).all())
    results = json.loads((folder / "report" / "results.json").read_text())
    assert set(results["systems"]) == {"model"}
    # What it was trained on is known to the speaker: no mark.
    assert results["systems"]["model"]["seen"] == "none of 2"


@pytest.mark.parametrize(("last", "epoch"), [(0.24, 2), (0.26, 1)])
def test_within_a_standard_error_the_last_epoch_is_the_best(
    tmp_path, last, epoch
):
    # 100 target trials at an EER of 0.2: a standard error of 0.04.
    trials = SimpleNamespace(labels=np.repeat([True, False], [100, 900]))
    checkpointer = Checkpointer(tmp_path, {"model": torch.nn.Linear(1, 1)})
    for number, rate in enumerate((0.2 + 1e-12, last), start=1):
        meta = {"EER": rate, "selection": rate, "epoch": number}
        checkpointer.save_checkpoint(meta=meta, name=str(number))
    checkpointer.save_checkpoint(meta={"an": "interrupted epoch"}, name="x")
    assert assess.load_best(checkpointer, trials).meta["epoch"] == epoch
    assert assess.load_best(checkpointer, None).meta["epoch"] == 1


def test_without_checkpoints_there_is_no_best(tmp_path):
    checkpointer = Checkpointer(tmp_path, {"model": torch.nn.Linear(1, 1)})
    assert assess.load_best(checkpointer, None) is None


def test_the_teacher_is_not_evaluated_where_that_is_off(
    tiny_corpus, teacher_file, tmp_path
):
    brain, corpus, text = build(
        tiny_corpus,
        tmp_path / "off",
        teacher=str(teacher_file),
        evaluate_teacher=False,
        compute_cost=None,
        margin_schedule=None,
    )
    finish.finish_run(brain, corpus, text)
    report = tmp_path / "off" / "report" / "results.json"
    assert set(json.loads(report.read_text())["systems"]) == {"student"}
    assert not (tmp_path / "off" / "scores_teacher.txt").exists()


class Lines(Teacher):
    """Two linear layers, of 12 and 20 parameters, in a file of 5 bytes."""

    def __init__(self, source):
        super().__init__(source, embedding_dim=4)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 4, bias=False), torch.nn.Linear(4, 4)
        )
        self.freeze()

    def encode(self, wavs, lens):
        return self.layers(wavs[:, :3])


def test_costs_of_teachers_and_of_several(tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(b"12345")
    one, other = Lines(str(file)), Lines("a/hub-id")
    costs = {"alone": one, "elsewhere": other}
    costs["twice"] = EnsembleTeacher([one, Lines(str(file))])
    costs["with"] = EnsembleTeacher([one, other])
    found = {}
    for name, teacher in costs.items():
        result = SystemResult(0.1, 0.5, 0.4, 0.3, 10, 10)
        assess.add_teacher_costs(result, teacher)
        macs = round(1e9 * result.gmac)
        found[name] = (result.params, macs, result.bytes)
    assert found["alone"] == (32, 28, 5)
    assert found["elsewhere"] == (32, 28, None)
    assert found["twice"] == (64, 56, 10)
    assert found["with"] == (64, 56, None)


def test_costs_are_the_encoders_own(distilled):
    encoder = encoder_of(distilled[0])
    result = SystemResult(0.1, 0.5, 0.4, 0.3, 10, 10)
    assert assess.with_costs(result, encoder) is result
    model = encoder.embedding_model
    assert result.bytes == cost.model_bytes(model)
    feats = encoder.features(torch.zeros(1, 32000))
    assert result.gmac == cost.count_macs(model, feats) / 1e9
