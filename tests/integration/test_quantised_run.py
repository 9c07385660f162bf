"""A student that goes on in the rounding of int8."""

import signal

import pytest
import torch
from small_runs import (
    HPARAMS,
    arguments,
    checkpoint,
    different,
    train,
    watched_run,
    weights,
)

from speechbrain_kd import run
from speechbrain_kd.training_data import read_learners

RECIPE = HPARAMS / "quantise.yaml"


def settings(start, teacher) -> tuple[str, ...]:
    """Options of a small run."""
    return f"--start_from={start}", f"--teacher={teacher}", "--lr=0.001"


def test_it_goes_on_from_a_run(plain_run, teacher, tiny_corpus, tmp_path):
    folder, before, after = tmp_path / "run", {}, []
    fit = run.train

    def watch(brain, *datasets):
        for part in ("embedding_model", "classifier"):
            state = getattr(brain.hparams, part).state_dict()
            before.update(
                {f"{part}.{key}": one.clone() for key, one in state.items()}
            )
        fit(brain, *datasets)
        after.extend(brain.modules.embedding_model.modules())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "train", watch)
        options = settings(plain_run, teacher)
        train(tiny_corpus, folder, *options, recipe=RECIPE)
    assert different(before, weights(plain_run)) == []
    assert different(weights(folder), weights(plain_run))
    # What rounded is gone, but for the ranges.
    assert not any(
        one._forward_hooks or "forward" in vars(one) for one in after
    )
    ranges = torch.load(checkpoint(folder) / "quantise.ckpt")["ranges"]
    assert (ranges[:, :, 1] > 0).all()
    # Whom the first run has met, this one has.
    learners = read_learners(folder / "export" / "training_data.json")
    (begun,) = (one for one in learners if one.who.startswith("what it began"))
    assert str(plain_run) in begun.who and len(begun.sets[0].ids) == 6
    states = [
        torch.load(one / "export" / "embedding_model.ckpt")
        for one in (folder, plain_run)
    ]
    assert states[0].keys() == states[1].keys()


def test_another_student_is_refused(plain_run, teacher, tiny_corpus, tmp_path):
    given = arguments(
        *(tiny_corpus, tmp_path / "run", *settings(plain_run, teacher)),
        dim=12,
        recipe=RECIPE,
    )
    why = "start_from: embedding_model is not that of"
    with pytest.raises(SystemExit, match=f"train_kd: error: {why}"):
        run.main(given)


@pytest.mark.slow
def test_a_killed_run_goes_on(plain_run, teacher, tiny_corpus, tmp_path):
    more = (
        "--number_of_epochs=2",
        "--ckpt_interval_minutes=0",
        "--ckpt_interval_steps=1",
    )
    finished = []
    for name, kill_at in (("whole", None), ("killed", [2, 2])):
        given = arguments(
            *(tiny_corpus, tmp_path / name, *settings(plain_run, teacher)),
            *more,
            recipe=RECIPE,
        )
        done = watched_run(given, tmp_path, kill_at)
        if kill_at is not None:
            assert done.returncode == -signal.SIGKILL
            done = watched_run(given, tmp_path)
        assert done.returncode == 0, done.stderr
        ranges = torch.load(checkpoint(tmp_path / name) / "quantise.ckpt")
        finished.append(weights(tmp_path / name) | ranges)
    assert different(*finished) == []
