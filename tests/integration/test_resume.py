"""A run that was killed or interrupted ends like one that was not."""

import os
import signal

import pytest
from small_runs import (
    BOTH,
    arguments,
    checkpoint,
    different,
    distil,
    train,
    train_log,
    watched_run,
    weights,
    write_augment,
)

from speechbrain_kd import run
from speechbrain_kd.brain import DistillationBrain

pytestmark = pytest.mark.usefixtures("training_only")

STEPS = (
    "--number_of_epochs=2",
    "--batch_size=4",  # 6 steps an epoch
    "--ckpt_interval_minutes=0",
    "--ckpt_interval_steps=2",
)


@pytest.fixture(scope="module")
def settings(teacher, tmp_path_factory):
    """Distillation with augmentation."""
    augment = write_augment(tmp_path_factory.mktemp("augment"))
    return (*STEPS, f"--wav_augment={augment}")


@pytest.fixture(scope="module")
def uninterrupted(tiny_corpus, teacher, settings, tmp_path_factory):
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "finish_run", lambda *given: None)
        return distil(tiny_corpus, folder, teacher, *settings, dim=12)


def test_killed(tiny_corpus, teacher, settings, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    given = arguments(
        *(tiny_corpus, folder, f"--teacher={teacher}"),
        f"--distillation={BOTH}",
        *settings,
        dim=12,
    )
    killed = watched_run(given, tmp_path, kill_at=[2, 5])
    assert killed.returncode == -signal.SIGKILL
    state = (checkpoint(folder) / "CKPT.yaml").read_text()
    assert "end-of-epoch: false" in state
    assert len(train_log(folder)) == 1
    distil(tiny_corpus, folder, teacher, *settings, dim=12)
    assert not different(weights(folder), weights(uninterrupted))
    assert len(train_log(folder)) == 2


def stop_at(monkeypatch, epoch, step):
    """Presses Ctrl-C in the middle of a step."""
    forward = DistillationBrain.compute_forward

    def press(brain, batch, stage):
        where = (stage.name, brain.epoch, brain.step)
        if where == ("TRAIN", epoch, step):
            signal.raise_signal(signal.SIGINT)
        return forward(brain, batch, stage)

    monkeypatch.setattr(DistillationBrain, "compute_forward", press)


def test_interrupted(
    tiny_corpus, teacher, settings, uninterrupted, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=2, step=3)
        with pytest.raises(SystemExit) as stop:
            distil(tiny_corpus, folder, teacher, *settings, dim=12)
    assert stop.value.code == 130
    state = (checkpoint(folder) / "CKPT.yaml").read_text()
    assert "end-of-epoch: false" in state
    distil(tiny_corpus, folder, teacher, *settings, dim=12)
    assert not different(weights(folder), weights(uninterrupted))


def test_interrupted_in_the_last_validation(tiny_corpus, tmp_path, monkeypatch):
    """Stops there, and does not begin the evaluation."""
    folder = tmp_path / "run"
    finished = []
    monkeypatch.setattr(run, "finish_run", lambda *given: finished.append(1))
    validate = DistillationBrain.verification_eer

    def press(brain):
        signal.raise_signal(signal.SIGINT)
        return validate(brain)

    with monkeypatch.context() as patch:
        patch.setattr(DistillationBrain, "verification_eer", press)
        with pytest.raises(SystemExit) as stop:
            train(tiny_corpus, folder)
    assert stop.value.code == 130
    assert not finished
    train(tiny_corpus, folder)
    assert len(train_log(folder)) == 1
    assert finished


def test_interrupted_between_optimiser_steps(
    tiny_corpus, tmp_path, monkeypatch
):
    """Accumulated gradients are in no checkpoint: none is made before the
    optimiser has taken them."""
    accumulate = (*STEPS, "--grad_accumulation_factor=3")
    whole = train(tiny_corpus, tmp_path / "whole" / "run", *accumulate)
    folder = tmp_path / "stopped" / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=2, step=2)
        with pytest.raises(SystemExit):
            train(tiny_corpus, folder, *accumulate)
    train(tiny_corpus, folder, *accumulate)
    assert not different(weights(folder), weights(whole))


def test_interrupted_before_training(tiny_corpus, tmp_path, monkeypatch):
    """Nothing is lost where nothing was begun."""

    def press(*given, **settings):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run, "prepare_data", press)
    with pytest.raises(SystemExit) as stop:
        train(tiny_corpus, tmp_path / "run")
    assert stop.value.code == 130
