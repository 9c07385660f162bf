"""Other ways to run: two processes, accumulation, bf16, debug."""

import pytest
import torch
from small_runs import (
    BOTH,
    EMBEDDING,
    arguments,
    checkpoint,
    different,
    distil,
    on_ranks,
    train_log,
    weights,
)

from speechbrain_kd.brain import DistillationBrain

#: train_kd.py that leaves every rank's parameters behind.
_RANKS = """\
import os, sys, torch
from speechbrain_kd import run

fit = run.train

def watch(brain, *datasets):
    fit(brain, *datasets)
    state = {
        name: value.detach()
        for name, value in brain.modules.named_parameters()
    }
    torch.save(state, f"{brain.hparams.output_folder}/{os.environ['RANK']}.pt")

run.train = watch
run.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((f"--distillation={BOTH}",), id="both"),
        pytest.param(
            (
                f"--distillation={EMBEDDING}",
                "--compute_cost=null",  # the classifier gets no gradient
                "--margin_schedule=null",
            ),
            id="no-labels",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_two_processes(tiny_corpus, teacher, tmp_path, extra):
    script = tmp_path / "ranks.py"
    script.write_text(_RANKS)
    folder = tmp_path / "run"
    given = arguments(
        *(tiny_corpus, folder, f"--teacher={teacher}"),
        *("--evaluate_teacher=False", "--number_of_epochs=3", *extra),
        dim=12,  # with a projector, which DDP wraps too
    )
    done = on_ranks(2, script, *given)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(folder / f"{rank}.pt") for rank in (0, 1))
    assert not different(first, second)
    assert any("projector" in name for name in first)
    assert all(value.isfinite().all() for value in first.values())
    assert not any("module." in name for name in weights(folder))
    assert len(train_log(folder)) == 3
    assert (folder / "export" / "embedding_model.ckpt").is_file()
    assert len((folder / "scores.txt").read_text().splitlines()) >= 36


def test_accumulation_steps_less_often(
    tiny_corpus, teacher, tmp_path, watched, training_only
):
    distil(
        *(tiny_corpus, tmp_path / "run", teacher),
        "--grad_accumulation_factor=2",
    )
    assert watched.brain.optimizer_step == 2  # of 4 batches
    weights = watched.brain.modules.classifier.state_dict()
    assert different(weights, watched.classifier)


def test_bf16(tiny_corpus, teacher, tmp_path, watched, training_only):
    dtypes = set()
    start = DistillationBrain.on_fit_start

    def watch_layers(brain):
        start(brain)
        for module in brain.modules.embedding_model.modules():
            if isinstance(module, torch.nn.Conv1d):
                module.register_forward_hook(
                    lambda module, given, output: dtypes.add(output.dtype)
                )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DistillationBrain, "on_fit_start", watch_layers)
        folder = distil(
            *(tiny_corpus, tmp_path / "run", teacher),
            *("--precision=bf16", "--eval_precision=bf16"),
        )
    assert dtypes == {torch.bfloat16}
    (entry,) = train_log(folder)
    assert all(value == value for value in entry.values())
    assert all(v.dtype != torch.bfloat16 for v in weights(folder).values())


def test_debug(tiny_corpus, teacher, tmp_path):
    folder = distil(
        *(tiny_corpus, tmp_path / "run", teacher, "--debug"),
        "--number_of_epochs=5",
    )
    assert len(train_log(folder)) == 2
    assert not list((folder / "save").glob("CKPT*"))
    assert (folder / "export" / "embedding_model.ckpt").is_file()


def test_workers_load_what_the_main_process_does(
    tiny_corpus, teacher, tmp_path, training_only
):
    one = distil(tiny_corpus, tmp_path / "one" / "run", teacher)
    two = distil(
        tiny_corpus, tmp_path / "two" / "run", teacher, "--num_workers=2"
    )
    assert checkpoint(one) != checkpoint(two)
    assert not different(weights(one), weights(two))
