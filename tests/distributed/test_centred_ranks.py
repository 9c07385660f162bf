"""Centres, balance, parts, unlabelled rows, averages: two ranks are one."""

import os
import subprocess
import sys
from pathlib import Path

import centred_ranks
import torch


def on_two_ranks(folder):
    """The training by two processes; what each became."""
    here = Path(__file__).parents
    paths = [str(here[2]), str(here[1]), os.environ.get("PYTHONPATH", "")]
    processes = [
        subprocess.Popen(
            [sys.executable, centred_ranks.__file__, str(folder), str(rank)],
            env=os.environ
            | {
                "OMP_NUM_THREADS": "1",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        errors = process.communicate(timeout=150)[1]
        assert process.returncode == 0, errors[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_two_ranks_learn_as_one_process(tmp_path):
    one = centred_ranks.train(centred_ranks.brain_of())
    two = on_two_ranks(tmp_path)
    close = {"rtol": 1e-3, "atol": 1e-4}
    losses = torch.tensor([rank["losses"] for rank in two]).mean(0)
    assert len(losses) == 20
    torch.testing.assert_close(losses, torch.tensor(one["losses"]), **close)
    start = centred_ranks.brain_of().hparams.distillation.state_dict()
    for name in ("terms.following.rows", "terms.trained.rows"):
        assert not torch.equal(start[name], one["objective"][name])
    for part in ("mean", "raw", "objective"):
        torch.testing.assert_close(two[0][part], one[part], **close)
        torch.testing.assert_close(two[1][part], two[0][part], **close)
    for name in ("terms.following.rows", "balance.norms"):
        assert torch.equal(two[0]["objective"][name], two[1]["objective"][name])
