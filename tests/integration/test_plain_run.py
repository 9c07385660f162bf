"""A run without a teacher, from data to export."""

import json
import shutil

import pytest
from small_runs import HPARAMS, train, train_log

from speechbrain_kd import run
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.score_files import read_scores


def test_overfits(plain_run):
    log = train_log(plain_run)
    assert len(log) == 12
    first, last = log[0], log[-1]
    assert last["train classification"] < first["train classification"] / 10
    assert last["train loss"] == pytest.approx(
        last["train classification"], rel=0.01, abs=1e-4
    )
    assert last["valid ErrorRate"] < 0.1
    assert last["valid EER"] < 0.1
    assert first["lr"] > last["lr"]


def test_leaves_its_results(plain_run):
    results = json.loads((plain_run / "report/results.json").read_text())
    (system,) = results["systems"].values()
    assert list(results["systems"]) == ["model"]
    assert system["eer"] < 0.15
    labels, scores = read_scores(plain_run / "scores.txt")
    assert len(labels) == 36
    assert system["eer"] == pytest.approx(
        eer(scores[labels], scores[~labels]), abs=1e-6
    )
    for name in ("det.png", "scores_model.png", "report.md"):
        assert (plain_run / "report" / name).stat().st_size > 0
    for name in ("embedding_model.ckpt", "label_encoder.txt", "README.md"):
        assert (plain_run / "export" / name).stat().st_size > 0


def test_a_finished_run_is_kept(tiny_corpus, plain_run, tmp_path, watched):
    folder = tmp_path / "run"
    shutil.copytree(plain_run, folder)
    train(tiny_corpus, folder, "--number_of_epochs=12")
    assert watched.brain.optimizer_step == 12 * 4
    assert len(train_log(folder)) == 12
    names = ["scores.txt", "export/label_encoder.txt"]
    for name in names:
        assert (folder / name).read_text() == (plain_run / name).read_text()
    before, after = (
        json.loads((path / "report/results.json").read_text())["systems"]
        for path in (plain_run, folder)
    )
    assert before["model"]["eer"] == after["model"]["eer"]
    assert before["model"]["params"] == after["model"]["params"]


def test_more_epochs_go_on(tiny_corpus, plain_run, tmp_path, training_only):
    folder = tmp_path / "run"
    shutil.copytree(plain_run, folder)
    train(tiny_corpus, folder, "--number_of_epochs=13")
    assert [entry["epoch"] for entry in train_log(folder)] == [*range(1, 14)]


_STAGE = """\
__base__: {base}
large_margin: !new:speechbrain_kd.schedules.LargeMarginStage
    start_epoch: 3
    compute_cost: !ref <compute_cost>
    margin: 0.4
    sentence_len: 1.2
    lr: 0.0001
"""


def test_margin_crops_and_rate_move(
    tiny_corpus, tmp_path, monkeypatch, training_only
):
    """The large-margin stage begins in epoch 3, after the margin's rise."""
    seen = []
    build = run.build

    def watch(*given):
        brain, *datasets = build(*given)
        forward = brain.compute_forward

        def record(batch, stage):
            if stage.name == "TRAIN":
                margin = brain.hparams.compute_cost.loss_fn.margin
                rate = brain.optimizer.param_groups[0]["lr"]
                samples = batch.sig.data.shape[1]
                seen.append((brain.epoch, margin, samples, rate))
            return forward(batch, stage)

        brain.compute_forward = record
        return brain, *datasets

    monkeypatch.setattr(run, "build", watch)
    recipe = tmp_path / "stage.yaml"
    recipe.write_text(_STAGE.format(base=HPARAMS / "student.yaml"))
    train(
        tiny_corpus,
        tmp_path / "run",
        *("--teacher=null", "--distillation=null", "--number_of_epochs=3"),
        "--margin_schedule={end_epoch: 2}",
        recipe=recipe,
    )
    epochs = [[s for s in seen if s[0] == epoch] for epoch in (1, 2, 3)]
    margins = [margin for _, margin, _, _ in epochs[0] + epochs[1]]
    assert margins == pytest.approx([0.2 * step / 8 for step in range(8)])
    assert {samples for _, _, samples, _ in epochs[0] + epochs[1]} == {12800}
    rates = [rate for *_, rate in epochs[0]]
    assert rates == pytest.approx([0.01 * step / 4 for step in range(4)])
    assert set(epochs[2]) == {(3, 0.4, 19200, 0.0001)}
