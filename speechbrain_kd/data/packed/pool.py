"""Shards written by several processes, with one progress bar."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context

import torch
from tqdm import tqdm

from speechbrain_kd.data.packed.plan import Job
from speechbrain_kd.data.packed.shards import write_shard
from speechbrain_kd.data.scan import number_of_workers
from speechbrain_kd.speed.threads import fork_if_any

_ticks = None


def run_jobs(
    jobs: list[Job], processes: int | None = None, progressbar: bool = True
) -> list[str]:
    """Writes shards.

    Arguments
    ---------
    jobs : list[Job]
        The shards to write.
    processes : int | None
        How many at once; None means one for each core.
    progressbar : bool
        Whether to show progress.

    Returns
    -------
    list[str]
        What is wrong with the files that cannot be read.
    """
    number = min(number_of_workers(processes), len(jobs))
    bar = tqdm(
        total=sum(len(job.positions) for job in jobs),
        desc="Packing",
        unit="utt",
        disable=not progressbar,
        dynamic_ncols=True,
    )
    with bar:
        if number <= 1:
            return [why for job in jobs for why in write_shard(job, bar.update)]
        return [why for found in _parallel(jobs, number, bar) for why in found]


def _parallel(jobs: list[Job], number: int, bar: tqdm) -> Iterator[list[str]]:
    context = get_context(fork_if_any())
    ticks = context.Value("q", 0)
    pool = ProcessPoolExecutor(number, context, _begin, (ticks, os.getpid()))
    try:
        running = {pool.submit(_run, job) for job in jobs}
        while running:
            done, running = wait(
                running, timeout=0.5, return_when=FIRST_COMPLETED
            )
            bar.update(ticks.value - bar.n)
            for job in done:
                yield job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(ticks, parent: int) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends a worker whose parent was killed: nobody else would."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run(job: Job) -> list[str]:
    return write_shard(job, _tick)


def _tick() -> None:
    with _ticks.get_lock():
        _ticks.value += 1
