"""Runs that average weights, follow centres, balance terms and hear parts."""

import signal

import pytest
import torch
from small_runs import (
    HPARAMS,
    arguments,
    checkpoint,
    different,
    on_ranks,
    train_log,
    watched_run,
    weights,
)

from speechbrain_kd import run

_RECIPE = """\
__base__: {base}
student_len: [0.4, 0.8]
compute_cost: {cost}
distillation: !new:speechbrain_kd.losses.DistillationObjective
    terms:
        following: !new:speechbrain_kd.losses.TeacherCentres
            centres: following
        trained: !new:speechbrain_kd.losses.TeacherCentres
            centres: trained
            margin: [0.0, 0.2, 0, 2]
    weights:
        classification: 1.0
        following: 1.0
        trained: 0.5
    ramps:
        following: [0, 0.5, 1, 3]
    balance: {balance}
"""

_COST = """!new:speechbrain.nnet.losses.LogSoftmaxWrapper
    loss_fn: !new:speechbrain.nnet.losses.AdditiveAngularMargin
        margin: 0.2
        scale: 30"""

SETTINGS = (
    "--number_of_epochs=2",
    "--batch_size=4",  # 6 steps an epoch
    "--ckpt_interval_minutes=0",
    "--ckpt_interval_steps=2",
    "--margin_schedule=null",
    f"--average={HPARAMS / 'average' / 'ema.yaml'}",
)


def recipe(folder, cost=_COST, balance="gradient_norm"):
    """A recipe on student.yaml."""
    text = _RECIPE.format(
        base=HPARAMS / "student.yaml", cost=cost, balance=balance
    )
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def given(corpus, folder, teacher, path, *more):
    """Arguments of a small run by a recipe."""
    return arguments(
        *(corpus, folder, f"--teacher={teacher}"),
        *(*SETTINGS, *more),
        dim=12,
        recipe=path,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def whole(tiny_corpus, teacher, path, tmp_path_factory):
    """The run that nothing happens to, with its end."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run.main(given(tiny_corpus, folder, teacher, path))
    return folder


def saved(folder):
    """The objective and the average of a run's newest checkpoint."""
    newest = checkpoint(folder)
    average = torch.load(newest / "average.ckpt", weights_only=True)
    assert average["is_in"]
    return average["tensors"] | torch.load(newest / "distillation.ckpt")


def test_the_mean_is_exported_and_the_raw_kept(whole):
    entries = train_log(whole)
    assert set(entries[0]) >= {"train following", "train trained"}
    state = saved(whole)
    mean = weights(whole)
    names = [name for name in mean if name in state]
    assert len(names) > 20
    assert sum(torch.equal(mean[name], state[name]) for name in names) < 5
    exported = torch.load(whole / "export" / "embedding_model.ckpt")
    assert exported
    for name, tensor in exported.items():
        assert torch.equal(tensor, mean[f"embedding_model.{name}"]), name
    assert state["balance.measured"] == 2
    assert (state["balance.norms"] > 0).all()
    assert state["terms.following.known"].all()


def test_killed_and_resumed_is_bit_identical(
    tiny_corpus, teacher, whole, path, tmp_path, training_only
):
    folder = tmp_path / "run"
    arguments_ = given(tiny_corpus, folder, teacher, path)
    killed = watched_run(arguments_, tmp_path, kill_at=[2, 3])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run.main(arguments_)
    assert not different(weights(folder), weights(whole))
    assert not different(saved(folder), saved(whole))


@pytest.mark.slow  # tests/distributed has it in small
def test_two_ranks_have_one_average(tiny_corpus, teacher, path, tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys, torch\n"
        "from speechbrain_kd import run\n"
        "brain, train, (valid, _, _) = run.ready(sys.argv[2:])\n"
        "run.train(brain, train, valid)\n"
        "state = dict(brain.hparams.average._other)\n"
        "state |= brain.hparams.distillation.state_dict()\n"
        "torch.save(state, "
        "os.path.join(sys.argv[1], os.environ['RANK'] + '.pt'))\n"
    )
    more = given(tiny_corpus, tmp_path / "run", teacher, path)
    done = on_ranks(2, script, tmp_path, *more)
    assert done.returncode == 0, done.stderr
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in "01")
    assert not different(one, other)


def test_centres_in_place_of_the_labels_loss(
    tiny_corpus, teacher, tmp_path, training_only
):
    """With pseudo-speakers, of whom no centre is known before."""
    without = recipe(tmp_path, cost="null", balance="null")
    folder = tmp_path / "run"
    speeds = "--speeds=[1.0, 0.9]"
    run.main(given(tiny_corpus, folder, teacher, without, speeds))
    state = saved(folder)
    for kind in ("following", "trained"):
        assert len(state[f"terms.{kind}.rows"]) == 12
        assert state[f"terms.{kind}.known"].sum() > 6
    first, last = train_log(folder)
    assert "train classification" not in first
    assert last["train trained"] < first["train trained"]
    balanced = recipe(tmp_path, cost="null")
    with pytest.raises(ValueError, match="compute_cost is null"):
        run.main(given(tiny_corpus, tmp_path / "other", teacher, balanced))
