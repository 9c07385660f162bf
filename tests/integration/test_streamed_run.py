"""Runs that read tar shards in sequence."""

import json
import shutil
import signal
from types import SimpleNamespace

import pytest
from small_runs import (
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

pytest.importorskip("webdataset")

SETTINGS = (
    "--stream=True",
    "--number_of_epochs=2",
    "--batch_size=3",
    "--num_workers=2",
    "--ckpt_interval_minutes=0",
    "--ckpt_interval_steps=2",
)


def test_killed_and_resumed(pack, tmp_path, training_only):
    augment = write_augment(tmp_path)
    settings = (*SETTINGS, f"--wav_augment={augment}")
    whole = train(pack, tmp_path / "whole" / "run", *settings)
    assert len(train_log(whole)) == 2
    folder = tmp_path / "killed" / "run"
    given = arguments(pack, folder, *settings)
    killed = watched_run(given, tmp_path, kill_at=[2, 5])
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    state = (checkpoint(folder) / "CKPT.yaml").read_text()
    assert "end-of-epoch: false" in state
    other = shutil.copytree(folder, tmp_path / "other" / "run")
    train(pack, folder, *settings)
    assert "begun anew" not in (folder / "log.txt").read_text()
    assert not different(weights(folder), weights(whole))
    assert (folder / "train_log.txt").read_text() == (
        whole / "train_log.txt"
    ).read_text()
    # Divided otherwise, the epoch is begun anew.
    train(pack, other, *settings[:3], "--num_workers=0", settings[-1])
    log = (other / "log.txt").read_text()
    assert "is begun anew, 4 steps of it" in log
    assert len(train_log(other)) == 2


def test_store_filled_ahead(pack, teacher, tmp_path, watched, training_only):
    distil(
        *(pack, tmp_path / "run", teacher, "--stream=True"),
        *("--teacher_views=2", "--store_ahead=True"),
        f"--store_folder={tmp_path}",
    )
    items = list(watched.data)
    assert len(items) >= 12
    for item in items:  # nothing is left to ask
        assert item["heard"] == [None] and item["target"].any()


def test_ranks_that_read_otherwise(monkeypatch):
    options = {"batch_size": 4, "num_workers": 2}
    hparams = SimpleNamespace(dataloader_options=options)
    monkeypatch.setattr(run, "gather_objects", lambda own: [own, 3])
    with pytest.raises(ValueError, match=r"\[2, 3\]: give --num_workers=2"):
        run.streamed(SimpleNamespace(hparams=hparams), None)


def test_two_ranks(pack, tmp_path):
    given = arguments(pack, tmp_path / "run", *SETTINGS)
    done = watched_run(given, tmp_path, ranks=2)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [
        json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)
    ]
    assert steps[0] == steps[1] and steps[0].keys() == {"1", "2"}
    assert all(step == of > 0 for step, of in steps[0].values())
    assert len(train_log(tmp_path / "run")) == 2


def test_refused_before_anything_is_made(tiny_corpus, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(SystemExit, match="pack .* OUTPUT --format tar"):
        run.main(arguments(tiny_corpus, folder, "--stream=True"))
    assert not folder.exists()
    with pytest.raises(SystemExit, match="stream must be True or False"):
        run.main(arguments(tiny_corpus, folder, "--stream=often"))
