"""Runs whose terms learn of the teacher first, or remember a queue."""

import signal

import pytest
import torch
from small_runs import (
    arguments,
    checkpoint,
    different,
    distil,
    on_ranks,
    train_log,
    watched_run,
    weights,
)

from speechbrain_kd import run

_OBJECTIVE = """\
!new:speechbrain_kd.losses.DistillationObjective
terms:
    embedding: !new:speechbrain_kd.losses.CosineEmbedding
        centre: True
        whiten: True
        shrinkage: 0.2
    squared: !new:speechbrain_kd.losses.SquaredErrorEmbedding
        centre: True
    gram: !new:speechbrain_kd.losses.CosineGram
    distance: !new:speechbrain_kd.losses.RelationalDistance
    angle: !new:speechbrain_kd.losses.RelationalAngle
    neighbours: !new:speechbrain_kd.losses.QueueSimilarity
        size: 14
    contrast: !new:speechbrain_kd.losses.ContrastiveQueue
        size: 40
weights:
    classification: 1.0
    embedding: 10.0
    squared: 5.0
    gram: 30.0
    distance: 5.0
    angle: 5.0
    neighbours: 1.0
    contrast: 1.0
"""

SETTINGS = (
    "--number_of_epochs=2",
    "--batch_size=4",  # 6 steps an epoch
    "--ckpt_interval_minutes=0",
    "--ckpt_interval_steps=2",
)


@pytest.fixture(scope="module")
def objective(tmp_path_factory):
    """A fragment: all terms on embeddings and relations."""
    path = tmp_path_factory.mktemp("objective") / "relations.yaml"
    path.write_text(_OBJECTIVE)
    return path


@pytest.fixture(scope="module")
def whole(tiny_corpus, teacher, objective, tmp_path_factory):
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "finish_run", lambda *given: None)
        return distil(
            *(tiny_corpus, folder, teacher, *SETTINGS),
            objective=objective,
            dim=12,
        )


def remembered(folder):
    """What the objective of a run's newest checkpoint holds."""
    return torch.load(checkpoint(folder) / "distillation.ckpt")


def test_every_term_is_logged_and_remembered(whole):
    first, last = train_log(whole)
    assert last["train embedding"] < first["train embedding"]
    state = remembered(whole)
    assert state["terms.embedding.whitening"].shape == (16, 16)
    assert state["terms.squared.mean"].shape == (16,)
    assert state["terms.neighbours.queue.rows"].shape == (14, 16)
    assert state["terms.contrast.queue.rows"].shape == (40, 16)
    log = (whole / "log.txt").read_text()
    assert "embedding, squared: learned from the teacher's embeddings" in log


def test_killed_and_resumed_is_bit_identical(
    tiny_corpus, teacher, objective, whole, tmp_path, training_only
):
    folder = tmp_path / "run"
    given = arguments(
        *(tiny_corpus, folder, f"--teacher={teacher}"),
        f"--distillation={objective}",
        *SETTINGS,
        dim=12,
    )
    killed = watched_run(given, tmp_path, kill_at=[2, 3])
    assert killed.returncode == -signal.SIGKILL
    half = remembered(folder)["terms.contrast.queue.rows"]
    assert len(half) == 32  # after 8 of 12 steps
    distil(
        *(tiny_corpus, folder, teacher, *SETTINGS), objective=objective, dim=12
    )
    assert not different(weights(folder), weights(whole))
    assert not different(remembered(folder), remembered(whole))


def test_two_ranks_learn_the_same(tiny_corpus, teacher, objective, tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys, torch\n"
        "from speechbrain_kd import run\n"
        "brain, _, _ = run.ready(sys.argv[2:])\n"
        "torch.save(brain.hparams.distillation.terms.state_dict(), "
        "os.path.join(sys.argv[1], os.environ['RANK'] + '.pt'))\n"
    )
    given = arguments(
        *(tiny_corpus, tmp_path / "run", f"--teacher={teacher}"),
        f"--distillation={objective}",
    )
    done = on_ranks(2, script, tmp_path, *given)
    assert done.returncode == 0, done.stderr
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in "01")
    assert one["embedding.mean"].shape == (16,)
    assert not different(one, other)
    learned = tmp_path / "store" / "learned"
    assert len(list(learned.glob("embeddings-*"))) == 1
