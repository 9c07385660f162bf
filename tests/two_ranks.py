"""A computation by two processes, as two ranks.

A program calls ``be_a_rank`` at its end; a test gives its file to
``on_two_ranks``.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_LIMIT_S = 150


def on_two_ranks(program: str, folder: Path) -> list[Any]:
    """What a program found as each of two ranks."""
    tests = Path(__file__).parent
    given = os.environ.get("PYTHONPATH", "")
    paths = [str(tests.parent), str(tests), given]
    processes = [
        subprocess.Popen(
            [sys.executable, program, str(folder), str(rank)],
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
        errors = process.communicate(timeout=_LIMIT_S)[1]
        assert process.returncode == 0, errors[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def be_a_rank(compute: Callable[[], Any]) -> None:
    """Computes as one of two ranks, by the command line's FOLDER and RANK."""
    folder, rank = sys.argv[1:]
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=int(rank),
        world_size=2,
    )
    torch.save(compute(), f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
