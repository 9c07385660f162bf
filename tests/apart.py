"""A computation by several processes, as ranks.

A program calls ``be_a_rank`` at its end; a test gives its file to
``on_ranks``.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_LIMIT_S = 150


def on_ranks(
    program: str, folder: Path, *arguments: str, world: int = 2
) -> list[Any]:
    """What a program found as each of some ranks."""
    tests = Path(__file__).parent
    given = os.environ.get("PYTHONPATH", "")
    paths = [str(tests.parent), str(tests), given]
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, program, str(folder)),
                *(str(rank), str(world), *arguments),
            ],
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
        for rank in range(world)
    ]
    for process in processes:
        errors = process.communicate(timeout=_LIMIT_S)[1]
        assert process.returncode == 0, errors[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in range(world)]


def be_a_rank(compute: Callable[..., Any]) -> None:
    """Computes as a rank, by the command line's FOLDER RANK WORLD ARGUMENTS.

    ``compute`` gets the folder and the arguments.
    """
    folder, rank, world, *arguments = sys.argv[1:]
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=int(rank),
        world_size=int(world),
    )
    answer = compute(Path(folder), *arguments)
    torch.save(answer, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
